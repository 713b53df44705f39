"""The timeline with a hand on the clock: every second is a frame, and all are in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from labkit.traffic.timeline import Life, Tick, Timeline
from labkit.views.svg import clean, el
from labkit.views.table import samp
from labkit.views.timeline import LEFT, RIGHT, TOP, drawn, key, result, timeline, title, twin

if TYPE_CHECKING:
    from labkit.views.widgets import Stepper

PACE = 500  # milliseconds that Play stays at a tick


class Frame(msgspec.Struct, frozen=True):
    """One tick: where the line stands, what is said; `why` is HTML."""

    at: tuple[float, float]
    say: str
    why: str
    short: str
    clock: str
    stack: str = ""


def scrubber(found: Timeline) -> Stepper:
    """A widget that moves through a timeline: the pods, the slice and the rules of each moment."""
    from labkit.views.widgets import Stepper

    shown = frames(found)
    widget = Stepper(shell=shell(found, shown), frames=[msgspec.to_builtins(f) for f in shown])
    widget.words = f"{title(found)}\n{twin(found)}"
    return widget


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
    """The widget's HTML: picture, buttons, slider, and the room that the longest frame needs."""
    picture = timeline(found).svg.removesuffix("</svg>")
    height, _ = drawn(found)
    now = el("path", class_="token", opacity=0.6, d=f"M0 {TOP - 4}V{height - 22:.1f}") + "</svg>"
    ghosts = "".join(f"<p class='ghost'>{clean(f.say)}</p>" for f in shown)
    rows = "".join(f"<dl class='ghost'>{f.why}</dl>" for f in shown)
    return f"""{picture}{now}
<p class="note">{key(found)}</p>
<div class="bar" data-pace="{PACE}">
<button class="prev" type="button" aria-label="Earlier">←</button>
<button class="next" type="button" aria-label="Later">→</button>
<button class="play" type="button">Play</button>
<label>now <input type="range" min="0" max="{len(shown) - 1}" value="0" step="1"></label>
<output></output></div>
<div class="stack"></div>
<div class="hold"><div class="room" aria-hidden="true">{ghosts}</div>
<p class="say" aria-live="polite"></p></div>
<div class="hold"><div class="room" aria-hidden="true">{rows}</div><dl class="why"></dl></div>"""
