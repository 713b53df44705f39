"""The headers of one packet, and what a packet weighs on the wire."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Literal

import msgspec

Address = IPv4Address | IPv6Address
Protocol = Literal["TCP", "UDP", "SCTP", "ICMP"]
IcmpKind = Literal[
    "echo-request",
    "echo-reply",
    "port-unreachable",
    "host-unreachable",
    "net-unreachable",
    "fragmentation-needed",
    "time-exceeded",
    "admin-prohibited",
]

IP_HEADER = {4: 20, 6: 40}  # bytes
TRANSPORT_HEADER = {"TCP": 32, "UDP": 8, "SCTP": 12, "ICMP": 8}  # bytes; TCP with timestamps
ETHERNET = 14  # bytes of an Ethernet header
VXLAN_HEADER = 8  # bytes


class Icmp(msgspec.Struct, frozen=True):
    """What an ICMP packet says; `about` is the packet that caused an error message."""

    kind: IcmpKind
    about: Packet | None = None
    mtu: int = 0  # bytes; only with fragmentation-needed


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """One IP packet.

    `size` counts the bytes of the whole IP packet, headers included: what an MTU
    limits. `inner` is the frame carried by a tunnel's outer packet (VXLAN: the
    outer `dport` is the tunnel's port and `vni` its id). `flags` is TCP's: `SYN`
    opens a connection, `SYN,ACK` answers, `RST` refuses. `mark` never leaves the
    machine. `mac` is the destination of the frame that carries the packet, once known.
    """

    src: Address
    dst: Address
    protocol: Protocol = "TCP"
    sport: int = 0
    dport: int = 0
    ttl: int = 64
    mark: int = 0
    size: int = 60
    dont_fragment: bool = True
    flags: str = ""
    icmp: Icmp | None = None
    inner: Packet | None = None
    vni: int | None = None
    mac: str = ""

    @property
    def source(self) -> str:
        """`10.244.1.2:41000`, the bare address for ICMP."""
        return endpoint(self.src, self.sport) if self.protocol != "ICMP" else str(self.src)

    @property
    def destination(self) -> str:
        """`10.96.0.20:80`, the bare address for ICMP."""
        return endpoint(self.dst, self.dport) if self.protocol != "ICMP" else str(self.dst)


def endpoint(address: Address, port: int) -> str:
    """An address with a port, as tools print it: IPv6 in brackets."""
    return f"[{address!s}]:{port}" if address.version == 6 else f"{address!s}:{port}"
