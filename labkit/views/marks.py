"""The signs of a packet's steps: a disc for each hop, a square where a packet ends."""

from __future__ import annotations

from labkit.views.hops import Step
from labkit.views.svg import el, line, rect, text
from labkit.views.theme import FILL

COLOUR = {"request": "go", "reply": "back"}


def disc(step: Step, x: float, y: float) -> str:
    """A numbered disc: full for the request, hollow for the reply."""
    request, colour = step.leg == "request", COLOUR[step.leg]
    fill = FILL[colour if request else "paper"]
    dot = el("circle", cx=x, cy=y, r=10.5, fill=fill, stroke=FILL[colour], stroke_width=2.5)
    return dot + text(x, y + 4.5, str(step.number), f"b x mid {'on' if request else colour}")


def end_mark(step: Step, x: float, y: float) -> str:
    """Full for silence, hollow for a refusal that goes back."""
    silent = step.end == "dropped"
    box = rect(x - 11, y - 11, 22, 22, "stop" if silent else "paper", "stop", rx=2, stroke_width=2)
    cross = f"M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10"
    return box + line(cross, "paper" if silent else "stop", 2.5)
