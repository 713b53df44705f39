"""A network namespace and the network of them: all that the walk of a packet reads."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from labkit.kernel.links import Link
from labkit.kernel.netfilter import Ipset, Ruleset, Table
from labkit.kernel.packet import Address, Protocol
from labkit.kernel.routes import Neighbour, Route


class Socket(msgspec.Struct, frozen=True):
    """A listening socket; `address` None listens on every address of the namespace."""

    protocol: Protocol
    port: int
    address: Address | None = None
    owner: str = ""


class Netns(msgspec.Struct, frozen=True, kw_only=True):
    """One network namespace: a machine's own, a container's, a router's or a switch's.

    `title` is what traces call it (`frontend`, `node-1`). Sysctls that matter:
    `net.ipv4.ip_forward`, `net.bridge.bridge-nf-call-iptables`,
    `net.ipv4.conf.all.route_localnet`; one that is absent is 0.
    """

    name: str
    title: str = ""
    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    ruleset: Ruleset = Ruleset()
    sockets: tuple[Socket, ...] = ()
    sysctls: Mapping[str, int] = {}

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


class Network(msgspec.Struct, frozen=True):
    """All namespaces by name; cables between them are the peers of their links."""

    namespaces: Mapping[str, Netns]
