"""What the walk of a packet leaves behind: hops, and how it ended."""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.kernel.conntrack import Conntrack
from labkit.kernel.packet import Packet

Action = Literal[
    "send",  # a process hands the packet to the kernel
    "route",  # a route chose the way
    "bridge",  # a bridge carried the frame to a port
    "wrap",  # a tunnel device put the frame into an outer packet
    "unwrap",
    "rewrite",  # NAT changed an address or port
    "restore",  # conntrack took a rewrite back, or repeated it for a known connection
    "accept",  # a filter rule or a listening socket took the packet
    "drop",  # silence
    "reject",  # an ICMP error or RST went back
]
Outcome = Literal["delivered", "refused", "dropped", "unreachable", "too-big", "ttl-exceeded"]


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One decision about a packet, made in one network namespace.

    `why` quotes the table row that decided, in the words of the tool that prints it
    (`ip route`, `iptables-save`, `bridge fdb`, `conntrack -L`), so that a learner can find
    the same line on a real node. `says` is one plain sentence for it. `before` and `after`
    are equal unless the action rewrote or wrapped the packet. `device` is the link that the
    hop happened on, where there is one.
    """

    netns: str
    stage: str  # "socket", "route", "bridge", "vxlan", "conntrack" or "PREROUTING", "FORWARD", ...
    action: Action
    why: str
    says: str
    before: Packet
    after: Packet
    table: str = ""  # "nat", "filter", "mangle" beside a hook
    device: str = ""
    quiet: bool = False  # happened, but nothing would differ without it: views leave it out


class Frame(msgspec.Struct, frozen=True):
    """A packet as it passed a device: what tcpdump on that device would show."""

    netns: str
    device: str
    direction: Literal["in", "out"]
    packet: Packet


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One packet's way: its hops in order, every frame on every device, and its end.

    `answer` is the packet that the end sends back: the reply of a listener, an ICMP error,
    an RST; None after silence. `conntrack` is every namespace's table after the packet.
    """

    hops: tuple[Hop, ...]
    frames: tuple[Frame, ...]
    outcome: Outcome
    packet: Packet  # as it was at its end
    end: str  # the namespace where it ended
    answer: Packet | None
    conntrack: Conntrack
    rules: int = 0  # netfilter rules that were looked at on the way
