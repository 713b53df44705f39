"""Where a way ends in a machine: a tunnel, the kernel's answer to ping, a process's socket."""

from __future__ import annotations

import msgspec

from labkit.kernel.answers import accepted, echo_reply, icmp_error, reply
from labkit.kernel.at import At
from labkit.kernel.conntrack import Entry
from labkit.kernel.crossing import cross
from labkit.kernel.host import Host
from labkit.kernel.journey import Deliver, End, Journey, Reroute, Step
from labkit.kernel.layer2 import tunnel_for, unwrap
from labkit.kernel.netns import Socket
from labkit.kernel.packet import Packet
from labkit.kernel.rows import asking_row, listening_row
from labkit.kernel.tracking import ECHO, flags, inverse, opens, tuple_of

replace = msgspec.structs.replace
PROCESS_SECONDS = 120.0  # how long a process waits for an answer


def open_socket(journey: Journey, netns: str, packet: Packet) -> None:
    """A process that opens a connection waits for the answer at its own end."""
    if not opens(packet) or (packet.icmp is not None and packet.icmp.kind not in ECHO):
        return
    here = journey.host(netns)
    if here.sockets.get((packet.protocol, packet.sport)):
        return  # a server's own packet
    entries = journey.entries(netns)
    mine = tuple_of(packet)
    expires = journey.now + PROCESS_SECONDS
    entries[:] = [
        e
        for e in entries
        if (e.confirmed or e.member_of)
        and not (e.socket and (e.original == mine or e.expires < journey.now))
    ]
    state = "SYN_SENT" if "SYN" in flags(packet) else ""
    entries.append(
        Entry(original=mine, reply=inverse(mine), socket=True, expires=expires, state=state)
    )


def deliver(journey: Journey, step: Deliver) -> Step:
    """INPUT, then a tunnel, the kernel itself (ping), a waiting process or a listening one."""
    here = journey.host(step.netns)
    at = At(here, "INPUT", step.packet, step.tracked, in_device=step.dev)
    end = cross(journey, at)
    if end is not None:
        return end
    if at.balanced and not here.is_local(at.packet.dst):
        return Reroute(step.netns, step.dev, at.packet, at.tracked)
    packet = at.packet
    tunnel = tunnel_for(journey, step.netns, packet)
    if tunnel is not None:
        return unwrap(journey, step.netns, tunnel, packet)
    waiting = waiting_end(journey, step.netns, packet)
    if waiting is not None:
        says = f"The process that asked gets it at {packet.destination}."
        heard = {"SYN", "ACK"} <= flags(packet)
        why = asking_row(replace(waiting, state="") if heard else waiting)
        journey.hop(step.netns, "socket", "accept", why, says, packet, device=step.dev)
        return End("delivered", step.netns, packet)
    if packet.icmp is not None:
        return icmp_input(journey, step, packet)
    return knock(journey, step, packet)


def waiting_end(journey: Journey, netns: str, packet: Packet) -> Entry | None:
    """The process end that this packet is an answer or an error for."""
    about = packet.icmp.about if packet.icmp is not None else None
    if about is None and packet.icmp is not None and packet.icmp.kind != "echo-reply":
        return None
    mine = tuple_of(about) if about is not None else inverse(tuple_of(packet))
    for entry in journey.entries(netns):
        if entry.socket and entry.original == mine and entry.expires >= journey.now:
            return entry
    return None


def icmp_input(journey: Journey, step: Deliver, packet: Packet) -> End:
    assert packet.icmp is not None
    if packet.icmp.kind == "echo-request":
        says = "The kernel itself answers a ping to an address of its own."
        why = f"local {packet.dst} dev {step.dev}"
        journey.hop(step.netns, "socket", "accept", why, says, packet, device=step.dev)
        return End("delivered", step.netns, packet, echo_reply(packet))
    says = "No process here waits for this message."
    journey.hop(step.netns, "socket", "drop", f"icmp {packet.icmp.kind}", says, packet)
    return End("dropped", step.netns, packet)


def knock(journey: Journey, step: Deliver, packet: Packet) -> End:
    """TCP, UDP or SCTP for a port: somebody listens, or the kernel refuses."""
    name = step.netns
    listener = listening(journey.host(name), packet)
    if listener is not None and opens(packet):
        who = listener.owner or "a process"
        says = f"Port {packet.dport}/{packet.protocol} is open: {who} listens and takes it."
        why = listening_row(listener)
        journey.hop(name, "socket", "accept", why, says, packet, device=step.dev)
        return End("delivered", name, packet, accepted(packet))
    port = f"{packet.dport}/{packet.protocol}"
    if not opens(packet):
        says = f"No process here waits for an answer from {packet.source}."
        journey.hop(name, "socket", "drop", f"no socket on {port}", says, packet)
        return End("dropped", name, packet)
    says = f"Nobody listens on {port}: the kernel refuses."
    journey.hop(name, "socket", "reject", f"no socket on {port}", says, packet, device=step.dev)
    if packet.protocol == "TCP":
        return End("refused", name, packet, reply(packet, "RST", 40))
    here = journey.host(name)
    return End("refused", name, packet, icmp_error(here, packet, "port-unreachable"))


def listening(here: Host, packet: Packet) -> Socket | None:
    """The socket that takes the packet; one bound to the very address goes first."""
    found = here.sockets.get((packet.protocol, packet.dport), ())
    for socket in found:
        if socket.address == packet.dst:
            return socket
    return next((socket for socket in found if socket.address is None), None)
