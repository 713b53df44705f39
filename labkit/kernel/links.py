"""Network devices: what `ip link`, `ip addr` and `bridge fdb` show."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from typing import Literal

import msgspec

from labkit.kernel.packet import Address

Interface = IPv4Interface | IPv6Interface
LinkKind = Literal["loopback", "veth", "bridge", "vxlan", "ipip", "dummy"]


class Vxlan(msgspec.Struct, frozen=True):
    """A VXLAN device's settings: `vxlan id 1 local 192.168.7.11 dev eth0 dstport 8472`."""

    vni: int
    local: Address
    dev: str
    port: int


class Fdb(msgspec.Struct, frozen=True):
    """One row of a forwarding database: frames to `mac` leave by the port, or to tunnel `dst`."""

    mac: str
    dst: Address | None = None
    permanent: bool = True


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One device of one network namespace.

    `peer` is the (namespace, device) at the other end of a veth pair or cable; `master`
    the bridge that this device is a port of. A bridge learns the MAC addresses behind its
    ports as packets cross; `fdb` holds only configured rows. `mtu` is in bytes of IP packet.
    `announces` are addresses that a program answers ARP for, though no device has them.
    """

    name: str
    kind: LinkKind
    index: int = 0
    mac: str = ""
    mtu: int = 1500
    addresses: tuple[Interface, ...] = ()
    up: bool = True
    peer: tuple[str, str] | None = None
    master: str | None = None
    hairpin: bool = False
    proxy_arp: bool = False
    announces: tuple[Address, ...] = ()
    vxlan: Vxlan | None = None
    fdb: tuple[Fdb, ...] = ()
