"""Sets of addresses and ports: what `ipset test` answers."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from labkit.kernel.kept import kept
from labkit.kernel.netfilter import InSet, Ipset, Ruleset
from labkit.kernel.packet import Packet


def contains(ruleset: Ruleset, match: InSet, packet: Packet) -> bool:
    """Whether the packet's fields, taken from the ends that the match names, are a member."""
    ipset = ruleset.sets[match.name]
    kinds = ipset.kind.partition(":")[2].split(",")
    if "net" not in kinds:
        wanted = (text(kind, end, packet) for kind, end in zip(kinds, match.ends, strict=True))
        return bare(ipset.kind, ",".join(wanted)) in ipset.members
    if kinds == ["net"]:
        address = packet.src if match.ends == ("src",) else packet.dst
        found = kept(ipset, "nets", nets)
        return any(int(address) & mask in found[mask] for mask in found)
    return any(is_member(member, kinds, match.ends, packet) for member in ipset.members)


def nets(ipset: Ipset) -> dict[int, set[int]]:
    """Mask -> the networks of that size among the members of a set of networks."""
    found: dict[int, set[int]] = {}
    for member in ipset.members:
        network = ip_network(member)
        found.setdefault(int(network.netmask), set()).add(int(network.network_address))
    return found


def is_member(member: str, kinds: list[str], ends: tuple[str, ...], packet: Packet) -> bool:
    parts = member.split(",")
    return all(
        same(kind, part, end, packet) for kind, part, end in zip(kinds, parts, ends, strict=True)
    )


def same(kind: str, part: str, end: str, packet: Packet) -> bool:
    if kind == "net":
        return (packet.src if end == "src" else packet.dst) in ip_network(part)
    return part == text(kind, end, packet)


def text(kind: str, end: str, packet: Packet) -> str:
    """A field as it stands in a member: `10.96.0.20`, `tcp:80`."""
    if kind == "ip":
        return str(packet.src if end == "src" else packet.dst)
    if kind == "port":
        port = packet.sport if end == "src" else packet.dport
        return f"{packet.protocol.lower()}:{port}"
    raise TypeError(f"no meaning for a set of {kind}")


def bare(kind: str, member: str) -> str:
    """A bitmap of ports does not know protocols; the rule asks for it with `-p`."""
    return member.rpartition(":")[2] if kind == "bitmap:port" else member


def ipset_save(sets: Iterable[Ipset]) -> str:
    """`ipset save`, members sorted; the sizes that the kernel chose are left out."""
    rows = []
    for each in sets:
        kind = f"{each.kind} range 0-65535" if each.kind == "bitmap:port" else each.kind
        rows.append(f"create {each.name} {kind}")
        rows += [f"add {each.name} {member}" for member in each.members]
    return "".join(f"{row}\n" for row in rows)
