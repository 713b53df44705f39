"""Frames: cables, bridges with br_netfilter, and tunnels."""

from __future__ import annotations

import zlib

import msgspec

from labkit.kernel.at import At
from labkit.kernel.crossing import cross
from labkit.kernel.host import look_up
from labkit.kernel.journey import Arrive, Bridge, End, Input, Journey, Send, Step, Transmit
from labkit.kernel.links import Fdb, Link
from labkit.kernel.packet import ETHERNET, IP_HEADER, TRANSPORT_HEADER, VXLAN_HEADER, Packet
from labkit.kernel.rows import fdb_row, link_row, route_row, vxlan_row
from labkit.kernel.segment import answerer, other_end, port_towards

replace = msgspec.structs.replace
VLAN_TAG = 4  # bytes that a device takes beyond its MTU, in case they are a VLAN tag
NESTED = 4  # tunnels within tunnels that the kernel bears


# --- devices -----------------------------------------------------------------------------


def transmit(journey: Journey, step: Transmit) -> Step:
    """A frame goes out of a device of any kind."""
    link = journey.host(step.netns).links[step.dev]
    if link.kind == "loopback":
        packet = replace(step.packet, mac="")
        journey.frame(step.netns, step.dev, "in", packet)
        return Input(step.netns, step.dev, packet, step.tracked)
    journey.frame(step.netns, step.dev, "out", step.packet)
    if link.kind == "bridge":
        return Bridge(step.netns, step.dev, step.packet)
    if link.kind == "vxlan":
        return wrap(journey, step.netns, link, step.packet)
    if link.kind == "dummy":
        return lost(journey, step.netns, "route", link, step.packet, "A dummy device swallows it.")
    if link.kind != "veth":
        raise TypeError(f"no meaning for a device of kind {link.kind}")
    return over_cable(journey, step.netns, link, step.packet)


def over_cable(journey: Journey, netns: str, link: Link, packet: Packet) -> Step:
    """To the cable's other end, which swallows what it cannot take. Marks stay behind.

    Source: is_skb_forwardable and skb_scrub_packet, Linux net/core.
    """
    far = other_end(journey.network, netns, link.name)
    if far is None:
        return lost(journey, netns, "link", link, packet, "The cable's other end is down.")
    there = journey.host(far[0]).links[far[1]]
    if frame_bytes(packet, link) > there.mtu + VLAN_TAG:
        says = f"The other end takes {there.mtu} bytes at most; {packet.size} vanish in silence."
        return lost(journey, far[0], "link", there, packet, says)
    if packet.mark and far[0] != netns:
        packet = replace(packet, mark=0)
    return Arrive(far[0], far[1], packet)


def frame_bytes(packet: Packet, link: Link) -> int:
    """Bytes of IP in one frame: a packet that may be fragmented left in pieces that fit."""
    return packet.size if packet.dont_fragment else min(packet.size, link.mtu)


def lost(journey: Journey, netns: str, stage: str, link: Link, packet: Packet, says: str) -> End:
    journey.hop(netns, stage, "drop", link_row(link), says, packet, device=link.name)
    return End("dropped", netns, packet)


def arrive(journey: Journey, step: Arrive) -> Step:
    """A frame comes in: to the bridge if the device is a port, else to the IP layer."""
    here = journey.host(step.netns)
    link = here.links[step.dev]
    journey.frame(step.netns, step.dev, "in", step.packet)
    if not link.up:
        return lost(journey, step.netns, "link", link, step.packet, "The device is down.")
    if link.master is not None:
        return bridge_in(journey, step, here.links[link.master])
    if step.packet.mac != link.mac:
        says = f"The frame is for {step.packet.mac}, not for this device."
        return lost(journey, step.netns, "link", link, step.packet, says)
    return Input(step.netns, step.dev, replace(step.packet, mac=""))


# --- bridges -----------------------------------------------------------------------------


def bridge_in(journey: Journey, step: Arrive, bridge: Link) -> Step:
    """A frame from a port: up to the machine, or on to another port.

    With br_netfilter PREROUTING comes first, whatever the frame's destination. If it changed
    the IP destination the machine's routes are asked: a way by this same bridge keeps the
    frame on layer 2, with the next hop's MAC address and its TTL untouched; any other way
    takes it up to the machine.

    Source: br_nf_pre_routing_finish, Linux net/bridge/br_netfilter_hooks.c.
    """
    here, packet = journey.host(step.netns), step.packet
    if not here.sysctl("net.bridge.bridge-nf-call-iptables"):
        if packet.mac == bridge.mac:
            return up(journey, step.netns, bridge, packet)
        return Bridge(step.netns, bridge.name, packet, step.dev)
    at = At(here, "PREROUTING", packet, None, in_device=bridge.name)
    end = cross(journey, at)
    if end is not None:
        return end
    mac = packet.mac
    if at.packet.dst != packet.dst:
        mac = redirected(journey, at, bridge) or bridge.mac
    after = replace(at.packet, mac=mac)
    if mac == bridge.mac:
        return up(journey, step.netns, bridge, after, at)
    return Bridge(step.netns, bridge.name, after, step.dev, True, at.tracked)


def up(journey: Journey, netns: str, bridge: Link, packet: Packet, at: At | None = None) -> Step:
    """The frame is for the bridge's own MAC address: the machine's IP layer takes it."""
    if not bridge.up:
        return lost(journey, netns, "bridge", bridge, packet, "The bridge is down.")
    packet = replace(packet, mac="")
    journey.frame(netns, bridge.name, "in", packet)
    if at is None:
        return Input(netns, bridge.name, packet)
    return Input(netns, bridge.name, packet, at.tracked, True)


def redirected(journey: Journey, at: At, bridge: Link) -> str | None:
    """The MAC address for a frame whose IP destination changed on the bridge; None: route it."""
    way = look_up(at.here, at.packet.dst)
    if way is None or way.local or way.dev != bridge.name:
        return None
    name = at.here.netns.name
    target = way.via or at.packet.dst
    found = answerer(journey.network, name, bridge.name, target)
    if found is None:
        return None
    says = f"The new destination is on {bridge.name} too: the frame stays on the bridge."
    journey.hop(name, "route", "route", route_row(way.route), says, at.packet, device=bridge.name)
    return found.mac


def bridge(journey: Journey, step: Bridge) -> Step:
    """A frame on the bridge: to the port behind which its MAC address lives."""
    here = journey.host(step.netns)
    if step.port:  # tcpdump makes the bridge listen to everything that crosses it
        journey.frame(step.netns, step.bridge, "in", step.packet)
    device = here.links[step.bridge]
    if not device.up:
        return lost(journey, step.netns, "bridge", device, step.packet, "The bridge is down.")
    port = port_towards(journey.network, step.netns, step.bridge, step.packet.mac)
    if port is None:
        says = f"No port leads to {step.packet.mac}; flooded, and nobody takes it."
        return lost(journey, step.netns, "bridge", device, step.packet, says)
    if port.name == step.port and not port.hairpin:
        says = "The frame came in by this port, and hairpin mode is off: it may not go back."
        return lost(journey, step.netns, "bridge", port, step.packet, says)
    packet: Packet = step.packet
    if step.filtered:
        at = At(here, "FORWARD", packet, step.tracked, step.bridge, step.bridge)
        end = cross(journey, at) or cross_out(journey, at)
        if end is not None:
            return end
        packet = at.packet
    if frame_bytes(packet, device) > port.mtu + VLAN_TAG:
        says = f"The port takes {port.mtu} bytes at most; {packet.size} vanish in silence."
        return lost(journey, step.netns, "bridge", port, packet, says)
    row = fdb_row(port, Fdb(packet.mac, permanent=False), step.bridge)
    says = f"{step.bridge} has learned that {packet.mac} is behind {port.name}."
    journey.hop(step.netns, "bridge", "bridge", row, says, packet, device=port.name, quiet=True)
    return Transmit(step.netns, port.name, packet)


def cross_out(journey: Journey, at: At) -> End | None:
    """br_netfilter's POSTROUTING for a frame between two ports."""
    at.hook, at.in_device = "POSTROUTING", ""
    at.way = look_up(at.here, at.packet.dst)
    return cross(journey, at)


# --- tunnels -----------------------------------------------------------------------------


def wrap(journey: Journey, netns: str, link: Link, packet: Packet) -> Step:
    """VXLAN: the whole frame becomes the load of a UDP packet to the tunnel end of its MAC.

    The outer source port is made from the inner flow, so that routers spread flows over
    several ways while each keeps to one.
    """
    assert link.vxlan is not None
    row = next((row for row in link.fdb if row.mac == packet.mac), None)
    if row is None or row.dst is None:
        says = f"No row says behind which machine {packet.mac} lives."
        return lost(journey, netns, "vxlan", link, packet, says)
    if depth(packet) >= NESTED:
        return lost(journey, netns, "vxlan", link, packet, "Too many tunnels within tunnels.")
    outer = Packet(
        src=link.vxlan.local,
        dst=row.dst,
        protocol="UDP",
        sport=flow_port(packet),
        dport=link.vxlan.port,
        mark=packet.mark,
        size=packet.size + overhead(row.dst.version),
        dont_fragment=False,
        inner=replace(packet, mark=0),
        vni=link.vxlan.vni,
    )
    says = f"The frame travels inside a UDP packet to the machine {row.dst}."
    why = fdb_row(link, row)
    journey.hop(netns, "vxlan", "wrap", why, says, packet, outer, device=link.name)
    return Send(netns, outer, link.name)


def overhead(version: int) -> int:
    """Bytes around an inner IP packet: its Ethernet header, VXLAN, UDP and the outer IP."""
    return ETHERNET + VXLAN_HEADER + TRANSPORT_HEADER["UDP"] + IP_HEADER[version]


def depth(packet: Packet) -> int:
    count = 0
    while packet.inner is not None:
        packet, count = packet.inner, count + 1
    return count


FIRST_PORT, LAST_PORT = 32768, 60999  # net.ipv4.ip_local_port_range


def flow_port(packet: Packet) -> int:
    flow = f"{packet.protocol} {packet.source} {packet.destination}"
    return FIRST_PORT + zlib.crc32(flow.encode()) % (LAST_PORT - FIRST_PORT + 1)


def tunnel_for(journey: Journey, netns: str, packet: Packet) -> Link | None:
    """The tunnel device that takes a packet arriving for the machine, or None."""
    if packet.inner is None:
        return None
    for link in journey.host(netns).netns.links:
        tunnel = link.vxlan
        if tunnel and link.up and (tunnel.port, tunnel.vni) == (packet.dport, packet.vni):
            return link
    return None


def unwrap(journey: Journey, netns: str, link: Link, packet: Packet) -> Step:
    assert packet.inner is not None
    says = f"Out of the UDP packet comes the frame that {packet.src} put in."
    journey.hop(
        netns, "vxlan", "unwrap", vxlan_row(link), says, packet, packet.inner, device=link.name
    )
    return Arrive(netns, link.name, packet.inner)
