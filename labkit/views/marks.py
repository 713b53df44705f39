"""The signs of a packet's steps: a disc for each hop, a square where a packet ends."""

from __future__ import annotations

from labkit.views.hops import Step
from labkit.views.svg import el, line, rect, text
from labkit.views.theme import FILL

COLOUR = {"request": "go", "reply": "back"}


def disc(step: Step, x: float, y: float) -> str:
    """A numbered disc: full for the request, hollow for the reply."""
    colour = COLOUR[step.leg]
    if step.leg == "request":
        return numbered(step.number, x, y, colour, "on")
    return numbered(step.number, x, y, "paper", colour, stroke=colour)


def numbered(
    number: int, x: float, y: float, fill: str = "go", ink: str = "on", stroke: str = ""
) -> str:
    """A disc with a number; `stroke` is `fill` where none is given."""
    edge = FILL[stroke or fill]
    dot = el("circle", cx=x, cy=y, r=10.5, fill=FILL[fill], stroke=edge, stroke_width=2.5)
    return dot + text(x, y + 4.5, str(number), f"b x mid {ink}")


def end_mark(step: Step, x: float, y: float) -> str:
    return dropped(x, y) if step.end == "dropped" else refused(x, y)


def dropped(x: float, y: float) -> str:
    """Full: a packet ends here, and nobody is told."""
    return _square(x, y, "stop", "paper")


def refused(x: float, y: float) -> str:
    """Hollow: a refusal goes back from here."""
    return _square(x, y, "paper", "stop")


def _square(x: float, y: float, fill: str, cross: str) -> str:
    box = rect(x - 11, y - 11, 22, 22, fill, "stop", rx=2, stroke_width=2)
    return box + line(f"M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10", cross, 2.5)
