"""SVG as strings: elements, and words that escape themselves."""

from __future__ import annotations

from html import escape

from labkit.views.theme import FILL

WIDTH = 720  # px of every picture: it still reads in the 640 px that an 800 px window leaves
MONO_EM = 0.602  # the widest advance of the mono stack, in em: what is in mono can be measured
SANS_EM = 0.58  # a careful mean of the sans stack, for words that must not collide


def el(tag: str, *inner: str, **attrs: object) -> str:
    """One element; `class_` becomes class, `stroke_width` stroke-width, None is left out."""
    names = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attrs.items()
        if value is not None
    )
    body = "".join(inner)
    return f"<{tag}{names}>{body}</{tag}>" if body else f"<{tag}{names}/>"


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def text(x: float, y: float, words: str, cls: str = "", **attrs: object) -> str:
    """One line of words, escaped."""
    return el("text", clean(words), x=x, y=y, class_=cls or None, **attrs)


def spans(x: float, y: float, *parts: tuple[str, str], cls: str = "") -> str:
    """One line of words whose parts carry their own classes; empty parts are left out."""
    inner = (el("tspan", clean(words), class_=c or None) for words, c in parts if words)
    return el("text", *inner, x=x, y=y, class_=cls or None)


def clean(words: str) -> str:
    """Escaped, and without the control characters that XML refuses to carry."""
    return escape("".join(c if c.isprintable() or c in "\n\t" else "�" for c in words))


def rect(
    x: float, y: float, w: float, h: float, fill: str = "none", stroke: str = "", **attrs: object
) -> str:
    """A box; `fill` and `stroke` are names of the palette."""
    paint = {"fill": FILL.get(fill, fill), "stroke": FILL.get(stroke)}
    return el("rect", x=x, y=y, width=w, height=h, **paint, **attrs)


def line(d: str, colour: str = "line", width: float = 1.0, **attrs: object) -> str:
    """A path that is not filled."""
    return el("path", d=d, fill="none", stroke=FILL[colour], stroke_width=width, **attrs)


def tunnel(d: str, core: str = "", **attrs: object) -> str:
    """A double line: what travels inside it is wrapped; `core` is the colour of the traveller."""
    body = line(d, "wrap", 7) + line(d, "paper", 4) + (line(d, core, 2) if core else "")
    return el("g", body, stroke_linejoin="round", **attrs)


def mono(words: str, size: float = 12) -> float:
    """The width of mono words in px."""
    return len(words) * size * MONO_EM


def sans(words: str, size: float = 13) -> float:
    """About the width of sans words in px, rather too wide than too narrow."""
    return len(words) * size * SANS_EM


def fit(words: str, px: float, size: float = 12) -> str:
    """`words`, cut in the middle with an ellipsis when mono type of `size` px overruns `px`."""
    room = max(int(px / (size * MONO_EM)), 3)
    tail = room // 3
    return words if len(words) <= room else f"{words[: room - tail - 1]}…{words[-tail:]}"
