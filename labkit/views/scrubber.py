"""The timeline with a hand on the clock: every second is a frame, and all are in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.traffic.timeline import Life, Tick, Timeline
from labkit.views.stepper import Frame, controls, stepped
from labkit.views.svg import clean, el
from labkit.views.table import samp
from labkit.views.timeline import LEFT, RIGHT, TOP, drawn, key, result, timeline, title, twin

if TYPE_CHECKING:
    from labkit.views.widgets import Stepper

PACE = 500  # milliseconds that Play stays at a tick


def scrubber(found: Timeline) -> Stepper:
    """A widget that moves through a timeline: the pods, the slice and the rules of each moment."""
    shown = frames(found)
    return stepped(shell(found, shown), shown, f"{title(found)}\n{twin(found)}")


def frames(found: Timeline) -> tuple[Frame, ...]:
    step = (RIGHT - LEFT) / len(found.ticks)
    return tuple(
        Frame(
            at=(LEFT + (i + 0.5) * step, 0.0),
            say=_say(found, tick),
            why=_why(found, i),
            short=f"{tick.at:g} s, {result(tick)}",
            clock=f"{tick.at:g} s",
        )
        for i, tick in enumerate(found.ticks)
    )


def _say(found: Timeline, tick: Tick) -> str:
    acts = [told for at, told in found.acts if at == tick.at]
    done = f" {'; '.join(acts)}." if acts else ""
    words = result(tick)
    return f"{tick.at:g} s.{done} {words[0].upper()}{words[1:]}."


def _why(found: Timeline, i: int) -> str:
    rows = [
        ("pods", _groups(found, i, "pod")),
        ("slice", _groups(found, i, "entry")),
        *(
            (f"{node} sends to", samp(", ".join(_used(found, i, node)) or "nobody: refused"))
            for node in found.delays
        ),
    ]
    return "".join(f"<dt>{clean(name)}</dt><dd>{words}</dd>" for name, words in rows)


def _groups(found: Timeline, i: int, lane: str) -> str:
    """`ready 10.244.1.6, 10.244.2.5; terminating 10.244.2.6`"""
    told: dict[str, list[str]] = {}
    for life in found.lives:
        word = (life.pod if lane == "pod" else life.entry)[i]
        if word:
            told.setdefault(word, []).append(life.address)
    names = {"serving": "ready: false, serving, terminating"}
    parts = (
        f"{clean(names.get(word, word) if lane == 'entry' else word)} {samp(', '.join(them))}"
        for word, them in sorted(told.items())
    )
    return "; ".join(parts) or "none"


def _used(found: Timeline, i: int, node: str) -> list[str]:
    def note(life: Life) -> str:
        return life.address + ("" if life.listens[i] else " (nobody listens)")

    return [note(life) for life in found.lives if life.used[node][i]]


def shell(found: Timeline, shown: tuple[Frame, ...]) -> str:
    """The widget's HTML: the picture with a line for now, its key, and what steps it."""
    picture = timeline(found).svg.removesuffix("</svg>")
    height, _ = drawn(found)
    now = el("path", class_="token", opacity=0.6, d=f"M0 {TOP - 4}V{height - 22:.1f}") + "</svg>"
    return f"""{picture}{now}
<p class="note">{key(found)}</p>
{controls(shown, "moment", PACE)}"""
