"""A picture with its text twin, in the one form that survives every place a notebook is read."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

import msgspec

from labkit.views.svg import WIDTH, clean, el, rect
from labkit.views.theme import CSS, PICTURE_CSS

ALT = 200  # letters; longer ones are read out whole by a screen reader, without a pause


class Figure(msgspec.Struct, frozen=True):
    """A picture and its text twin; a notebook shows the one, a terminal and a test the other.

    `svg` is empty for what is a table only; `below` is HTML that stands under the picture;
    `answer` is a predicate for a sentence about several figures: "is answered by backend".
    """

    title: str
    twin: str
    svg: str = ""
    below: str = ""
    answer: str = ""

    def __repr__(self) -> str:
        return f"{self.title}\n{self.twin}"

    @property
    def aloud(self) -> str:
        """The title and the answer: what is read when a widget changes to this figure."""
        return f"{self.title} {self.twin.splitlines()[0]}"

    @property
    def alt(self) -> str:
        """The same in under 200 letters."""
        return self.aloud if len(self.aloud) < ALT else self.aloud[: ALT - 2].rstrip() + "…"

    @property
    def html(self) -> str:
        """The picture, what stands under it, and the twin behind "In words"; without a style."""
        return f"{self._image()}{self.below}{in_words(self.twin)}"

    def _image(self) -> str:
        if not self.svg:
            return ""
        # An <img>: JupyterLab (until the notebook is trusted) and GitHub turn inline SVG into
        # a heap of words. Percent-encoded, so that stored notebooks have readable diffs.
        source = "data:image/svg+xml," + quote(self.svg, safe=" =:/;,.()!*@&+$-_~?[]{}|'")
        return f'<img alt="{clean(self.alt)}" src="{escape(source)}" width="{WIDTH}">'

    def _repr_html_(self) -> str:
        return f'<figure class="lk"><style>{CSS}</style>{self.html}</figure>'


def in_words(twin: str) -> str:
    """A twin as HTML: closed at first, and there for everyone."""
    return f"<details><summary>In words</summary><p>{clean(twin)}</p></details>"


def figure(
    title: str, twin: str, height: float, *body: str, below: str = "", answer: str = ""
) -> Figure:
    """A figure whose SVG carries its name, its words and its own paper; `height` in px."""
    about = el("title", clean(title)) + el("desc", clean(twin)) + f"<style>{PICTURE_CSS}</style>"
    label = Figure(title, twin).alt
    svg = el(
        "svg",
        about,
        rect(0, 0, WIDTH, height, "paper"),
        *body,
        xmlns="http://www.w3.org/2000/svg",
        class_="lk",
        role="img",
        aria_label="".join(c for c in label if c.isprintable()),
        viewBox=f"0 0 {WIDTH} {height:g}",
        width=WIDTH,
        height=height,
    )
    return Figure(title, twin, svg, below, answer)
