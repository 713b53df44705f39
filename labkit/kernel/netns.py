"""A network namespace and the network of them: all that the walk of a packet reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from labkit.kernel.bpf import Maps
from labkit.kernel.ipvs import VirtualServer
from labkit.kernel.links import Link
from labkit.kernel.netfilter import Chain, Ipset, Ruleset, Table
from labkit.kernel.packet import Address, Protocol
from labkit.kernel.routes import Neighbour, Route

ESTABLISHED_SECONDS = "net.netfilter.nf_conntrack_tcp_timeout_established"
SYSCTL_DEFAULTS: Mapping[str, int] = {ESTABLISHED_SECONDS: 432_000}
"""Defaults of the kernel that are not 0."""


class Socket(msgspec.Struct, frozen=True):
    """A listening socket; `address` None listens on every address of the namespace."""

    protocol: Protocol
    port: int
    address: Address | None = None
    owner: str = ""


class Netns(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One network namespace: a machine's own, a container's, a router's or a switch's.

    `title` is what traces call it (`frontend`, `node-1`). Sysctls that matter:
    `net.ipv4.ip_forward`, `net.bridge.bridge-nf-call-iptables`,
    `net.ipv4.conf.all.route_localnet`; one that is absent has its kernel default.
    """

    name: str
    title: str = ""
    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    ruleset: Ruleset = Ruleset()
    sockets: tuple[Socket, ...] = ()
    sysctls: Mapping[str, int] = {}
    virtual_servers: tuple[VirtualServer, ...] = ()
    maps: Maps | None = None

    def sysctl(self, name: str) -> int:
        """The setting's value here: what was set, else the kernel's default."""
        return self.sysctls.get(name, SYSCTL_DEFAULTS.get(name, 0))

    def link(self, name: str) -> Link:
        """The device of that name; KeyError if there is none."""
        for link in self.links:
            if link.name == name:
                return link
        raise KeyError(name)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A partial `Netns`: what one compiler contributes to one namespace."""

    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    tables: tuple[Table, ...] = ()
    sets: Mapping[str, Ipset] = {}
    sockets: tuple[Socket, ...] = ()
    sysctls: Mapping[str, int] = {}
    virtual_servers: tuple[VirtualServer, ...] = ()
    maps: Maps | None = None


class Network(msgspec.Struct, frozen=True, dict=True):
    """All namespaces by name; cables between them are the peers of their links."""

    namespaces: Mapping[str, Netns]


def merge(name: str, title: str, parts: Iterable[Part]) -> Netns:
    """One namespace out of what several compilers contribute to it, in the order of `parts`.

    Tables of the same tool, family and name become one: chains side by side, the rules of
    a chain that several bring one after the other.
    """
    brought = tuple(parts)
    return Netns(
        name=name,
        title=title,
        links=tuple(x for part in brought for x in part.links),
        routes=tuple(x for part in brought for x in part.routes),
        neighbours=tuple(x for part in brought for x in part.neighbours),
        ruleset=Ruleset(
            tables=merged_tables(table for part in brought for table in part.tables),
            sets={key: value for part in brought for key, value in part.sets.items()},
        ),
        sockets=tuple(x for part in brought for x in part.sockets),
        sysctls={key: value for part in brought for key, value in part.sysctls.items()},
        virtual_servers=tuple(x for part in brought for x in part.virtual_servers),
        maps=next((part.maps for part in brought if part.maps), None),
    )


def merged_tables(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Tables of the same tool, family and name made one, in the order of first mention."""
    merged: dict[tuple[str, str, str], Table] = {}
    for table in tables:
        name = (table.tool, table.family, table.name)
        merged[name] = united(merged[name], table) if name in merged else table
    return tuple(merged.values())


def united(first: Table, second: Table) -> Table:
    """One table with the chains and sets of both."""
    chains = dict(first.chains)
    for name, chain in second.chains.items():
        chains[name] = joined(chains[name], chain) if name in chains else chain
    return msgspec.structs.replace(first, chains=chains, sets={**first.sets, **second.sets})


def joined(first: Chain, second: Chain) -> Chain:
    """A chain with the rules of both; the hook is that of whoever names one."""
    base = first if first.hook is not None else second
    return msgspec.structs.replace(base, rules=first.rules + second.rules)
