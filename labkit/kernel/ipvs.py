"""IPVS: the kernel's own balancer. Virtual servers, and who is next.

A connection that is already known is turned by its conntrack entry. *The lab simplifies*: the
entry does so where NAT sits; IPVS has a table of its own beside it and acts at INPUT, OUTPUT
and FORWARD. A persistent client is forgotten `persistent` seconds after its last new connection;
the kernel keeps it while one of its connections lives, and looks once a minute.

Source: Linux net/netfilter/ipvs/ip_vs_{core,conn,sched,rr,lc,wlc,sed,nq,sh,dh}.c, ipvsadm(8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from labkit.kernel.conntrack import Entry, Tuple
from labkit.kernel.packet import Address, Packet, Protocol, endpoint

FOREVER = 1e12  # seconds
TABLE_BITS = 8  # sh and dh spread addresses over 256 buckets
GOLDEN = 0x61C88647


class RealServer(msgspec.Struct, frozen=True):
    """Where connections go. Weight 0 takes no new ones."""

    address: Address
    port: int
    weight: int = 1

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


class VirtualServer(msgspec.Struct, frozen=True, kw_only=True):
    """An address and port that is balanced. `persistent` is in seconds, None without."""

    protocol: Protocol
    address: Address
    port: int
    scheduler: str = "rr"
    persistent: int | None = None
    servers: tuple[RealServer, ...] = ()

    def __str__(self) -> str:
        """As `ipvsadm -Ln` heads its servers: `TCP  10.96.0.20:80 rr`."""
        flags = f" persistent {self.persistent}" if self.persistent is not None else ""
        return f"{self.protocol}  {endpoint(self.address, self.port)} {self.scheduler}{flags}"


Loads = dict[RealServer, tuple[int, int]]  # connections: active, inactive
Pick = Callable[[tuple[RealServer, ...], Loads, RealServer | None, Packet], RealServer]


# --- memory --------------------------------------------------------------------------------


def loads(service: VirtualServer, entries: Iterable[Entry], now: float) -> Loads:
    """How many connections each server has; one to a server that is gone counts nowhere."""
    found = {server: [0, 0] for server in service.servers}
    ends = {(server.address, server.port): server for server in service.servers}
    for entry in connections(service, entries, now):
        server = ends.get((entry.reply.src, entry.reply.sport))
        if server is not None:
            found[server][0 if active(entry) else 1] += 1
    return {server: (many[0], many[1]) for server, many in found.items()}


def active(entry: Entry) -> bool:
    return entry.state == "ESTABLISHED"


def connections(service: VirtualServer, entries: Iterable[Entry], now: float) -> Iterable[Entry]:
    to = (service.protocol, service.address, service.port)
    for entry in entries:
        asked = entry.original
        known = entry.confirmed and not entry.socket and entry.expires >= now
        if known and (asked.protocol, asked.dst, asked.dport) == to:
            yield entry


def row(service: VirtualServer, kind: str, client: Address, server: RealServer) -> Entry:
    """A memory of the balancer: who was served last, or which server a client has."""
    return Entry(
        original=Tuple(service.protocol, client, 0, service.address, service.port),
        reply=Tuple(service.protocol, server.address, server.port, client, 0),
        expires=FOREVER,
        confirmed=False,
        member_of=f"ipvs {kind}",
    )


def recalled(
    service: VirtualServer, kind: str, client: Address, entries: Iterable[Entry], now: float
) -> RealServer | None:
    """The server of such a memory, if it still takes connections."""
    asked = Tuple(service.protocol, client, 0, service.address, service.port)
    for entry in entries:
        if entry.member_of == f"ipvs {kind}" and entry.original == asked and entry.expires >= now:
            end = (entry.reply.src, entry.reply.sport)
            return next((s for s in service.servers if (s.address, s.port) == end), None)
    return None


def note(entries: list[Entry], made: Entry) -> None:
    """The memory takes the place of the one before."""
    entries[:] = [
        e for e in entries if (e.member_of, e.original) != (made.member_of, made.original)
    ]
    entries.append(made)


# --- schedulers ----------------------------------------------------------------------------


def schedule(
    service: VirtualServer, entries: list[Entry], packet: Packet, now: float
) -> RealServer | None:
    """The server of a new connection; None where nobody takes one. `entries` remember it."""
    able = tuple(server for server in service.servers if server.weight > 0)
    if not able:
        return None
    kept = None
    if service.persistent is not None:
        kept = recalled(service, "persistent", packet.src, entries, now)
    last = recalled(service, "last", service.address, entries, now)
    load = loads(service, entries, now)
    chosen = kept or SCHEDULERS[service.scheduler](able, load, last, packet)
    if kept is None:
        note(entries, row(service, "last", service.address, chosen))
    if service.persistent is not None:
        made = row(service, "persistent", packet.src, chosen)
        note(entries, msgspec.structs.replace(made, expires=now + service.persistent))
    return chosen


def round_robin(
    able: tuple[RealServer, ...], load: Loads, last: RealServer | None, packet: Packet
) -> RealServer:
    if last not in able:
        return able[0]
    return able[(able.index(last) + 1) % len(able)]


def weighted(
    able: tuple[RealServer, ...], load: Loads, last: RealServer | None, packet: Packet
) -> RealServer:
    """`wrr`. kube-proxy gives every server the weight 1, so it is a plain rotation."""
    turns = [server for server in able for _ in range(server.weight)]
    return turns[(turns.index(last) + turns.count(last)) % len(turns)] if last in able else turns[0]


def least(cost: Callable[[RealServer, int, int], float]) -> Pick:
    """The first of the cheapest servers."""

    def pick(
        able: tuple[RealServer, ...], load: Loads, last: RealServer | None, packet: Packet
    ) -> RealServer:
        return min(able, key=lambda server: cost(server, *load[server]))

    return pick


def never_queue(
    able: tuple[RealServer, ...], load: Loads, last: RealServer | None, packet: Packet
) -> RealServer:
    idle = next((server for server in able if load[server][0] == 0), None)
    return idle or SCHEDULERS["sed"](able, load, last, packet)


def hashed(read: Callable[[Packet], Address]) -> Pick:
    """Equal addresses get equal servers, as long as the servers stay the same."""

    def pick(
        able: tuple[RealServer, ...], load: Loads, last: RealServer | None, packet: Packet
    ) -> RealServer:
        turns = [server for server in able for _ in range(server.weight)]
        return turns[bucket(read(packet)) % len(turns)]

    return pick


def bucket(address: Address) -> int:
    """Which of 256 buckets an address falls into; IPv6 is folded to 32 bits first."""
    number, folded = int(address), 0
    while number:
        folded ^= number & 0xFFFFFFFF
        number >>= 32
    return (folded * GOLDEN & 0xFFFFFFFF) >> (32 - TABLE_BITS)


SCHEDULERS: dict[str, Pick] = {
    "rr": round_robin,
    "wrr": weighted,
    "lc": least(lambda server, busy, quiet: busy * 256 + quiet),
    "wlc": least(lambda server, busy, quiet: (busy * 256 + quiet) / server.weight),
    "sh": hashed(lambda packet: packet.src),
    "dh": hashed(lambda packet: packet.dst),
    "sed": least(lambda server, busy, quiet: (busy + 1) / server.weight),
    "nq": never_queue,
}


# --- ipvsadm -------------------------------------------------------------------------------


HEAD = (
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
)


def ipvsadm_list(
    services: Iterable[VirtualServer], entries: Iterable[Entry] = (), now: float = 0.0
) -> str:
    """`ipvsadm -Ln`. A server that left but still has connections stands there with weight 0."""
    known = tuple(entries)
    order = {"TCP": 0, "UDP": 1, "SCTP": 2}
    rows = []
    for service in sorted(services, key=lambda s: (order[s.protocol], int(s.address), s.port)):
        rows.append(str(service))
        for server in sorted((*service.servers, *leaving(service, known, now)), key=place):
            many = loads(msgspec.structs.replace(service, servers=(server,)), known, now)
            busy, quiet = many[server]
            rows.append(
                f"  -> {server!s:<28} {'Masq':<7} {server.weight:<6} {busy:<10} {quiet:<10}"
            )
    return HEAD + "".join(f"{line}\n" for line in rows)


def place(server: RealServer) -> tuple[int, int]:
    return int(server.address), server.port


def leaving(service: VirtualServer, entries: Iterable[Entry], now: float) -> tuple[RealServer, ...]:
    """kube-proxy takes a server away only when its last connection has ended; UDP at once."""
    if service.protocol == "UDP":
        return ()
    have = {(s.address, s.port) for s in service.servers}
    ends = {(e.reply.src, e.reply.sport) for e in connections(service, entries, now)}
    own = (service.address, service.port)
    return tuple(RealServer(a, port, 0) for a, port in ends - have if (a, port) != own)
