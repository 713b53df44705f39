"""What learners' names may not do to a picture, and what its form promises."""

from __future__ import annotations

from html import escape
from xml.etree import ElementTree

import msgspec
import pytest

from labkit.traffic.connection import Connection
from labkit.views import compare, counters, feedback_html, path, topology, trace_html
from labkit.views.choose import choose
from labkit.views.stepper import frames, shell
from labkit.views.theme import PALETTE
from tests.units.views.made import MADE, cluster_ip, dropped
from tests.units.views.shop import lab, pod, small

EVIL = "<script>alert(1)</script>"
QUOTE = "\"><img src=x onerror='alert(1)'>\x07"


def evil(connection: Connection) -> Connection:
    """Every text that a learner's names can reach becomes markup."""

    def spoil(hop):
        return msgspec.structs.replace(hop, why=f"{EVIL}{QUOTE}", says=f"{EVIL}{QUOTE}.")

    def spoiled(trace):
        return msgspec.structs.replace(trace, hops=tuple(map(spoil, trace.hops)))

    places = {
        name: msgspec.structs.replace(place, title=f"{EVIL}{QUOTE}")
        for name, place in connection.places.items()
    }
    return msgspec.structs.replace(
        connection, source=EVIL, target=QUOTE, places=places,
        request=spoiled(connection.request),
        reply=spoiled(connection.reply) if connection.reply else None,
    )  # fmt: skip


def wicked():
    return lab(2, [pod(f"a{EVIL}", 1, 2), pod(f"b{QUOTE}", 2, 3)], names=(EVIL, QUOTE))


OUTPUTS = {
    "path": lambda: path(evil(cluster_ip()))._repr_html_(),
    "path, dropped": lambda: path(evil(dropped()))._repr_html_(),
    "compare": lambda: compare(evil(cluster_ip()), evil(dropped()), (EVIL, QUOTE))._repr_html_(),
    "counters": lambda: counters(small(), evil(cluster_ip()))._repr_html_(),
    "topology": lambda: topology(wicked())._repr_html_(),
    "trace": lambda: trace_html(evil(cluster_ip())),
    "feedback": lambda: feedback_html(EVIL, QUOTE, f"`{EVIL}`", (f"Hint 1 of 3: {QUOTE}",)),
    "stepper": lambda: shell(evil(cluster_ip()), frames(evil(cluster_ip()))),
    "frames": lambda: "".join(f.why + f.stack for f in frames(evil(cluster_ip()))),
    "choice": lambda: choose("x", {"y": path(evil(cluster_ip()))}).options[0][1],
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_markup_in_a_name_is_shown_as_text(output):
    html = output()
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "onerror='" not in html
    assert "\x07" not in html


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_a_picture_is_xml_even_if_names_are_not(made):
    for connection in (made(), evil(made())):
        root = ElementTree.fromstring(path(connection).svg)
        assert root.attrib["role"] == "img"
        assert root.attrib["width"] == "720"
        assert root.find("{http://www.w3.org/2000/svg}desc").text


def test_a_figure_asks_no_other_host():
    for html in (path(cluster_ip())._repr_html_(), topology(small())._repr_html_()):
        rest = html.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in rest
        assert "https:" not in rest
        assert "url(" not in rest


def test_a_picture_shows_before_the_notebook_is_trusted():
    html = path(cluster_ip())._repr_html_()
    assert "<svg" not in html
    assert html.count('<img alt="default/frontend asks svc/backend:80 over TCP') == 1


def test_the_deciding_row_is_whole_and_can_be_copied():
    found = ElementTree.fromstring(f"<x>{path(cluster_ip()).below}</x>")
    rows = ["".join(samp.itertext()) for samp in found.iter("samp")]
    kept = [h.why for h in cluster_ip().hops if not h.quiet]
    assert rows == kept


def test_a_checks_answer_has_its_parts_on_lines_of_their_own():
    html = feedback_html("L00-1", "NOT YET", "who is `cart`?", ("Hint 2 of 3: ask `svc/cart`.",))
    body = html.partition("</style>")[2]
    assert body == (
        "<p class='verdict'><span class='id'>L00-1</span> <b>NOT YET</b></p>"
        "<p class='says'>who is <samp>cart</samp>?</p>"
        "<p class='says'><b>Hint 2 of 3</b>: ask <samp>svc/cart</samp>.</p></div>"
    )


def test_a_connection_without_its_picture_is_told_in_words_too():
    assert f"<p>{escape(path(cluster_ip()).twin)}</p></details>" in trace_html(cluster_ip())


# --- the palette -------------------------------------------------------------------------

WORDS = [  # (words, ground, least contrast asked by WCAG 2.2: 4.5 for words, 3 for lines)
    *((word, ground, 4.5) for word in ("ink", "soft", "go", "back", "wrap", "stop")
      for ground in ("paper", "wash")),
    *(("line", ground, 3) for ground in ("paper", "wash")),
    *(("edit", ground, 3) for ground in ("paper", "wash")),
    *((word, f"{tint}-tint", 4.5) for word in ("ink", "soft")
      for tint in ("go", "edit", "wrap", "stop")),
    ("stop", "stop-tint", 4.5), ("paper", "go", 4.5), ("paper", "back", 4.5),
    ("paper", "stop", 4.5),
]  # fmt: skip


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("words", "ground", "least"), WORDS)
def test_the_palette_can_be_read(words, ground, least, theme):
    light, dark = sorted((luminance(PALETTE[n][theme]) for n in (words, ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
