"""A packet at a netfilter hook: chains, connection tracking and NAT in the kernel's order.

Source: hook priorities, include/uapi/linux/netfilter_ipv4.h; NAT of replies and of ICMP errors,
net/netfilter/nf_nat_core.c and nf_nat_proto.c.
"""

from __future__ import annotations

import msgspec

from labkit.kernel.answers import icmp_error
from labkit.kernel.at import At, remember_refused
from labkit.kernel.balancing import balance, passing_tc
from labkit.kernel.clients import knows, remember
from labkit.kernel.conntrack import Tuple
from labkit.kernel.filtering import Decision
from labkit.kernel.host import Stage, device_address, key
from labkit.kernel.journey import End, Journey
from labkit.kernel.kept import kept
from labkit.kernel.matching import Seen
from labkit.kernel.netfilter import (
    Chain,
    Dnat,
    Masquerade,
    Reject,
    Rule,
    Snat,
    Table,
    Verdict,
)
from labkit.kernel.netns import ESTABLISHED_SECONDS
from labkit.kernel.nft_text import row_text
from labkit.kernel.packet import IcmpKind, Packet
from labkit.kernel.rows import conntrack_row
from labkit.kernel.rules_text import rule_text
from labkit.kernel.tracking import (
    INVALID,
    UNTRACKED,
    free_reply,
    seen,
    track,
    translated,
)

replace = msgspec.structs.replace
HALF = {"PREROUTING": "dst", "OUTPUT": "dst", "INPUT": "src", "POSTROUTING": "src"}
NO_STATE: frozenset[str] = frozenset()


def cross(journey: Journey, at: At) -> End | None:
    """Everything at the hook. None: the packet goes on, as `at` now has it."""
    for stage in at.here.hooks.get(key(at.hook, family(at.packet)), ()):
        if stage.kind == "chain":
            end = chain(journey, at, stage)
            if end is not None:
                return end
        elif stage.kind == "nat":
            nat(journey, at, stage)
        elif stage.kind == "conntrack":
            begin(journey, at)
        elif stage.kind == "ipvs":
            end = balance(journey, at)
            if end is not None or (at.balanced and at.hook == "INPUT"):
                return end  # what IPVS took is not delivered here
        elif stage.kind == "tc":
            end = passing_tc(journey, at)
            if end is not None:
                return end
        else:
            confirm(journey, at)
    return None


def family(packet: Packet) -> str:
    return "ip" if packet.src.version == 4 else "ip6"


# --- connection tracking -----------------------------------------------------------------


def begin(journey: Journey, at: At) -> None:
    """Which connection the packet belongs to; one that came over `lo` knows already."""
    name = at.here.netns.name
    if at.tracked is not None or name in journey.untracked:
        return
    tracked = track(journey.entries(name), at.packet, journey.now)
    if tracked is None or not tracked.known or tracked.related:
        at.tracked = tracked
        return
    after = seen(tracked, at.packet, journey.now, at.here.sysctl(ESTABLISHED_SECONDS))
    journey.update(name, tracked.entry, after)
    if after is not None and after.state == "SYN_RECV":
        journey.half_open.append((name, after))
    at.tracked = tracked if after is None else replace(tracked, entry=after)


def confirm(journey: Journey, at: At) -> None:
    """A first packet that got through: its connection enters the table."""
    tracked = at.tracked
    if tracked is None or tracked.known:
        return
    name = at.here.netns.name
    entries = journey.entries(name)
    entry = seen(tracked, at.packet, journey.now, at.here.sysctl(ESTABLISHED_SECONDS))
    assert entry is not None, "a lone RST opens no connection"
    entries[:] = [
        e
        for e in entries
        if (e.confirmed or e.member_of)
        and e.expires >= journey.now
        and (e.socket or e.original != entry.original)
    ]
    entries.append(entry)
    at.tracked = replace(tracked, entry=entry, known=True)
    journey.hop(
        name,
        "conntrack",
        "accept",
        conntrack_row(entry, journey.now),
        "The machine remembers this connection from now on.",
        at.packet,
        quiet=True,
    )


# --- NAT ---------------------------------------------------------------------------------


def nat(journey: Journey, at: At, stage: Stage) -> None:
    """The first packet of a connection asks the nat chains; all others are turned as it was."""
    tracked, half = at.tracked, HALF[at.hook]
    if tracked is None:
        return
    if half not in tracked.settled:
        decision = ask(journey, at, stage)
        entry = tracked.entry
        reply = bound(at, decision, half)
        if half == "src":
            reply = free_reply(journey.entries(at.here.netns.name), reply)
        tracked = replace(
            tracked, entry=replace(entry, reply=reply), settled=tracked.settled | {half}
        )
        at.tracked = tracked
        after = translated(at.packet, tracked, half)
        if after != at.packet:
            tell_rewrite(journey, at, after, decision)
        at.packet = after
        return
    after = translated(at.packet, tracked, half)
    if after != at.packet:
        tell_restore(journey, at, after, half)
        at.packet = after


def ask(journey: Journey, at: At, stage: Stage) -> Decision | None:
    """The nat chains' decision; None where none of them wants a change."""
    for base in stage.bases:
        decision = decide(journey, at, base.table, base.chain)
        tell_marks(journey, at, decision, base.table.name)
        if isinstance(decision.target, Dnat | Snat | Masquerade):
            return decision
    return None


def bound(at: At, decision: Decision | None, half: str) -> Tuple:
    assert at.tracked is not None
    reply = at.tracked.entry.reply
    target = None if decision is None else decision.target
    if isinstance(target, Dnat):
        assert half == "dst", "DNAT outside PREROUTING and OUTPUT"
        return replace(reply, src=target.address, sport=target.port or reply.sport)
    if isinstance(target, Snat):
        return replace(reply, dst=target.address)
    if isinstance(target, Masquerade):
        assert at.way is not None, "MASQUERADE outside POSTROUTING"
        lent = device_address(at.here, at.out_device, at.way.via or at.packet.dst)
        return reply if lent is None else replace(reply, dst=lent)
    return reply


def tell_rewrite(journey: Journey, at: At, after: Packet, decision: Decision | None) -> None:
    before = at.packet
    if (before.dst, before.dport) != (after.dst, after.dport):
        says = f"New destination: {before.destination} becomes {after.destination}."
    else:
        says = f"New source: {before.source} becomes {after.source}."
    rule = None if decision is None else decision.rule
    if rule is None or decision is None:
        assert at.tracked is not None
        why = conntrack_row(at.tracked.entry, journey.now)
        says = f"The source port is in use by another connection: {after.source} instead."
    else:
        why = deciding_row(decision, rule, decision.path[-1], before)
    journey.hop(
        at.here.netns.name,
        at.hook,
        "rewrite",
        why,
        says,
        before,
        after,
        table="nat",
        device=at.in_device or at.out_device,
    )


def tell_restore(journey: Journey, at: At, after: Packet, half: str) -> None:
    tracked = at.tracked
    assert tracked is not None
    again = "again" if tracked.is_reply else "as before"
    if tracked.related and half == "src":
        says = f"The error is turned like its connection: source {after.source} {again}."
    elif half == "src":
        says = f"A known connection: source {at.packet.source} becomes {after.source} {again}."
    else:
        says = (
            f"A known connection: destination {at.packet.destination}"
            f" becomes {after.destination} {again}."
        )
    journey.hop(
        at.here.netns.name,
        at.hook,
        "restore",
        conntrack_row(tracked.entry, journey.now),
        says,
        at.packet,
        after,
        table="nat",
        device=at.in_device or at.out_device,
    )


# --- chains ------------------------------------------------------------------------------


def decide(journey: Journey, at: At, table: Table, base: Chain) -> Decision:
    packet = at.packet
    name = at.here.netns.name
    unknown = UNTRACKED if name in journey.untracked else INVALID
    states = unknown if at.tracked is None else at.tracked.states
    entries = journey.entries(name)
    view = Seen(
        at.here,
        packet,
        int(packet.src),
        int(packet.dst),
        protocol_name(packet),
        at.in_device,
        at.out_device,
        states,
        lambda recent: knows(entries, recent, packet.src, journey.now),
    )
    decision = journey.decide(table, base, view, packet.mark)
    journey.rules += decision.visited
    for wish in decision.remembered:
        remember(entries, wish, packet.src, journey.now)
    return decision


def protocol_name(packet: Packet) -> str:
    if packet.protocol == "ICMP" and packet.src.version == 6:
        return "icmpv6"
    return packet.protocol.lower()


def chain(journey: Journey, at: At, stage: Stage) -> End | None:
    """One filter or mangle chain."""
    (base,) = stage.bases
    decision = decide(journey, at, base.table, base.chain)
    tell_marks(journey, at, decision, base.table.name)
    name, table = at.here.netns.name, base.table.name
    if decision.untracked is not None:
        journey.untracked.add(name)
        why = rule_text(decision.untracked, base.chain.name)
        says = "Connection tracking looks away, so no rule of NAT rewrites this packet here."
        journey.hop(name, at.hook, "accept", why, says, at.packet, table=table)
    why = verdict_text(base.chain.name, decision, at.packet)
    if decision.target == Verdict("ACCEPT"):
        if decision.rule is not None:
            told = decision.rule.says
            says = told or f"A rule of table {table} lets the packet through."
            quiet = not told
            journey.hop(name, at.hook, "accept", why, says, at.packet, table=table, quiet=quiet)
        return None
    if isinstance(decision.target, Reject):
        return reject(journey, at, decision.target, table, why)
    assert decision.target == Verdict("DROP"), f"{why}: not a verdict of table {table}"
    by = "A rule" if decision.rule is not None else "The chain's policy"
    says = f"{by} throws the packet away without a word."
    journey.hop(name, at.hook, "drop", why, says, at.packet, table=table)
    return End("dropped", name, at.packet)


def verdict_text(base: str, decision: Decision, packet: Packet) -> str:
    if decision.rule is None:
        assert isinstance(decision.target, Verdict)
        return f":{base} {decision.target.name}"
    return deciding_row(decision, decision.rule, decision.path[-1], packet)


def deciding_row(decision: Decision, rule: Rule, chain: str, packet: Packet) -> str:
    """The rule as the tool prints it that wrote it; nft's rows in the braces of their chain."""
    if decision.tool == "nft":
        row = kept(rule, family(packet), lambda rule: row_text(rule, family(packet)))
        return f"chain {chain} {{ {row} }}"
    return kept(rule, f"-A {chain}", lambda rule: rule_text(rule, chain))


def tell_marks(journey: Journey, at: At, decision: Decision, table: str) -> None:
    name = at.here.netns.name
    for marked in decision.marked:
        before, after = at.packet, replace(at.packet, mark=marked.mark)
        why, says = deciding_row(decision, marked.rule, marked.chain, before), marked.rule.says
        at.packet = after
        if says:
            journey.hop(name, at.hook, "accept", why, says, after, table=table)
            continue
        says = f"The packet gets the mark 0x{marked.mark:x}, which never leaves the machine."
        journey.hop(name, at.hook, "rewrite", why, says, before, after, table=table, quiet=True)


REASONS: dict[str, IcmpKind] = {
    "icmp-port-unreachable": "port-unreachable",
    "icmp-host-unreachable": "host-unreachable",
    "icmp-net-unreachable": "net-unreachable",
    "icmp-admin-prohibited": "admin-prohibited",
    "icmp6-port-unreachable": "port-unreachable",
    "icmp6-adm-prohibited": "admin-prohibited",
}


def reject(journey: Journey, at: At, target: Reject, table: str, why: str) -> End:
    """The packet is refused with an ICMP error, which still knows the packet's connection."""
    assert target.reason in REASONS, f"no meaning for --reject-with {target.reason}"
    name, kind = at.here.netns.name, REASONS[target.reason]
    says = f"A rule refuses the packet and tells its sender so: ICMP {kind}."
    journey.hop(name, at.hook, "reject", why, says, at.packet, table=table)
    remember_refused(journey, at)
    return End("refused", name, at.packet, icmp_error(at.here, at.packet, kind))
