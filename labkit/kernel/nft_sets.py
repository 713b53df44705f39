"""Sets and verdict maps of nft tables: one look-up, however many elements there are."""

from __future__ import annotations

from collections.abc import Callable

from labkit.kernel.netfilter import Field, Key, Lookup, NftSet, Table, Target
from labkit.kernel.packet import Address, Packet

READ: dict[Field, Callable[[Packet, str], Address | str | int]] = {
    "saddr": lambda packet, protocol: packet.src,
    "daddr": lambda packet, protocol: packet.dst,
    "l4proto": lambda packet, protocol: protocol,
    "dport": lambda packet, protocol: packet.dport,
}


def key_of(fields: tuple[Field, ...], packet: Packet, protocol: str) -> Key:
    """The packet's fields as one key; `protocol` as nft calls it: tcp, udp, icmp."""
    return tuple(READ[field](packet, protocol) for field in fields)


def verdict(
    table: Table, name: str, fields: tuple[Field, ...], packet: Packet, protocol: str
) -> Target | None:
    """What a verdict map says of a packet; None where it has no such element."""
    found = table.sets[name].elements.get(key_of(fields, packet, protocol))
    return found.target if found else None


def set_of(tables: tuple[Table, ...], name: str, family: str) -> NftSet:
    """The set of that name; a rule that names one which is not there could not be loaded."""
    for table in tables:
        if table.tool == "nft" and table.family == family and name in table.sets:
            return table.sets[name]
    raise AssertionError(f"no nft set {name} in family {family}")


def holds(
    tables: tuple[Table, ...],
    match: Lookup,
    packet: Packet,
    protocol: str,
    known: Callable[[str], bool],
) -> bool:
    """Whether the packet's key is an element of the set that a `Lookup` names.

    What packets themselves put into a set is asked of `known`, by the set's name.
    """
    family = "ip" if packet.src.version == 4 else "ip6"
    found = set_of(tables, match.name, family)
    if found.timeout is not None:
        return known(match.name)
    return key_of(match.fields, packet, protocol) in found.elements
