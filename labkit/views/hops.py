"""The hops of a connection as every view tells them: numbered, with what changed and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from labkit.kernel.packet import Packet
from labkit.kernel.trace import Hop, Trace
from labkit.traffic.connection import Connection, Place
from labkit.traffic.text import plural

Leg = Literal["request", "reply"]
DONE = "delivered"
END = {  # a trace's outcome: (the verdict's word, what stands beside the mark)
    DONE: ("Delivered", ""),
    "refused": ("Refused", "refused here"),
    "dropped": ("Dropped", "dropped here"),
    "unreachable": ("Unreachable", "no way on"),
    "too-big": ("Too big", "too big here"),
    "ttl-exceeded": ("Out of hops", "TTL used up"),
}
MOST = 24  # hops that are told of one leg; a loop of routes has up to 64


class Change(msgspec.Struct, frozen=True):
    """One header field; without `before` it was added, without `after` taken off."""

    field: str
    before: str
    after: str


class Step(msgspec.Struct, frozen=True):
    """One hop that is told; `end` is how the packet ended there, empty if it went on."""

    number: int
    leg: Leg
    hop: Hop
    title: str
    end: str = ""

    @property
    def stage(self) -> str:
        return f"{self.hop.stage} · {self.hop.table}" if self.hop.table else self.hop.stage


def steps(connection: Connection) -> tuple[Step, ...]:
    """The hops that decide something, request first, numbered through from 1."""
    legs: list[tuple[Leg, Trace]] = [("request", connection.request)]
    if connection.reply:
        legs.append(("reply", connection.reply))
    found: list[Step] = []
    for leg, trace in legs:
        for hop, end in _told(trace):
            title = title_of(connection, hop.netns)
            found.append(Step(len(found) + 1, leg, hop, title, end))
    return tuple(found)


def _told(trace: Trace) -> Iterator[tuple[Hop, str]]:
    """The hops that are not quiet; the last one is told in any case, since it says the end."""
    last = len(trace.hops) - 1
    kept = [(h, i == last) for i, h in enumerate(trace.hops) if not h.quiet or i == last]
    for hop, ends in kept[: MOST - 2] + kept[max(MOST - 2, len(kept) - 2) :]:
        yield hop, trace.outcome if ends else ""


def untold(connection: Connection) -> int:
    """How many deciding hops are left out, because the packet went round in circles."""
    traces = (connection.request, *((connection.reply,) if connection.reply else ()))
    return sum(map(_loud, traces)) - len(steps(connection))


def _loud(trace: Trace) -> int:
    """How many hops decide something, the last one in any case."""
    return sum(not hop.quiet for hop in trace.hops[:-1]) + 1


def title_of(connection: Connection, netns: str) -> str:
    """What a namespace is called: `node-1`, `frontend`."""
    place = connection.places.get(netns)
    return place.title if place and place.title else netns.rpartition("/")[2]


def machine_of(connection: Connection, netns: str) -> Place | None:
    """The machine that a namespace belongs to, None for the underlay's switch."""
    place = connection.places.get(netns)
    machine = connection.places.get(place.machine) if place else None
    return None if machine is None or machine.kind == "switch" else machine


def changes(hop: Hop) -> tuple[Change, ...]:
    """What the hop did to the headers, outermost first; sending writes both addresses."""
    before, after = hop.before, hop.after
    if hop.action == "send":
        return (Change("src", "", after.source), Change("dst", "", after.destination))
    if hop.action == "wrap" or (after.inner and not before.inner):
        return (Change("outer src", "", str(after.src)), Change("outer dst", "", after.destination))
    if hop.action == "unwrap" or (before.inner and not after.inner):
        return (
            Change("outer src", str(before.src), ""),
            Change("outer dst", before.destination, ""),
        )
    pairs = (
        ("src", before.source, after.source),
        ("dst", before.destination, after.destination),
    )
    return tuple(Change(*pair) for pair in pairs if pair[1] != pair[2])


def sentence(step: Step) -> str:
    """One hop in words: number, place, stage, what happened, change, end, the deciding row."""
    hop = step.hop
    parts = [f"{step.number}. {step.title}, {step.stage.replace(' · ', ' ')}: {plain(hop.says)}"]
    parts += [
        f"{c.field} {c.before} becomes {c.after}."
        if c.before and c.after
        else f"{c.field} {c.after or c.before} {'added' if c.after else 'taken off'}."
        for c in changes(hop)
    ]
    if step.end:
        parts.append(f"{END[step.end][0]}.")
    if hop.why:
        parts.append(f"Decided by: {plain(hop.why)}")
    return " ".join(parts)


def plain(words: str) -> str:
    """Words without signs that are read out badly: an arrow becomes "to", a dot a comma."""
    return words.replace(" -> ", " to ").replace("→", "to").replace("\n", " ")


def journey(connection: Connection) -> str:
    """The answer in one sentence with its numbers: the first line of a connection's twin."""
    told = steps(connection)
    back = _loud(connection.reply) if connection.reply else 0
    hops = f"{plural(_loud(connection.request), 'hop')} there" + (
        f" and {back} back" if back else ""
    )
    return f"{hops}: {told[0].title} asks {connection.target} and {answer(connection)}."


def answer(connection: Connection) -> str:
    """What became of a packet, as a predicate: `is answered by backend`."""
    told = steps(connection)
    last = [s for s in told if s.leg == "request"][-1]
    ways = {
        "answered": f"is answered by {last.title}",
        "refused": f"is refused by {last.title}",
        "timed out": f"gets no answer and times out; the packet ends at {last.title}",
        "unreachable": f"is told that no way leads there; the packet ends at {last.title}",
    }
    if told[-1].leg == "reply" and connection.outcome == "timed out":
        ways["timed out"] = f"times out; the answer is lost at {told[-1].title}"
    return ways[connection.outcome]


def twin(connection: Connection) -> str:
    """The journey, and one line for each hop."""
    told = steps(connection)
    lines = [journey(connection), *earlier(connection), *(sentence(s) for s in told)]
    if left := untold(connection):
        lines.append(f"{left} more hops are left out: the packet went round in circles.")
    return "\n".join(lines)


def earlier(connection: Connection) -> tuple[str, ...]:
    """A sentence about what went before and is not drawn: the opening, packets too big."""
    asked = connection.earlier[::2]
    opening = [str(t.packet.size) for t in asked if t.outcome == DONE]
    too_big = [str(t.hops[0].after.size) for t in asked if t.outcome == "too-big"]
    parts = []
    if opening:
        parts.append(f"a packet of {opening[0]} bytes opened the connection")
    if too_big:
        packets = "a packet" if len(too_big) == 1 else "packets"
        parts.append(f"{packets} of {' and '.join(too_big)} bytes came back as too big")
    return (f"Before what is drawn, {'; '.join(parts)}.",) if parts else ()


def title(connection: Connection) -> str:
    """`default/frontend asks svc/backend:80 over TCP: answered.`"""
    asks = f"{connection.source} asks {connection.target} over {connection.protocol}"
    return f"{asks}: {connection.outcome}."


def wrapped(packet: Packet) -> bool:
    return packet.inner is not None
