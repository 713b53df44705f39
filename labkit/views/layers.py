"""Which layer of a machine a hop belongs to, and the order of layers that a whole way needs.

The layers stand as a packet meets them from a pod downwards: rules come before and after the
routes, whichever way it goes (PREROUTING, route, FORWARD, POSTROUTING), so a packet that comes
up from the card meets PREROUTING in the lower band of rules and FORWARD in the upper one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.kernel.trace import Hop
from labkit.traffic.connection import Connection, Place
from labkit.views.hops import Leg, Step, changes, machine_of

Layer = Literal["pod", "bridge", "above", "routes", "below", "tunnel", "card", "wire"]
Shape = Literal["start", "end", "turn", "through", "rise"]
SKELETON: tuple[Layer, ...] = (
    "pod", "bridge", "above", "routes", "below", "tunnel", "card", "wire",
)  # fmt: skip


class Visit(msgspec.Struct, frozen=True):
    """One stay of a packet on one machine: the steps on its way down, then those on its way up.

    A `start` only goes down, an `end` and a `rise` (which begins on the machine itself) only
    up, a `turn` down and up again to a pod beside it, a `through` up to the routes and down.
    """

    leg: Leg
    machine: Place
    shape: Shape
    down: tuple[Step, ...]
    up: tuple[Step, ...]

    @property
    def ways(self) -> tuple[tuple[Layer, ...], ...]:
        """The layers of both parts, each read from the top to the bottom."""
        down = tuple(layer_of(s.hop, falls=True) for s in self.down)
        up = tuple(layer_of(s.hop, falls=False) for s in reversed(self.up))
        return tuple(w for w in (down, up) if w)


def layer_of(hop: Hop, *, falls: bool) -> Layer:
    """The layer of a hop for a packet that falls towards the wire, or that rises from it."""
    before, after = ("above", "below") if falls else ("below", "above")
    if error_of(hop):
        return "routes"
    if hop.netns.startswith(("pod/", "outside")) or hop.stage == "socket":
        return "pod"
    if hop.stage in ("bridge", "route"):
        return "bridge" if hop.stage == "bridge" else "routes"
    if hop.stage == "vxlan" or hop.action in ("wrap", "unwrap"):
        return "tunnel"
    if hop.stage == "link":
        return "tunnel" if hop.device.startswith(("flannel", "vxlan")) else "card"
    early = not routed(hop) or (hop.stage == "INPUT" and falls)
    return before if early else after  # type: ignore[return-value]


def routed(hop: Hop) -> bool:
    """Whether rules that decide here see the packet after routing.

    conntrack puts a source back after routing, a destination before. What a process sends is
    routed again if OUTPUT rewrote its destination, and that second choice is the one told.
    """
    if hop.stage == "OUTPUT" and hop.table == "nat":
        return False
    if hop.stage == "conntrack":
        return any(c.field == "src" for c in changes(hop))
    return hop.stage not in ("PREROUTING", "INGRESS")


def error_of(hop: Hop) -> bool:
    """Whether a machine's kernel itself sends an ICMP error here: no process takes part."""
    machine = hop.netns.startswith("node/") and hop.stage == "socket" and hop.action == "send"
    return machine and hop.after.icmp is not None and hop.after.icmp.about is not None


def visits(connection: Connection, steps: tuple[Step, ...]) -> tuple[Visit, ...]:
    """The machines that each leg stays on, in order; a machine that decides nothing is passed."""
    groups: list[tuple[Leg, Place, list[Step]]] = []
    for step in steps:
        machine = machine_of(connection, step.hop.netns)
        if machine is None:
            continue
        if groups and groups[-1][0] == step.leg and groups[-1][1] == machine:
            groups[-1][2].append(step)
        else:
            groups.append((step.leg, machine, [step]))
    found = []
    for i, (leg, machine, stay) in enumerate(groups):
        first = i == 0 or groups[i - 1][0] != leg
        last = i == len(groups) - 1 or groups[i + 1][0] != leg
        shape = _shape(machine, stay, first, last)
        cut = _cut(shape, machine, stay)
        found.append(Visit(leg, machine, shape, tuple(stay[:cut]), tuple(stay[cut:])))
    return tuple(_through(v) for v in found)


def _shape(machine: Place, stay: list[Step], first: bool, last: bool) -> Shape:
    if first and last:
        born_here = stay[0].hop.netns == machine.netns and (
            stay[0].hop.stage != "socket" or error_of(stay[0].hop)
        )
        if born_here:
            return "rise" if stay[-1].hop.netns != machine.netns else "start"
        return "turn" if _stays(machine, stay) else "start"
    if first:
        return "start"
    return "end" if last else "through"


def _stays(machine: Place, stay: list[Step]) -> bool:
    """Whether a packet that ended on its first machine was on its way to a process there."""
    last = stay[-1].hop
    if last.netns != machine.netns or last.stage in ("socket", "INPUT"):
        return last.netns != stay[0].hop.netns or last.stage == "socket"
    inside = {k.name for k in machine.links if k.kind in ("bridge", "loopback") or k.master}
    routes = [s.hop for s in stay if s.hop.netns == machine.netns and s.hop.stage == "route"]
    return bool(routes) and routes[-1].device in inside


def _cut(shape: Shape, machine: Place, stay: list[Step]) -> int:
    """Where a stay turns: how many of its steps come before the turn."""
    if shape in ("end", "rise"):
        return 0
    if shape == "start":
        return len(stay)
    routes = [
        i + 1
        for i, s in enumerate(stay)
        if s.hop.netns == machine.netns and s.hop.stage == "route" and not s.end
    ]
    if routes:
        return routes[0] if shape == "through" else routes[-1]
    if stay[-1].hop.stage == "socket" and len(stay) > 1:
        end = stay[-1].hop.netns  # bridged or looped back: the steps in the last namespace rise
        return next((i for i, s in enumerate(stay) if i and s.hop.netns == end), len(stay) - 1)
    return len(stay)


def _through(visit: Visit) -> Visit:
    """A through visit rises first: what was cut as its first part goes up."""
    if visit.shape != "through":
        return visit
    return Visit(visit.leg, visit.machine, visit.shape, visit.up, visit.down)


def rows_for(ways: tuple[tuple[Layer, ...], ...], devices: frozenset[Layer]) -> tuple[Layer, ...]:
    """The shortest list of layers, found greedily, in which every way runs one way only.

    A layer that no hop decides in is left out, unless it is among `devices`: those are drawn
    for what passes them.
    """
    rows: list[Layer] = list(SKELETON)
    for way in ways:
        at = 0
        for layer in way:
            if layer in rows[at:]:
                at = rows.index(layer, at) + 1
            else:
                rows.insert(at, layer)
                at += 1
    used: set[int] = set()
    for way in ways:
        used |= set(places_in(rows, way))
    return tuple(row for i, row in enumerate(rows) if i in used or row in devices)


def places_in(rows: tuple[Layer, ...] | list[Layer], way: tuple[Layer, ...]) -> tuple[int, ...]:
    """The row of each layer of a way, read from the top."""
    found, at = [], 0
    for layer in way:
        at = rows.index(layer, at) if layer in rows[at:] else max(at - 1, 0)
        found.append(at)
        at += 1
    return tuple(found)
