"""What the kernel does with its table of connections as packets pass.

SYN,ACK makes an entry SYN_RECV. The third packet of TCP's handshake is not walked but taken for
granted: once SYN,ACK has reached its client, the entries on its way are ESTABLISHED and assured.

Source: timeouts and states, Linux net/netfilter/nf_conntrack_proto_{tcp,udp,icmp}.c.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.kernel.conntrack import Entry, Tuple
from labkit.kernel.packet import Packet

replace = msgspec.structs.replace
TCP_SECONDS = {"SYN_SENT": 120.0, "SYN_RECV": 60.0, "CLOSE": 10.0}
UDP_SECONDS, UDP_ASSURED_SECONDS, ICMP_SECONDS = 30.0, 120.0, 30.0
STREAM_SECONDS = 2.0  # a UDP exchange that lasts longer becomes assured
ECHO = ("echo-request", "echo-reply")


class Tracked(msgspec.Struct, frozen=True):
    """A packet's place in a connection: which entry, which way it goes, and in what state.

    `settled` names the
    halves of NAT ("dst", "src") that are decided: those are repeated, not asked for again.
    """

    entry: Entry
    is_reply: bool = False
    related: bool = False
    known: bool = False  # confirmed, so it is in the table
    settled: frozenset[str] = frozenset()

    @property
    def states(self) -> frozenset[str]:
        """As `--ctstate` names them."""
        if self.related:
            state = "RELATED"
        else:
            state = "ESTABLISHED" if self.is_reply or self.entry.seen_reply else "NEW"
        there, back = self.entry.original, self.entry.reply
        changed = [state]
        if (there.dst, there.dport) != (back.src, back.sport):
            changed.append("DNAT")
        if (there.src, there.sport) != (back.dst, back.dport):
            changed.append("SNAT")
        return frozenset(changed)

    @property
    def other_way(self) -> Tuple:
        """What the packets of the opposite direction look like here."""
        return self.entry.original if self.is_reply else self.entry.reply


INVALID, UNTRACKED = frozenset({"INVALID"}), frozenset({"UNTRACKED"})
BOTH = frozenset({"dst", "src"})


def tuple_of(packet: Packet) -> Tuple:
    """The packet as one direction of a connection; an echo's identifier stands for both ports."""
    if packet.protocol == "ICMP":
        return Tuple("ICMP", packet.src, packet.sport, packet.dst, packet.sport)
    return Tuple(packet.protocol, packet.src, packet.sport, packet.dst, packet.dport)


def inverse(one: Tuple) -> Tuple:
    return Tuple(one.protocol, one.dst, one.dport, one.src, one.sport)


def track(entries: Iterable[Entry], packet: Packet, now: float) -> Tracked | None:
    """The packet's connection: a known one, a fresh one, or None for what fits none (INVALID)."""
    if packet.icmp is not None and packet.icmp.about is not None:
        return related(entries, packet.icmp.about, now)
    here = tuple_of(packet)
    for entry in entries:
        if entry.socket or not entry.confirmed or entry.expires < now:
            continue
        if entry.original == here:
            return Tracked(entry, known=True, settled=BOTH)
        if entry.reply == here:
            return Tracked(entry, is_reply=True, known=True, settled=BOTH)
    if not opens(packet):
        return None
    return Tracked(Entry(original=here, reply=inverse(here)))


def opens(packet: Packet) -> bool:
    """Whether a packet of no known connection may begin one.

    A TCP packet with data may (the kernel picks connections up midway), an answer may not.
    """
    if packet.protocol == "TCP":
        return not {"RST", "FIN"} & flags(packet) and not {"SYN", "ACK"} <= flags(packet)
    return packet.icmp is None or packet.icmp.kind == "echo-request"


def flags(packet: Packet) -> set[str]:
    return set(packet.flags.split(","))


def related(entries: Iterable[Entry], about: Packet, now: float) -> Tracked | None:
    """The connection that an ICMP error is about: it goes against the packet that it quotes."""
    back = inverse(tuple_of(about))
    for entry in entries:
        if entry.socket or entry.expires < now:
            continue
        if entry.reply == back:
            return Tracked(entry, is_reply=True, related=True, known=True, settled=BOTH)
        if entry.original == back:
            return Tracked(entry, related=True, known=True, settled=BOTH)
    return None


def seen(tracked: Tracked, packet: Packet, now: float, lasts: float) -> Entry | None:
    """The entry after one more packet of its connection; None when it is gone.

    `lasts` is for how many seconds an established connection of TCP is kept. A lone
    RST ends a connection that never answered otherwise.
    """
    entry = tracked.entry
    if packet.protocol == "TCP":
        if "RST" in flags(packet):
            if not entry.seen_reply:
                return None
            return replace(entry, state="CLOSE", expires=now + TCP_SECONDS["CLOSE"])
        if entry.state == "ESTABLISHED":
            return established(entry, now, lasts)
        answered = tracked.is_reply or entry.seen_reply
        state = "SYN_RECV" if answered else "SYN_SENT"
        return replace(entry, state=state, seen_reply=answered, expires=now + TCP_SECONDS[state])
    if packet.protocol == "ICMP":
        return replace(
            entry, seen_reply=tracked.is_reply or entry.seen_reply, expires=now + ICMP_SECONDS
        )
    lasting = entry.seen_reply and now - (entry.expires - UDP_SECONDS) > STREAM_SECONDS
    assured = entry.assured or lasting
    return replace(
        entry,
        seen_reply=tracked.is_reply or entry.seen_reply,
        assured=assured,
        expires=now + (UDP_ASSURED_SECONDS if assured else UDP_SECONDS),
    )


def established(entry: Entry, now: float, lasts: float) -> Entry:
    """The entry once the handshake is through, and after each packet from then on."""
    expires = now + lasts
    return replace(entry, state="ESTABLISHED", assured=True, seen_reply=True, expires=expires)


def free_reply(entries: Iterable[Entry], wanted: Tuple) -> Tuple:
    """The reply direction with a destination port that no other connection's answers use.

    The kernel keeps the source port of a connection when it can, else picks another at
    random (with --random-fully always); here it is kept when it can, else the next free one.
    """
    # The first try succeeds as a rule: a list is made more quickly than a set.
    taken = [entry.reply for entry in entries if not entry.socket and entry.confirmed]
    port = wanted.dport
    while wanted in taken:
        port = port + 1 if port < 65535 else 1024
        wanted = replace(wanted, dport=port)
        if wanted.protocol == "ICMP":
            wanted = replace(wanted, sport=port)
    return wanted


def translated(packet: Packet, tracked: Tracked, half: str) -> Packet:
    """The packet with its destination ("dst") or source ("src") as its connection wants it.

    An ICMP error is turned with the packet that it quotes, its own source too: that is why
    traceroute through a DNAT shows the service's address at every hop behind it.
    """
    other = tracked.other_way
    if tracked.related:
        return translated_error(packet, tracked, half)
    if packet.protocol == "ICMP":
        changed = (
            replace(packet, dst=other.src) if half == "dst" else replace(packet, src=other.dst)
        )
        return replace(changed, sport=other.dport if half == "src" else packet.sport)
    if half == "dst":
        return replace(packet, dst=other.src, dport=other.sport)
    return replace(packet, src=other.dst, sport=other.dport)


def translated_error(packet: Packet, tracked: Tracked, half: str) -> Packet:
    assert packet.icmp is not None
    assert packet.icmp.about is not None
    about, other = packet.icmp.about, tracked.other_way
    mine = tracked.entry.reply if tracked.is_reply else tracked.entry.original
    if half == "dst":
        if other.src == mine.dst and other.sport == mine.dport:
            return packet
        inside = replace(about, src=other.src, sport=other.sport)
        return replace(packet, dst=other.src, icmp=replace(packet.icmp, about=inside))
    if other.dst == mine.src and other.dport == mine.sport:
        return packet
    inside = replace(about, dst=other.dst, dport=other.dport)
    return replace(packet, src=other.dst, icmp=replace(packet.icmp, about=inside))
