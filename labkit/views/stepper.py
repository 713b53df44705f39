"""The path with a hand on the clock: every frame is made once and stepped in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from labkit.traffic.connection import Connection
from labkit.views.hops import END, Step, changes, plain, steps, title, twin
from labkit.views.path import path
from labkit.views.scene import Scene, scene
from labkit.views.stack import Scale, caption, scale_for, stack
from labkit.views.svg import clean, el
from labkit.views.table import change_html, samp

if TYPE_CHECKING:
    from labkit.views.widgets import Stepper


class Frame(msgspec.Struct, frozen=True):
    """What the browser shows at one step; `why` and `stack` are HTML.

    `at` is where the token stands, `short` what the slider is read as, and `clock` what stands
    beside it: "3 of 9" if empty.
    """

    at: tuple[float, float]
    say: str
    why: str
    short: str
    stack: str = ""
    clock: str = ""


def stepper(connection: Connection) -> Stepper:
    """A widget that steps through the hops: the packet's headers to scale at every one."""
    shown = frames(connection)
    return stepped(shell(connection, shown), shown, words(connection))


def stepped(html: str, shown: tuple[Frame, ...], words: str) -> Stepper:
    """A widget that steps through these frames; `words` are its twin."""
    from labkit.views.widgets import Stepper

    widget = Stepper(shell=html, frames=[msgspec.to_builtins(frame) for frame in shown])
    widget.words = words
    return widget


def words(connection: Connection) -> str:
    """The stepper's twin: the path's, with each packet's bytes after its hop."""
    told = {s.number: s for s in steps(connection)}
    lines = []
    for line in twin(connection).splitlines():
        number = line.partition(".")[0]
        step = told.get(int(number)) if number.isdigit() else None
        packet = f" {caption(step.hop.after, mtu(connection, step))}" if step else ""
        lines.append(line + packet)
    return "\n".join([title(connection), *lines])


def frames(connection: Connection) -> tuple[Frame, ...]:
    """One frame for each hop that decides something."""
    told, found = steps(connection), scene(connection)
    scale = scale_for((s.hop.after for s in told), (mtu(connection, s) or 0 for s in told))
    return tuple(_frame(connection, step, found, scale) for step in told)


def _frame(connection: Connection, step: Step, found: Scene, scale: Scale) -> Frame:
    hop = step.hop
    changed = "; ".join(change_html(c) for c in changes(hop)) or "nothing"
    values = [v for c in changes(hop) if c.after for v in (c.after, *c.after.rsplit(":", 1))]
    said = f"{step.title}, {step.stage.replace(' · ', ' ')}. {plain(hop.says)}"
    if step.end:
        said += f" {END[step.end][0]}."
    return Frame(
        at=_at(step, found),
        say=said,
        why=f"<dt>decided by</dt><dd>{samp(hop.why)}</dd>"
        f"<dt>changed</dt><dd class='mono'>{changed}</dd>",
        stack=stack(hop.after, mtu(connection, step), scale, frozenset(values)),
        short=f"{step.number}: {step.title}, {hop.action}",
    )


def _at(step: Step, found: Scene) -> tuple[float, float]:
    """Where the ring stands; a hop of a loop that is drawn once stands where its like was."""
    for stop in found.stops:
        if stop.step.number == step.number:
            return (stop.x, stop.y)
    like = (s for s in found.stops if s.step.hop.netns == step.hop.netns)
    stop = next(like, found.stops[-1])
    return (stop.x, stop.y)


def mtu(connection: Connection, step: Step) -> int | None:
    """Bytes that the link ahead carries: the hop's own device, a tunnel's carrier once wrapped."""
    place = connection.places.get(step.hop.netns)
    if place is None:
        return None
    links = {link.name: link for link in place.links}
    link = links.get(step.hop.device)
    if step.hop.after.inner and link and link.vxlan:
        link = links.get(link.vxlan.dev)
    if link is None:
        link = links.get("eth0")
    return link.mtu if link and link.kind != "loopback" else None


def shell(connection: Connection, shown: tuple[Frame, ...]) -> str:
    """The widget's HTML: picture, buttons, slider, and the room that the longest frame needs."""
    picture = path(connection).svg.removesuffix("</svg>")
    ring = el("circle", class_="token", r=15) + "</svg>"
    return f"{picture}{ring}\n{controls(shown, 'hop')}"


def controls(shown: tuple[Frame, ...], noun: str, pace: int = 1600) -> str:
    """What stands under a picture that is stepped.

    Args:
        noun: what one step is called.
        pace: milliseconds that Play stays at a step.
    """
    ghosts = "".join(f"<p class='ghost'>{clean(f.say)}</p>" for f in shown)
    rows = "".join(f"<dl class='ghost'>{f.why}</dl>" for f in shown)
    return f"""<div class="bar" data-pace="{pace}">
<button class="prev" type="button" aria-label="Previous {noun}">←</button>
<button class="next" type="button" aria-label="Next {noun}">→</button>
<button class="play" type="button">Play</button>
<label>{noun} <input type="range" min="0" max="{len(shown) - 1}" value="0" step="1"></label>
<output></output></div>
<div class="stack"></div>
<div class="hold"><div class="room" aria-hidden="true">{ghosts}</div>
<p class="say" aria-live="polite"></p></div>
<div class="hold"><div class="room" aria-hidden="true">{rows}</div><dl class="why"></dl></div>"""
