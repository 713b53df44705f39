"""Routes and neighbours: what `ip route` and `ip neigh` show."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Literal

import msgspec

from labkit.kernel.packet import Address

Prefix = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface


class NextHop(msgspec.Struct, frozen=True):
    """One way of a multipath route."""

    via: Address | None = None
    dev: str = ""
    weight: int = 1


class Route(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One route of the main table; a default route has prefix length 0.

    `kind` unicast goes on, blackhole drops in silence, unreachable answers with ICMP.
    `mtu` limits packets on this route in bytes (Cilium puts its tunnel's there).
    """

    prefix: Prefix
    dev: str = ""
    via: Address | None = None
    src: Address | None = None
    onlink: bool = False
    proto: str = ""  # "kernel", "bird", ... as printed; empty prints nothing
    scope: Literal["global", "link", "host"] = "global"  # host: a row of the table local
    metric: int = 0
    kind: Literal["unicast", "blackhole", "unreachable"] = "unicast"
    mtu: int | None = None
    nexthops: tuple[NextHop, ...] = ()  # ECMP; empty for a single way


class Neighbour(msgspec.Struct, frozen=True):
    """One row of `ip neigh`: which MAC address answers for an address on a device."""

    address: Address
    dev: str
    mac: str
    state: str = "PERMANENT"


def connected(dev: str, address: Interface) -> tuple[Route, ...]:
    """The route that the kernel makes by itself for an address: its own subnet, on that device.

    A /32 (IPv6 /128) brings none: the address alone is no subnet.
    """
    if address.network.prefixlen == address.max_prefixlen:
        return ()
    src = address.ip if address.version == 4 else None
    return (Route(prefix=address.network, dev=dev, src=src, proto="kernel", scope="link"),)
