"""What a machine sends back: answers of processes, and errors of the kernel."""

from __future__ import annotations

import msgspec

from labkit.kernel.host import Host, look_up, source_for
from labkit.kernel.packet import IP_HEADER, TRANSPORT_HEADER, Icmp, IcmpKind, Packet

replace = msgspec.structs.replace
ERROR_BYTES = {4: 576, 6: 1280}  # at most, as RFC 1812 and RFC 4443 have it


def icmp_error(here: Host, about: Packet, kind: IcmpKind, mtu: int = 0) -> Packet | None:
    """The ICMP error that this machine sends to the packet's sender.

    None for an error about an error. It comes from the address that the packet was sent to
    if that is the machine's own, else from the one that the way back lends it.
    """
    if about.icmp is not None and about.icmp.about is not None:
        return None
    source = about.dst
    if not here.is_local(about.dst):
        way = look_up(here, about.src)
        lent = None if way is None else source_for(here, way, about.src)
        if lent is None:
            return None
        source = lent
    quoted = replace(about, mark=0, mac="")
    version = about.src.version
    size = min(about.size + IP_HEADER[version] + 8, ERROR_BYTES[version])
    return Packet(
        src=source,
        dst=about.src,
        protocol="ICMP",
        size=size,
        dont_fragment=False,
        icmp=Icmp(kind=kind, about=quoted, mtu=mtu),
    )


def reply(packet: Packet, flags: str = "", size: int | None = None) -> Packet:
    """A packet back to the sender, ports and addresses exchanged."""
    return Packet(
        src=packet.dst,
        dst=packet.src,
        protocol=packet.protocol,
        sport=packet.dport,
        dport=packet.sport,
        flags=flags,
        size=packet.size if size is None else size,
    )


def accepted(packet: Packet) -> Packet:
    """A listener's answer: to a SYN a SYN,ACK, to TCP's data a bare ACK, to a datagram its like."""
    if packet.protocol != "TCP":
        return reply(packet)
    if "SYN" in packet.flags:
        return reply(packet, "SYN,ACK")
    bare = IP_HEADER[packet.src.version] + TRANSPORT_HEADER["TCP"]
    return reply(packet, "ACK", bare)


def echo_reply(packet: Packet) -> Packet:
    return Packet(
        src=packet.dst,
        dst=packet.src,
        protocol="ICMP",
        sport=packet.sport,
        size=packet.size,
        dont_fragment=False,
        icmp=Icmp(kind="echo-reply"),
    )
