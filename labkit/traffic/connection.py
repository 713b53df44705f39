"""What an attempt to talk leaves behind: the request, the answer, and where they went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from labkit.kernel.conntrack import Conntrack
from labkit.kernel.links import Link
from labkit.kernel.netns import Network
from labkit.kernel.packet import Address, Protocol
from labkit.kernel.trace import Hop, Trace
from labkit.traffic.text import connection_text

Kind = Literal["pod", "node", "router", "outside", "switch"]
Outcome = Literal["answered", "refused", "timed out", "unreachable"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One namespace that packets passed, as far as a picture needs it.

    `machine` is the namespace of the machine that it belongs to: a pod's node, for all
    others the namespace itself. `links` are its devices as `ip link` lists them.
    """

    netns: str
    title: str
    machine: str
    kind: Kind
    links: tuple[Link, ...] = ()

    def addresses(self, device: str) -> tuple[Address, ...]:
        """The addresses of a device; empty if it has none or is not there."""
        return tuple(a.ip for link in self.links if link.name == device for a in link.addresses)


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a client to reach a target, and what came of it.

    `reply` is the way back of whatever the target's side sent (an answer, an RST, an ICMP
    error); None if nothing was sent, or if only the request was asked for. `outcome` is what
    the client sees. `earlier` holds the request and the answer of tries that only taught the
    client a smaller packet size. `conntrack` is what all namespaces remember afterwards, and
    `places` names every namespace that a hop or frame mentions.
    """

    source: str  # "default/frontend"
    target: str  # "svc/backend:80", as it was asked
    protocol: Protocol
    request: Trace
    reply: Trace | None
    outcome: Outcome
    conntrack: Conntrack
    places: Mapping[str, Place]
    earlier: tuple[Trace, ...] = ()
    size: int = 0  # bytes of payload that the client meant to send; 0 is just the first packet

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The hops of the request and then of the reply, quiet ones included."""
        return self.request.hops + (self.reply.hops if self.reply else ())

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Everything that travelled, in order."""
        last = (self.request, self.reply) if self.reply else (self.request,)
        return (*self.earlier, *last)

    @property
    def heading(self) -> str:
        """`default/frontend -> svc/backend:80, TCP: answered`."""
        return f"{self.source} -> {self.target}, {self.protocol}: {self.outcome}"

    def __bool__(self) -> bool:
        return self.outcome == "answered"

    def __str__(self) -> str:
        titles = {name: place.title for name, place in self.places.items()}
        return connection_text(self.heading, self.traces, titles)

    __repr__ = __str__


def kind_of(netns: str) -> Kind:
    """What kind of thing a namespace is, by its name: `pod/default/web` is a pod."""
    match netns.split("/")[0]:
        case "pod":
            return "pod"
        case "node":
            return "node"
        case "router" | "lb":  # drawn alike: both are something between the world and the nodes
            return "router"
        case "outside":
            return "outside"
        case _:
            return "switch"


def place_of(network: Network, netns: str) -> Place:
    """The place of a namespace; a pod belongs to the machine at the end of its cable."""
    found = network.namespaces[netns]
    peers = (link.peer[0] for link in found.links if link.peer and link.kind == "veth")
    kind = kind_of(netns)
    machine = next(peers, netns) if kind == "pod" else netns
    return Place(netns=netns, title=found.title, machine=machine, kind=kind, links=found.links)


def places_of(network: Network, traces: tuple[Trace, ...]) -> dict[str, Place]:
    """Every namespace that the traces mention, and the machines that they belong to."""
    names = dict.fromkeys(name for trace in traces for name in _mentioned(trace))
    places = {name: place_of(network, name) for name in names if name in network.namespaces}
    for place in tuple(places.values()):
        if place.machine not in places:
            places[place.machine] = place_of(network, place.machine)
    return places


def _mentioned(trace: Trace) -> Iterator[str]:
    yield from (hop.netns for hop in trace.hops)
    yield from (frame.netns for frame in trace.frames)
    yield trace.end
