"""Sets of addresses and ports: what `ipset test` answers."""

from __future__ import annotations

from ipaddress import ip_network

from labkit.kernel.netfilter import InSet, Ruleset
from labkit.kernel.packet import Packet


def contains(ruleset: Ruleset, match: InSet, packet: Packet) -> bool:
    """Whether the packet's fields, taken from the ends that the match names, are a member."""
    ipset = ruleset.sets[match.name]
    kinds = ipset.kind.removeprefix("hash:").split(",")
    return any(is_member(member, kinds, match.ends, packet) for member in ipset.members)


def is_member(member: str, kinds: list[str], ends: tuple[str, ...], packet: Packet) -> bool:
    parts = member.split(",")
    return all(
        same(kind, part, end, packet) for kind, part, end in zip(kinds, parts, ends, strict=True)
    )


def same(kind: str, part: str, end: str, packet: Packet) -> bool:
    address = packet.src if end == "src" else packet.dst
    if kind == "ip":
        return part == str(address)
    if kind == "net":
        return address in ip_network(part)
    if kind == "port":
        port = packet.sport if end == "src" else packet.dport
        return part == f"{packet.protocol.lower()}:{port}"
    raise TypeError(f"no meaning for a set of {kind}")
