"""iptables' rules in nft's words: one nft table that does what several of iptables' do.

Built-in and other chains get the name of their table in front; sets become the table's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Literal

import msgspec

from labkit.kernel.netfilter import (
    Chain,
    Element,
    Field,
    InSet,
    Ipset,
    Jump,
    Key,
    Lookup,
    Match,
    NftSet,
    OneOf,
    Proto,
    Rule,
    Table,
)
from labkit.kernel.netns import Part

replace = msgspec.structs.replace
Family = Literal["ip", "ip6"]
FAMILIES: tuple[Family, ...] = ("ip", "ip6")
FIELDS: Mapping[str, tuple[Field, ...]] = {
    "src": ("saddr",),
    "dst": ("daddr",),
    "dst,dst": ("daddr", "l4proto", "dport"),
}


def nft_twin(part: Part, name: str) -> Part:
    """The part with its iptables tables as one nft table `name` for each family."""
    tables = (
        _table(name, family, [t for t in part.tables if t.family == family], part.sets)
        for family in FAMILIES
        if any(t.family == family for t in part.tables)
    )
    return replace(part, tables=tuple(tables), sets={})


def _table(name: str, family: Family, tables: Iterable[Table], sets: Mapping[str, Ipset]) -> Table:
    chains: dict[str, Chain] = {}
    named: dict[str, NftSet] = {}
    for table in tables:
        for chain in table.chains.values():
            rules = tuple(_rule(rule, table.name, sets) for rule in chain.rules)
            twin = f"{table.name}-{chain.name}"
            chains[twin] = replace(chain, name=twin, rules=rules)
            for match in (m for rule in chain.rules for m in rule.matches):
                if isinstance(match, InSet) and not _of_networks(sets[match.name]):
                    named[set_name(match.name)] = _set(sets[match.name], family)
    ordered = dict(sorted(named.items()))
    return Table(name=name, family=family, tool="nft", chains=chains, sets=ordered)


def set_name(name: str) -> str:
    """nft allows no colon in a name."""
    return name.replace(":", "-")


def _of_networks(ipset: Ipset) -> bool:
    return any("/" in member for member in ipset.members)


def _rule(rule: Rule, table: str, sets: Mapping[str, Ipset]) -> Rule:
    target = rule.target
    if isinstance(target, Jump):
        target = replace(target, chain=f"{table}-{target.chain}")
    # A key with a protocol in it asks for the protocol already.
    keyed = any(isinstance(m, InSet) and len(m.ends) > 1 for m in rule.matches)
    matches = (_match(m, sets) for m in rule.matches if not (keyed and isinstance(m, Proto)))
    return replace(rule, matches=tuple(matches), target=target)


def _match(match: Match, sets: Mapping[str, Ipset]) -> Match:
    """A set of single addresses becomes one of the table, one of networks stays in the rule."""
    if not isinstance(match, InSet):
        return match
    fields, ipset = FIELDS[",".join(match.ends)], sets[match.name]
    if not _of_networks(ipset):
        return Lookup(fields, set_name(match.name), match.negate)
    return OneOf(fields[0], tuple(ip_network(m) for m in ipset.members), match.negate)


def _set(ipset: Ipset, family: str) -> NftSet:
    address = "ipv4_addr" if family == "ip" else "ipv6_addr"
    kinds = (address, "inet_proto", "inet_service") if ipset.kind == "hash:ip,port" else (address,)
    elements = {_key(member): Element() for member in ipset.members}
    return NftSet(name=set_name(ipset.name), kinds=kinds, elements=elements)


def _key(member: str) -> Key:
    """`192.168.35.65`, or with a port `192.168.35.65,tcp:8080`."""
    address, _, rest = member.partition(",")
    if not rest:
        return (ip_address(address),)
    protocol, _, port = rest.partition(":")
    return ip_address(address), protocol, int(port)
