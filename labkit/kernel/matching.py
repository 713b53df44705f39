"""What one rule asks of a packet: each kind of match as a function."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from labkit.kernel.host import Host
from labkit.kernel.ipsets import contains
from labkit.kernel.netfilter import (
    AddrType,
    BridgePort,
    CtState,
    Destination,
    DestinationPort,
    InDevice,
    InSet,
    Lookup,
    Mark,
    Match,
    OneOf,
    OutDevice,
    Ports,
    Proto,
    Recent,
    Source,
    SourcePort,
)
from labkit.kernel.nft_sets import holds
from labkit.kernel.packet import Packet


def nobody(name: str) -> bool:
    return False


class Seen(msgspec.Struct):
    """A packet at a hook: everything that a rule can ask about, but its mark.

    `known` says whether the packet's source is in a list of clients.
    """

    here: Host
    packet: Packet
    src: int
    dst: int
    protocol: str
    in_device: str = ""
    out_device: str = ""
    states: frozenset[str] = frozenset()
    known: Callable[[str], bool] = nobody


Check = Callable[[Seen, int], bool]


def check_of(match: Match) -> Check:
    """A match as a function of the packet and its mark; TypeError for a form that nobody emits."""
    build = CHECKS.get(type(match))
    if build is None:
        raise TypeError(f"no meaning for {match!r}")
    check = build(match)
    if getattr(match, "negate", False):
        return lambda seen, mark: not check(seen, mark)
    return check


def source(match: Source) -> Check:
    net, mask = int(match.net.network_address), int(match.net.netmask)
    return lambda seen, mark: seen.src & mask == net


def destination(match: Destination) -> Check:
    net, mask = int(match.net.network_address), int(match.net.netmask)
    return lambda seen, mark: seen.dst & mask == net


def in_device(match: InDevice) -> Check:
    if match.name.endswith("+"):
        stem = match.name[:-1]
        return lambda seen, mark: seen.in_device.startswith(stem)
    return lambda seen, mark: seen.in_device == match.name


def out_device(match: OutDevice) -> Check:
    if match.name.endswith("+"):
        stem = match.name[:-1]
        return lambda seen, mark: seen.out_device.startswith(stem)
    return lambda seen, mark: seen.out_device == match.name


def proto(match: Proto) -> Check:
    return lambda seen, mark: seen.protocol == match.name


def destination_port(match: DestinationPort) -> Check:
    first, last = match.first, match.last or match.first
    return lambda seen, mark: first <= seen.packet.dport <= last


def source_port(match: SourcePort) -> Check:
    first, last = match.first, match.last or match.first
    return lambda seen, mark: first <= seen.packet.sport <= last


def several_ports(match: Ports) -> Check:
    return lambda seen, mark: any(a <= seen.packet.dport <= b for a, b in match.ranges)


def marked(match: Mark) -> Check:
    return lambda seen, mark: mark & match.mask == match.value


def state(match: CtState) -> Check:
    wanted = frozenset(match.states)
    return lambda seen, mark: not wanted.isdisjoint(seen.states)


def addrtype(match: AddrType) -> Check:
    src = match.end == "src"
    if match.kind == "LOCAL":
        return lambda seen, mark: seen.here.is_local(seen.packet.src if src else seen.packet.dst)
    if match.kind == "MULTICAST":
        return lambda seen, mark: (seen.packet.src if src else seen.packet.dst).is_multicast
    raise TypeError(f"no meaning for {match!r}")


def recent(match: Recent) -> Check:
    """`--set` matches always; that it remembers the packet's source is `follow`'s to see to."""
    return lambda seen, mark: match.action == "set" or seen.known(match.name)


def bridge_port(match: BridgePort) -> Check:
    """A routed packet that came by a bridge came by one of its ports."""
    return lambda seen, mark: (
        seen.in_device in seen.here.links and seen.here.links[seen.in_device].kind == "bridge"
    )


def in_set(match: InSet) -> Check:
    return lambda seen, mark: contains(seen.here.netns.ruleset, match, seen.packet)


def lookup(match: Lookup) -> Check:
    return lambda seen, mark: holds(
        seen.here.netns.ruleset.tables, match, seen.packet, seen.protocol, seen.known
    )


def one_of(match: OneOf) -> Check:
    nets = [(int(net.network_address), int(net.netmask)) for net in match.nets]
    if match.field == "saddr":
        return lambda seen, mark: any(seen.src & mask == net for net, mask in nets)
    if match.field == "daddr":
        return lambda seen, mark: any(seen.dst & mask == net for net, mask in nets)
    raise TypeError(f"no meaning for {match!r}")


CHECKS: dict[type, Callable[..., Check]] = {
    Source: source,
    Destination: destination,
    InDevice: in_device,
    OutDevice: out_device,
    Proto: proto,
    DestinationPort: destination_port,
    SourcePort: source_port,
    Ports: several_ports,
    Mark: marked,
    CtState: state,
    AddrType: addrtype,
    BridgePort: bridge_port,
    Recent: recent,
    InSet: in_set,
    Lookup: lookup,
    OneOf: one_of,
}
