"""A name looked up in a place of the cluster: every question travels as packets.

*The lab simplifies*: answers fit into one datagram, so that nobody asks again by TCP. Where
`forward` is told to use TCP each question opens a connection, of which the handshake is walked;
in life one connection serves many questions, and so they meet one pod.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from labkit.api.core import Pod
from labkit.api.state import State
from labkit.dns.message import (
    Answer,
    Query,
    Transport,
    address_text,
    address_type,
    fqdn,
    reverse_name,
)
from labkit.dns.metrics import added
from labkit.dns.plugin import Names
from labkit.dns.process import is_coredns, node_file, outside, pod_file, running, world_of
from labkit.dns.resolvconf import ResolvConf
from labkit.dns.resolver import Exchange, Fault, Kind, Lookup, Sent, look_up
from labkit.dns.server import Reply, ask
from labkit.errors import CommandError
from labkit.given import checked
from labkit.kernel.conntrack import Conntrack
from labkit.kernel.packet import IP_HEADER, TRANSPORT_HEADER, Address, Packet
from labkit.kernel.walk import source_address, walk
from labkit.traffic.connect import Medium, seen
from labkit.traffic.connection import Connection, Outcome, places_of
from labkit.traffic.places import Spot, resolve_place, split_port
from labkit.traffic.text import plural

FIRST_PORT = 33000  # of the client's sockets for questions; one for each
DNS_PORT = 53
DNS_HEADER = 12
BOTH = "A+AAAA"
MOST_ROUNDS = 16
"""How deep a question that comes back to its server goes round; in life `max_concurrent` or the
memory ends it, after a thousand rounds or more."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question on the wire: its packets, who took it, and how that server answered.

    `server` is the namespace of the server ("" if none took it); `reply` is CoreDNS's own
    account, None for other servers.
    """

    sent: Sent
    connection: Connection | None
    server: str = ""
    reply: Reply | None = None


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """A name looked up: the answer, the questions in order, and what everybody remembers."""

    source: str
    conf: ResolvConf
    lookup: Lookup
    questions: tuple[Question, ...]
    names: Names
    conntrack: Conntrack
    now: float = 0.0  # seconds of the cluster's clock
    file: str = ""  # where the answer stood, if nobody was asked: /etc/hosts

    @property
    def name(self) -> str:
        return self.lookup.name

    @property
    def addresses(self) -> tuple[Address, ...]:
        found = (address_text(text) for text in self.lookup.addresses)
        return tuple(ip_address(text) for text in found if text)

    @property
    def cache_hits(self) -> int:
        return sum(1 for q in self.questions if q.reply and q.reply.cached)

    @property
    def stations(self) -> tuple[str, ...]:
        """The plugins that the last question crossed, in order."""
        replies = [q.reply for q in self.questions if q.reply]
        return tuple(s.plugin for s in replies[-1].stations) if replies else ()

    def __bool__(self) -> bool:
        return bool(self.lookup)

    def __str__(self) -> str:
        found = ", ".join(self.lookup.addresses) or self.lookup.problem
        asked = plural(len(self.questions), "question")
        lines = [f"{self.source}: {self.name} -> {found} ({asked})"]
        rows = [_row(number, q) for number, q in enumerate(self.questions, 1)]
        width = max((len(row[1]) for row in rows), default=0)
        lines += [f"{n:>3}  {name:<{width}}  {type_:<5} {rest}" for n, name, type_, rest in rows]
        return "\n".join(lines)

    __repr__ = __str__


def _row(number: int, question: Question) -> tuple[int, str, str, str]:
    sent, reply = question.sent, question.reply
    told: str = sent.fault or ""
    if sent.answer:
        told = sent.answer.rcode
        if sent.answer.answer:
            told = f"{told} {sent.answer.text}"
        elif sent.answer.exists:
            told = "NOERROR, but no record of this type"
    if reply and reply.cached:
        told += " (from the cache)"
    elif reply and reply.upstreams:
        told += f" (asked {reply.upstreams[-1]})"
    return number, sent.query.name, sent.query.type, told


@checked
def resolve(
    state: State,
    medium: Medium,
    source: str,
    name: str,
    type_: str = BOTH,
    *,
    namespace: str = "default",
    names: Names | None = None,
    conntrack: Conntrack | None = None,
    past: Sequence[State] = (),
    resolver: Kind | None = None,
    server: str = "",
    protocol: Transport = "UDP",
) -> Resolution:
    """The name as a program at `source` looks it up.

    Args:
        type_: types of records, joined by `+`; an address and `PTR` asks for its name.
        past: earlier states, newest first: a broken Corefile leaves an older one serving.
        resolver: the C library, or `busybox-nslookup`; else that of the pod's image.
        server: the address asked instead of those in the pod's file.
        protocol: over what the questions go; a resolver takes TCP by itself only where an answer
            was cut off.

    Raises:
        NotFound, CommandError: there is no such place.
    """
    if server and not address_text(split_port(server)[0]):
        raise CommandError(f"server {server}: no address; give one such as 10.96.0.10")
    spot = resolve_place(state, source, namespace)
    wire = Wire(state, medium, spot, names or Names(), conntrack or {}, (state, *past))
    wire.protocol = protocol
    conf = _conf(state, spot, server)
    types = tuple(type_.upper().split("+"))
    kind = resolver or library_of(spot.pod)
    mine = _at_hand(spot, name, types, kind)
    if mine:
        lookup = Lookup(name=name, resolver=kind, sent=(), addresses=mine, canonical=name)
    else:
        asked = reverse_name(name) if types == ("PTR",) and address_text(name) else name
        lookup = look_up(asked, conf, wire.exchange, kind, types, wire.names.asked + 1)
        lookup = replace(lookup, name=name)
    return Resolution(
        source=spot.text,
        conf=conf,
        lookup=lookup,
        questions=tuple(wire.questions),
        names=wire.names,
        conntrack=wire.conntrack,
        now=medium.now,
        file="/etc/hosts" if mine else "",
    )


def _at_hand(spot: Spot, name: str, types: tuple[str, ...], kind: Kind) -> tuple[str, ...]:
    """Addresses for which nobody is asked: the name is one, or stands in `/etc/hosts`."""
    if address_text(name) and types != ("PTR",):
        return (name,)
    if kind == "busybox-nslookup" or not set(types) <= {"A", "AAAA"}:
        return ()
    wanted = fqdn(name.lower())
    return tuple(ip for ip, own in hosts_rows(spot) if own == wanted and address_type(ip) in types)


def library_of(pod: Pod | None) -> Kind:
    """musl in Alpine's images, glibc in all others."""
    images = " ".join(c.image for c in pod.spec.containers) if pod else ""
    return "musl" if "alpine" in images else "glibc"


def _conf(state: State, spot: Spot, server: str) -> ResolvConf:
    found = conf_of(state, spot)
    return replace(found, nameservers=(server,)) if server else found


def conf_of(state: State, spot: Spot) -> ResolvConf:
    """The `/etc/resolv.conf` of a place."""
    if spot.pod:
        return pod_file(state, spot.pod)[0]
    return node_file(state, spot.node.name if spot.node else "")


def hosts_rows(spot: Spot) -> tuple[tuple[str, str], ...]:
    """(address, name) of a place's `/etc/hosts`, as the kubelet writes it for pods."""
    rows = [("127.0.0.1", "localhost."), ("::1", "localhost.")]
    if spot.pod is None:
        return tuple(rows)
    own = spot.pod.spec.hostname or spot.pod.name
    rows += [(str(a), f"{own}.") for a in spot.pod.addresses]
    for alias in spot.pod.manifest.get("spec", {}).get("hostAliases") or ():
        rows += [(alias["ip"], fqdn(name.lower())) for name in alias.get("hostnames", ())]
    return tuple(rows)


class _Heard(NamedTuple):
    """What came back, its packets, and who answered."""

    came: Answer | Fault
    connection: Connection | None = None
    server: str = ""
    reply: Reply | None = None


class Wire:
    """The network during one look-up: it carries questions, and servers answer on it.

    Lives for one call of `resolve`; what lasts is handed back in a `Resolution`.
    """

    def __init__(
        self,
        state: State,
        medium: Medium,
        spot: Spot,
        names: Names,
        conntrack: Conntrack,
        states: Sequence[State],
    ) -> None:
        self.names = names
        self.conntrack = conntrack
        self.questions: list[Question] = []
        self.protocol: Transport = "UDP"
        self._rounds = 0
        self._state, self._medium, self._spot, self._states = state, medium, spot, states

    @property
    def exchange(self) -> Exchange:
        return self._asked

    def _asked(self, server: str, query: Query) -> Answer | Fault:
        query = replace(query, protocol=self.protocol)
        heard = self._carried(self._spot.netns, self._spot.text, server, query)
        fault = None if isinstance(heard.came, Answer) else heard.came
        answer = heard.came if isinstance(heard.came, Answer) else None
        self.questions.append(
            Question(
                sent=Sent(server, query, answer, fault),
                connection=heard.connection,
                server=heard.server,
                reply=heard.reply,
            )
        )
        return heard.came

    def _carried(self, start: str, who: str, server: str, query: Query) -> _Heard:
        """A question from a namespace to a server's address, and the answer's way back."""
        host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
        src = source_address(self._medium.network, start, ip_address(host))
        if src is None:
            return _Heard("unreachable")
        packet = self._packet(src, ip_address(host), int(port or DNS_PORT), query)
        network, dice, now = self._medium
        request = walk(network, start, packet, dice, self.conntrack, now)
        self.conntrack = request.conntrack
        answer: Answer | None = None
        reply: Reply | None = None
        if request.outcome == "delivered":
            answer, reply = self._served(request.end, request.packet, query)
        silent = request.outcome == "delivered" and answer is None
        request = replace(request, conntrack=self.conntrack)
        request = replace(request, answer=None) if silent else request
        exchange = self._medium.answer(request)
        self.conntrack = exchange.conntrack
        outcome = seen(start, *exchange)
        connection = Connection(
            source=who,
            target=f"{server}:53" if not port else server,
            protocol=query.protocol,
            request=exchange.request,
            reply=exchange.reply,
            outcome=outcome,
            conntrack=exchange.conntrack,
            places=places_of(network, exchange.traces),
        )
        came = answer if outcome == "answered" and answer else _fault(outcome)
        end = request.end if answer else ""
        return _Heard(came, connection, end, reply)

    def _packet(self, src: Address, dst: Address, port: int, query: Query) -> Packet:
        number = self.names.asked
        self.names = replace(self.names, asked=number + 1)
        sport = FIRST_PORT + number % 8000
        if query.protocol == "TCP":
            return Packet(src=src, dst=dst, sport=sport, dport=port, flags="SYN")
        size = IP_HEADER[dst.version] + TRANSPORT_HEADER["UDP"] + DNS_HEADER + len(query.name) + 5
        return Packet(src=src, dst=dst, protocol="UDP", sport=sport, dport=port, size=size)

    def _served(self, end: str, packet: Packet, query: Query) -> tuple[Answer | None, Reply | None]:
        """What the process at the end says; nothing if it speaks no DNS."""
        if end == "outside":
            return outside(query), None
        pod = self._server_at(end)
        server = running(pod, self._states).server if pod else None
        if pod is None or server is None:
            return None, None
        if self._rounds >= MOST_ROUNDS:
            return Answer(rcode="REFUSED"), None
        place = f"{pod.namespace}/{pod.name}"

        def upstream(address: str, asked: Query) -> Answer | None:
            self._rounds += 1
            came = self._carried(end, place, address, asked).came
            self._rounds -= 1
            return came if isinstance(came, Answer) else None

        query = replace(query, client=str(packet.src))
        world = world_of(self._state, pod, upstream)
        memory, now = server.own(self.names.caches.get(place, {})), self._medium.now
        at = str(packet.dst)
        reply = ask(server, world, query, memory, now, port=packet.dport, at=at)
        self._keep(place, reply)
        return reply.answer, reply

    def _server_at(self, end: str) -> Pod | None:
        """The pod whose CoreDNS listens in a namespace: the pod's own, or its node's."""
        kind, _, place = end.partition("/")
        if kind == "node":
            pods = (p for p in self._state.list(Pod) if p.spec.host_network and is_coredns(p))
            return next((p for p in pods if p.spec.node_name == place), None)
        namespace, _, name = place.partition("/")
        pod = self._state.get(Pod, name, namespace)
        return pod if kind == "pod" and pod and is_coredns(pod) else None

    def _keep(self, place: str, reply: Reply) -> None:
        """What the server remembers and has counted goes into the lab's memory."""
        caches, counts = self.names.caches, self.names.counts
        self.names = replace(
            self.names,
            caches={**caches, place: reply.memory},
            counts={**counts, place: added(counts.get(place, {}), reply.counts)},
        )


def _fault(outcome: Outcome) -> Fault:
    match outcome:
        case "refused" | "unreachable":
            return outcome
        case _:
            return "timed out"
