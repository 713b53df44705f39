"""The balancers beside netfilter: IPVS, and what eBPF programs do with the maps of `bpf`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from labkit.kernel.answers import icmp_error
from labkit.kernel.at import At, remember_refused
from labkit.kernel.bpf import Backend, Frontend, Maps, as_virtual
from labkit.kernel.host import Host, look_up, source_for
from labkit.kernel.ipvs import RealServer, VirtualServer, note, recalled, row, schedule
from labkit.kernel.journey import End, Journey
from labkit.kernel.kept import kept
from labkit.kernel.matching import Seen
from labkit.kernel.netfilter import Chain, Dnat, RandomDnat, Rule, Table
from labkit.kernel.netns import Netns
from labkit.kernel.packet import Address, Packet
from labkit.kernel.tracking import free_reply, opens, translated

replace = msgspec.structs.replace
Asked = tuple[str, Address, int]  # protocol, address, port


# --- IPVS --------------------------------------------------------------------------------


def balance(journey: Journey, at: At) -> End | None:
    """A new connection to a virtual server gets a real one; without any it is refused."""
    tracked, packet = at.tracked, at.packet
    service = virtual_servers(at.here.netns).get((packet.protocol, packet.dst, packet.dport))
    if service is None or tracked is None or tracked.known:
        return None
    name = at.here.netns.name
    server = schedule(service, journey.entries(name), packet, journey.now)
    if server is None:
        says = "The virtual server has no real server: the kernel refuses."
        journey.hop(name, at.hook, "reject", str(service), says, packet, table="ipvs")
        remember_refused(journey, at)
        return End("refused", name, packet, icmp_error(at.here, packet, "port-unreachable"))
    reply = replace(tracked.entry.reply, src=server.address, sport=server.port)
    entry = replace(tracked.entry, reply=reply)
    at.tracked = replace(tracked, entry=entry, settled=tracked.settled | {"dst"})
    at.packet = translated(packet, at.tracked, "dst")
    at.balanced = True
    why = f"{service} -> {server} Masq {server.weight}"
    says = f"New destination: {packet.destination} becomes {at.packet.destination}."
    journey.hop(name, at.hook, "rewrite", why, says, packet, at.packet, table="ipvs")
    return None


def virtual_servers(netns: Netns) -> Mapping[tuple[str, Address, int], VirtualServer]:
    return kept(netns, "virtual servers", by_address)


def by_address(netns: Netns) -> Mapping[tuple[str, Address, int], VirtualServer]:
    return {(s.protocol, s.address, s.port): s for s in netns.virtual_servers}


# --- eBPF --------------------------------------------------------------------------------


def connected(journey: Journey, start: str, packet: Packet) -> Packet | End:
    """What connect(2) makes of the address that a process names: a backend of the Service.

    The program sits in the node's root cgroup, so it sees the processes of its pods too. No
    packet with the Service's address is ever made.
    """
    here = journey.host(start)
    maps = here.netns.maps
    if maps is None or not maps.socket or not opens(packet) or packet.icmp is not None:
        return packet
    found = frontends(here.netns).get(named(here, maps, packet))
    if found is None:
        return packet
    backend = picked(journey, here, found, found.inside, packet)
    if backend is None:
        says = "The Service has no backend: connect(2) fails at once, no packet is sent."
        journey.hop(start, "socket", "drop", str(found), says, packet, table="bpf")
        return End("unreachable", start, packet)
    way = look_up(here, backend.address)
    src = source_for(here, way, backend.address) if way is not None else None
    after = replace(packet, dst=backend.address, dport=backend.port, src=src or packet.src)
    says = f"connect(2) takes {after.destination} in place of {packet.destination}."
    journey.hop(
        start, "socket", "rewrite", f"{found} => {backend}", says, packet, after, table="bpf"
    )
    return after


def named(here: Host, maps: Maps, packet: Packet) -> Asked:
    """The key to look for: on the node itself 127.0.0.1 means the node as well."""
    if packet.dst.is_loopback and maps.devices:
        mine = next((a for a in maps.own if a.version == packet.dst.version), packet.dst)
        return packet.protocol, mine, packet.dport
    return packet.protocol, packet.dst, packet.dport


def passing_tc(journey: Journey, at: At) -> End | None:
    """The programs on the device to the network, at the hook next to each."""
    if at.hook == "PREROUTING":
        return from_network(journey, at)
    to_network(journey, at)
    return None


def from_network(journey: Journey, at: At) -> End | None:
    """tc on the device to the network: node ports and outside addresses, before netfilter.

    *The lab simplifies*: the table of connections is conntrack's, not a map of its own.
    """
    tracked, packet, maps = at.tracked, at.packet, at.here.netns.maps
    if maps is None or tracked is None or tracked.known or at.in_device not in maps.devices:
        return None
    found = frontends(at.here.netns).get((packet.protocol, packet.dst, packet.dport))
    if found is None or found.kind == "ClusterIP":
        return None  # a ClusterIP is none of the network's business
    name = at.here.netns.name
    if found.source_ranges and not any(packet.src in net for net in found.source_ranges):
        says = "The sender is outside the Service's source ranges."
        journey.hop(name, "tc", "drop", str(found), says, packet, table="bpf")
        return End("dropped", name, packet)
    backend = picked(journey, at.here, found, found.outside, packet)
    if backend is None:
        return no_backend(journey, at, found)
    hide = found.hides and not backend.near
    own = next((a for a in maps.own if a.version == packet.dst.version), packet.src)
    entries = journey.entries(name)
    reply = replace(tracked.entry.reply, src=backend.address, sport=backend.port)
    reply = free_reply(entries, replace(reply, dst=own) if hide else reply)
    entry = replace(tracked.entry, reply=reply)
    at.tracked = replace(tracked, entry=entry, settled=frozenset({"dst", "src"}))
    at.packet = translated(packet, at.tracked, "dst")
    says = f"New destination: {packet.destination} becomes {at.packet.destination}."
    journey.hop(
        name, "tc", "rewrite", f"{found} => {backend}", says, packet, at.packet, table="bpf"
    )
    return None


def to_network(journey: Journey, at: At) -> None:
    """tc on the way out: the sender's address gives way to the node's, if the maps say so."""
    tracked, packet = at.tracked, at.packet
    if tracked is None or tracked.known or "src" not in tracked.settled:
        return
    at.packet = translated(packet, tracked, "src")
    if at.packet != packet:
        why = f"{packet.source} => {at.packet.source}"
        says = f"New source: {packet.source} becomes {at.packet.source}."
        name = at.here.netns.name
        journey.hop(name, "tc", "rewrite", why, says, packet, at.packet, table="bpf")


def no_backend(journey: Journey, at: At, found: Frontend) -> End:
    """Silence where backends on other nodes could answer, a refusal where nobody can."""
    name, packet = at.here.netns.name, at.packet
    if found.inside:
        says = "No backend on this node, and the policy allows no other."
        journey.hop(name, "tc", "drop", str(found), says, packet, table="bpf")
        return End("dropped", name, packet)
    says = "The Service has no backend: the sender is told so."
    journey.hop(name, "tc", "reject", str(found), says, packet, table="bpf")
    remember_refused(journey, at)
    return End("refused", name, packet, icmp_error(at.here, packet, "port-unreachable"))


def picked(
    journey: Journey, here: Host, found: Frontend, backends: tuple[Backend, ...], packet: Packet
) -> Backend | None:
    """One of the backends, all with the same chance; a known client's own if there is affinity."""
    if not backends:
        return None
    if found.affinity is not None:
        entries, service = journey.entries(here.netns.name), as_virtual(found, backends)
        known = recalled(service, "bpf", packet.src, entries, journey.now)
        if known is not None:
            backend = backend_at(backends, known.address, known.port)
            return remembered(journey, here, found, backend, packet)
    drawn = RandomDnat(tuple(Dnat(b.address, b.port) for b in backends))
    chain = Chain(name=str(found), rules=(Rule((), drawn),))
    table = Table(name="bpf", chains={chain.name: chain}, tool="nft")
    seen = Seen(here, packet, int(packet.src), int(packet.dst), packet.protocol.lower())
    target = journey.decide(table, chain, seen, packet.mark).target
    assert isinstance(target, Dnat)
    backend = backend_at(backends, target.address, target.port or 0)
    return remembered(journey, here, found, backend, packet)


def backend_at(backends: tuple[Backend, ...], address: Address, port: int) -> Backend:
    return next(b for b in backends if b.port == port and b.address == address)


def remembered(
    journey: Journey, here: Host, found: Frontend, backend: Backend, packet: Packet
) -> Backend:
    if found.affinity is not None:
        server = RealServer(backend.address, backend.port)
        made = row(as_virtual(found, ()), "bpf", packet.src, server)
        expires = journey.now + found.affinity
        note(journey.entries(here.netns.name), replace(made, expires=expires))
    return backend


def frontends(netns: Netns) -> Mapping[Asked, Frontend]:
    return kept(netns, "frontends", by_key)


def by_key(netns: Netns) -> Mapping[Asked, Frontend]:
    assert netns.maps is not None
    return {(f.protocol, f.address, f.port): f for f in netns.maps.frontends}
