"""A client reaches for a target: the request's way, and the way back of what was answered."""

from __future__ import annotations

from typing import NamedTuple, get_args

import msgspec
from msgspec.structs import replace

from labkit.api.state import State
from labkit.errors import CommandError
from labkit.given import Port, checked
from labkit.kernel.conntrack import Conntrack
from labkit.kernel.dice import Dice, FirstDice
from labkit.kernel.netns import Network
from labkit.kernel.packet import IP_HEADER, TRANSPORT_HEADER, Address, Icmp, Packet, Protocol
from labkit.kernel.trace import Trace
from labkit.kernel.walk import source_address, walk
from labkit.traffic.connection import Connection, Outcome, Place, places_of
from labkit.traffic.places import Spot, Target, resolve_place, resolve_target

__all__ = ["Asked", "Connection", "Outcome", "Place", "asked", "connect", "first_packet", "seen"]

FIRST_PORT = 41000
"""The lab's first ephemeral port; a cluster counts up from it, one for each connection."""
PING = 56  # bytes of payload that `ping` sends
TRIES = 5  # path-MTU discovery gives up after so many smaller packets

SEEN_ERRORS: dict[str, Outcome] = {
    # What connect() returns when an ICMP error of this kind comes back.
    "port-unreachable": "refused",
    "host-unreachable": "unreachable",
    "net-unreachable": "unreachable",
    "admin-prohibited": "unreachable",
    "time-exceeded": "unreachable",
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question about the network, with its words resolved: who sends what to whom."""

    spot: Spot
    target: Target
    packet: Packet


class Exchange(NamedTuple):
    """A packet's way and the way of its answer, if one was sent."""

    request: Trace
    reply: Trace | None

    @property
    def conntrack(self) -> Conntrack:
        return (self.reply or self.request).conntrack

    @property
    def traces(self) -> tuple[Trace, ...]:
        return (self.request, self.reply) if self.reply else (self.request,)


class Medium(NamedTuple):
    """Where packets are walked: the network, the dice and the time."""

    network: Network
    dice: Dice
    now: float

    def exchange(self, start: str, packet: Packet, conntrack: Conntrack) -> Exchange:
        """The packet's walk, and its answer's walk back."""
        return self.answer(walk(self.network, start, packet, self.dice, conntrack, self.now))

    def answer(self, request: Trace) -> Exchange:
        """The walk back of what a request's end sends."""
        if request.answer is None:
            return Exchange(request, None)
        tracked, answer = request.conntrack, request.answer
        reply = walk(self.network, request.end, answer, self.dice, tracked, self.now)
        return Exchange(request, reply)


def asked(
    state: State,
    network: Network,
    source: str,
    target: str,
    *,
    protocol: Protocol = "TCP",
    sport: int | None = None,
    namespace: str = "default",
    dice: Dice | None = None,
) -> Asked:
    """The first packet of a connection, from words such as `pod/frontend` and `svc/backend:80`.

    Raises:
        NotFound, CommandError: as `resolve_place` and `resolve_target`.
    """
    dice, protocol = dice or FirstDice(), known_protocol(protocol)
    spot = resolve_place(state, source, namespace)
    goal = resolve_target(state, target, namespace=namespace, protocol=protocol, pick=dice.below)
    packet = first_packet(network, spot, goal, protocol, sport or FIRST_PORT)
    return Asked(spot=spot, target=goal, packet=packet)


def known_protocol(text: str) -> Protocol:
    """The protocol of that name, in either case; CommandError lists the choices."""
    for protocol in get_args(Protocol):
        if protocol == text.upper():
            found: Protocol = protocol
            return found
    raise CommandError(f"protocol `{text}`: choose one of {', '.join(get_args(Protocol))}")


def first_packet(
    network: Network, spot: Spot, goal: Target, protocol: Protocol, sport: int
) -> Packet:
    """TCP's SYN, one small datagram, or ping's echo request."""
    src = _source(network, spot, goal.address)
    if protocol == "ICMP":
        size = IP_HEADER[goal.address.version] + TRANSPORT_HEADER["ICMP"] + PING
        return Packet(
            src=src, dst=goal.address, protocol="ICMP", size=size, icmp=Icmp("echo-request")
        )
    return Packet(
        src=src,
        dst=goal.address,
        protocol=protocol,
        sport=sport,
        dport=goal.port,
        flags="SYN" if protocol == "TCP" else "",
    )


def _source(network: Network, spot: Spot, dst: Address) -> Address:
    """The kernel's choice; where no route leads to `dst`, nobody will see the address."""
    return source_address(network, spot.netns, dst) or (*spot.addresses, dst)[0]


@checked
def connect(
    state: State,
    network: Network,
    source: str,
    target: str,
    *,
    protocol: Protocol = "TCP",
    sport: Port | None = None,
    namespace: str = "default",
    conntrack: Conntrack | None = None,
    dice: Dice | None = None,
    now: float = 0.0,
    size: int = 0,
) -> Connection:
    """A client at `source` connects to `target`, and for `size` > 0 sends that many bytes.

    TCP shakes hands with small packets first; a transfer's packet is as large as both ends'
    devices allow, and shrinks when an ICMP error says so (path-MTU discovery). UDP sends one
    datagram. *The lab simplifies*: of a transfer one packet is sent, the first of full size.

    Args:
        conntrack: what the namespaces remember of earlier connections.
        now: seconds of the cluster's clock.
        size: bytes of payload.

    Raises:
        NotFound, CommandError: source or target are not there, with the nearest names.
    """
    if size < 0:
        raise CommandError(f"size {size}: bytes of payload are 0 or more")
    question = asked(
        state,
        network,
        source,
        target,
        protocol=protocol,
        sport=sport,
        namespace=namespace,
        dice=dice,
    )
    medium = Medium(network, dice or FirstDice(), now)
    found = answered(question, medium, conntrack or {})
    if size and (found or found.protocol != "TCP"):
        found = transferred(question, medium, found, size, conntrack or {})
    return found


def answered(question: Asked, medium: Medium, conntrack: Conntrack) -> Connection:
    """The first packet's exchange."""
    exchange = medium.exchange(question.spot.netns, question.packet, conntrack)
    outcome = seen(question.spot.netns, *exchange)
    return _connection(question, medium, (exchange,), outcome)


def _connection(
    question: Asked,
    medium: Medium,
    exchanges: tuple[Exchange, ...],
    outcome: Outcome,
    size: int = 0,
) -> Connection:
    traces = tuple(trace for exchange in exchanges for trace in exchange.traces)
    last = exchanges[-1]
    return Connection(
        source=question.spot.text,
        target=question.target.text,
        protocol=question.packet.protocol,
        request=last.request,
        reply=last.reply,
        outcome=outcome,
        conntrack=last.conntrack,
        places=places_of(medium.network, traces),
        earlier=tuple(trace for exchange in exchanges[:-1] for trace in exchange.traces),
        size=size,
    )


SOFT_ERRORS = ("host-unreachable", "net-unreachable", "time-exceeded")


def seen(client: str, request: Trace, reply: Trace | None) -> Outcome:
    """What the client is told.

    Only what comes back counts: an RST or ICMP error that is lost on its way is silence, and
    so is an answer from an address that the client never asked (its NAT was not undone).
    Source: Linux `tcp_v4_err`: in SYN_SENT an ICMP error ends the attempt; `__udp4_lib_err`:
    a UDP socket is told of no error that may pass.
    """
    if reply is None:
        at_home = request.end == client and request.outcome == "unreachable"
        return "unreachable" if at_home else "timed out"
    if reply.outcome != "delivered" or reply.end != client:
        return "timed out"
    came = reply.packet
    if came.icmp and came.icmp.kind != "echo-reply":
        if request.packet.protocol == "UDP" and came.icmp.kind in SOFT_ERRORS:
            return "timed out"
        return SEEN_ERRORS.get(came.icmp.kind, "timed out")
    return "refused" if "RST" in came.flags else "answered"


def transferred(
    question: Asked, medium: Medium, shaken: Connection, size: int, conntrack: Conntrack
) -> Connection:
    """A transfer of `size` bytes after the handshake, with path-MTU discovery.

    Every error that teaches the client a smaller packet is recorded with its try.
    """
    client, packet = question.spot.netns, _data_packet(question.packet, size, shaken, medium)
    done: list[Exchange] = []
    if packet.protocol == "TCP":
        done.append(Exchange(shaken.request, shaken.reply))
        conntrack = shaken.conntrack
    outcome: Outcome = "timed out"
    for _ in range(TRIES):
        exchange = medium.exchange(client, packet, conntrack)
        outcome = seen(client, *exchange)
        done.append(exchange)
        conntrack = exchange.conntrack
        smaller = _learned_mtu(client, exchange)
        if not smaller or smaller >= packet.size:
            break
        packet = replace(packet, size=smaller)
    return _connection(question, medium, tuple(done), outcome, size)


def _data_packet(first: Packet, size: int, shaken: Connection, medium: Medium) -> Packet:
    """The transfer's packet, no larger than the devices of the two ends take.

    The client knows its own; TCP's server tells it by its MSS. A larger datagram leaves in
    fragments, of which this is the first.
    """
    whole = size + IP_HEADER[first.dst.version] + TRANSPORT_HEADER[first.protocol]
    frames = shaken.request.frames
    if not frames:
        return replace(first, size=whole)
    near, far = (medium.network.namespaces[f.netns].link(f.device) for f in (frames[0], frames[-1]))
    if first.protocol != "TCP":
        return replace(first, size=min(whole, near.mtu))
    return replace(first, size=min(whole, near.mtu, far.mtu), flags="PSH,ACK")


def _learned_mtu(client: str, exchange: Exchange) -> int:
    """The size that a "fragmentation needed" taught the client; 0 if none reached it."""
    reply = exchange.reply
    if reply is None or reply.outcome != "delivered" or reply.end != client:
        return 0
    icmp = reply.packet.icmp
    return icmp.mtu if icmp and icmp.kind == "fragmentation-needed" else 0


def trace(connection: Connection) -> Connection:
    """The same connection with the request's way only; its outcome still tells the whole."""
    return replace(connection, reply=None, earlier=())
