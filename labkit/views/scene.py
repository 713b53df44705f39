"""Where everything of a packet's way stands: sides, rows, stops, and the lines between stops.

x is the machine, y the layer. The request takes the outer lanes and the reply the inner ones:
two nested U's that never cross.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import msgspec

from labkit.traffic.connection import Connection, Place
from labkit.views.hops import DONE, Step, steps, wrapped
from labkit.views.layers import Layer, Visit, layer_of, places_in, rows_for, visits
from labkit.views.svg import WIDTH

Word = Literal["right", "left", "above"]
LEFT, RIGHT, GAP, STEP, LANE = 116, WIDTH - 2, 14, 40, 26
HEAD, TOP = 26, 44  # px above the machines, and from there to the first row
NARROW, INSET = 116, 34  # px of a side without layers (router, outside), and to its lanes
THIN = 92  # px of such a side where five or more machines stand side by side


class Side(msgspec.Struct, frozen=True):
    """One machine as a column; `pods` are those that take part, with the half they stand in."""

    place: Place
    x: float
    width: float
    pods: tuple[Place, ...] = ()
    halves: bool = False
    passed: bool = False  # something only goes through, in an arch in the middle

    @property
    def layered(self) -> bool:
        return self.place.kind == "node"

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


class Row(msgspec.Struct, frozen=True):
    layer: Layer
    y: float


class Stop(msgspec.Struct, frozen=True):
    """A step's place in the picture, and where its word stands with how many px of room."""

    step: Step
    x: float
    y: float
    word: Word
    room: float


class Segment(msgspec.Struct, frozen=True):
    """The line that leads to one stop from the stop before."""

    step: Step
    d: str
    wrapped: bool


class Scene(msgspec.Struct, frozen=True):
    sides: tuple[Side, ...]
    rows: tuple[Row, ...]
    stops: tuple[Stop, ...]
    segments: tuple[Segment, ...]
    head: float  # y where the machines begin
    floor: float  # y where they end

    def y(self, layer: Layer) -> float | None:
        """The first row of a layer, None if it is not drawn."""
        return next((row.y for row in self.rows if row.layer == layer), None)


def scene(connection: Connection) -> Scene:
    """The layout of one connection: equal connections give equal scenes."""
    told = steps(connection)
    stays = _once(visits(connection, told))
    machines = tuple(dict.fromkeys(v.machine.netns for v in stays))
    devices = _devices(connection, stays, machines)
    layers = rows_for(tuple(way for v in stays for way in v.ways), devices)
    sides = _sides(connection, stays, machines)
    head = HEAD if all(side.layered for side in sides) else HEAD + 14  # addresses under names
    rows = tuple(Row(layer, head + TOP + STEP * i) for i, layer in enumerate(layers))
    floor = rows[-1].y + (44 if len(sides) == 1 else 22 - STEP)
    stops = tuple(s for v in stays for s in _stops(v, sides, rows))
    stops += _loop_end(told, stays, sides, rows)
    return Scene(sides, rows, stops, _segments(stays, stops, sides, rows), head, floor)


def _once(stays: tuple[Visit, ...]) -> list[Visit]:
    """The visits up to the first machine that a leg comes back to: a loop is drawn once."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for visit in stays:
        key = (visit.leg, visit.machine.netns)
        if key in seen:
            break
        seen.add(key)
        kept.append(visit)
    return kept


def _devices(
    connection: Connection, stays: list[Visit], machines: tuple[str, ...]
) -> frozenset[Layer]:
    """The layers that are drawn although nothing may be decided there."""
    drawn: set[Layer] = {"pod"}
    if len(machines) > 1:
        drawn |= {"card", "wire"}
    ends = [v.machine for v in stays if v.shape != "through"]
    if any(link.kind == "bridge" for place in ends for link in place.links):
        drawn.add("bridge")
    return frozenset(drawn)


def _sides(
    connection: Connection, stays: list[Visit], machines: tuple[str, ...]
) -> tuple[Side, ...]:
    places = [connection.places[m] for m in machines]
    narrow = sum(p.kind != "node" for p in places)
    wide = len(places) - narrow
    room = RIGHT - LEFT - GAP * (len(places) - 1)
    most = NARROW if len(places) < 5 else THIN
    thin = min(most, room / len(places)) if wide else room / len(places)
    column = (room - narrow * thin) / wide if wide else 0
    halves = len(places) == 1 and any(v.shape == "turn" for v in stays)
    sides, x = [], float(LEFT)
    for place in places:
        width = column if place.kind == "node" else thin
        pods = _pods(connection, stays, place)
        passed = any(v.shape == "through" and v.machine == place for v in stays)
        sides.append(Side(place, x, width, pods, halves, passed))
        x += width + GAP
    return tuple(sides)


def _pods(connection: Connection, stays: list[Visit], machine: Place) -> tuple[Place, ...]:
    """The pods of a machine that the steps name, in the order of the request."""
    names = dict.fromkeys(
        s.hop.netns for v in stays if v.machine == machine for s in (*v.down, *v.up)
    )
    return tuple(connection.places[n] for n in names if connection.places[n].kind == "pod")


def _lanes(visit: Visit, side: Side, other: float | None) -> tuple[float, float]:
    """x of the way down and of the way up; `other` is the middle of the side across the wire."""
    inset = LANE if side.layered else INSET - max(0, NARROW - side.width) / 2.4
    left, right, mid = side.x + inset, side.x + side.width - inset, side.middle
    request = visit.leg == "request"
    if visit.shape == "rise":
        return (mid - LANE, mid - LANE) if side.halves else (right, right)
    if visit.shape == "turn":
        return (left, right) if request or not side.halves else (mid + LANE, mid - LANE)
    if visit.shape == "through":
        reach = _reach(visit, side)
        return (mid + reach, mid - reach) if request else (mid - reach, mid + reach)
    if not side.layered and visit.shape == "end" and len(visit.up) == 1 and visit.up[0].end != DONE:
        return mid, mid
    leftwards = other is not None and other < mid
    if visit.shape == "start":
        x = left if request != leftwards else right
    else:
        x = right if request == leftwards else left
    return x, x


def _reach(visit: Visit, side: Side) -> float:
    """Half the width of an arch; the reply's spans the request's, so that neither crosses."""
    outer = side.width / 2 - 20 if side.layered else min(40, side.width / 2 - 10)
    if visit.leg == "reply":
        return outer
    if side.layered:
        return outer - 32
    return outer - (18 if len(visit.down) + len(visit.up) == 1 else 24)


def _stops(visit: Visit, sides: tuple[Side, ...], rows: tuple[Row, ...]) -> tuple[Stop, ...]:
    side = _side_of(visit, sides)
    down, up = _ways(visit, sides)
    keys = [row.layer for row in rows]

    def placed(part: tuple[Step, ...], x: float, *, falls: bool) -> list[Stop]:
        read = part if falls else tuple(reversed(part))
        at = places_in(keys, tuple(layer_of(s.hop, falls=falls) for s in read))
        word, room = _words(x, side)
        if visit.shape == "through":  # the reply's lanes leave no room outside the request's
            word = word if side.layered else "right"
            room = 2 * abs(x - side.middle) - 34 if visit.leg == "request" else 0
        found = [Stop(s, x, rows[i].y, word, room) for s, i in zip(read, at, strict=True)]
        return found if falls else found[::-1]

    falling = placed(visit.down, down, falls=True)
    rising = placed(visit.up, up, falls=False)
    if visit.shape == "through" and len(rising + falling) == 1:
        return tuple(_arch(stop, side) for stop in rising + falling)
    return tuple(rising + falling if visit.shape == "through" else falling + rising)


def _arch(stop: Stop, side: Side) -> Stop:
    """A lone step on the way through a machine stands on top of an arch."""
    request = stop.step.leg == "request"
    return Stop(stop.step, side.middle, stop.y - (0 if request else 44), "above", 42)


def _words(x: float, side: Side) -> tuple[Word, float]:
    """Words stand where there is more room up to the next lane or the edge."""
    if side.halves:
        outer = min(x - side.x, side.x + side.width - x) < LANE + 1
        towards_right = (x < side.middle) == outer
        return ("right" if towards_right else "left"), side.width / 4 - 30
    if not side.layered:
        return "above", side.width - 8
    return ("right" if x < side.middle else "left"), side.width / 2 - 46


def _side_of(visit: Visit, sides: tuple[Side, ...]) -> Side:
    return next(s for s in sides if s.place.netns == visit.machine.netns)


def _ways(visit: Visit, sides: tuple[Side, ...]) -> tuple[float, float]:
    side = _side_of(visit, sides)
    others = [s.middle for s in sides if s is not side]
    return _lanes(visit, side, others[0] if others else None)


def _loop_end(
    told: tuple[Step, ...], drawn: list[Visit], sides: tuple[Side, ...], rows: tuple[Row, ...]
) -> tuple[Stop, ...]:
    """The end of a packet that comes back to a machine: it is lost on the wire between them."""
    seen = {s.number for v in drawn for s in (*v.down, *v.up)}
    last = [s for s in told if s.leg == drawn[-1].leg][-1]
    if last.number in seen:
        return ()
    down, _ = _ways(drawn[-1], sides)
    word: Word = "left" if down > WIDTH / 2 else "right"
    return (Stop(last, down, rows[-1].y + 2, word, 200),)


def _segments(
    drawn: list[Visit], stops: tuple[Stop, ...], sides: tuple[Side, ...], rows: tuple[Row, ...]
) -> tuple[Segment, ...]:
    home = {s.number: v for v in drawn for s in (*v.down, *v.up)}
    deepest = max(stop.y for stop in stops)
    wire = rows[-1].y
    found = []
    for before, stop in pairwise(stops):
        if before.step.leg != stop.step.leg:
            continue
        one, two = home[before.step.number], home.get(stop.step.number)
        request = stop.step.leg == "request"
        leave = _ways(one, sides)[0]
        start = f"M{before.x:g} {before.y:g}"
        if one.shape == "through" and one is not two and before.x != leave:
            lift = before.y - _lift(before)  # the arch over a step that is the last one here
            start += f"V{lift:g}H{leave:g}"
        if two is None:
            d = f"{start}V{wire:g}H{stop.x:g}V{stop.y:g}"
        elif one is two:
            bend = min(before.y, stop.y) - _lift(before)
            if one.shape != "through":
                bend = deepest + (30 if request else 18)
            turn = f"V{bend:g}H{stop.x:g}" if before.x != stop.x else ""
            d = f"{start}{turn}V{stop.y:g}"
        else:
            enter = _ways(two, sides)[1]
            aside = f"H{stop.x:g}" if stop.x != enter else ""
            d = f"{start}V{wire + (6 if request else -6):g}H{enter:g}V{stop.y:g}{aside}"
        found.append(Segment(stop.step, d, wrapped(stop.step.hop.before)))
    return tuple(found)


def _lift(stop: Stop) -> float:
    """How far over a step an arch turns; a lone step stands on top of its arch."""
    if stop.word == "above":
        return 0
    return 18 if stop.step.leg == "request" else 32
