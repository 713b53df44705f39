"""A connection as a terminal prints it: one row for each decision, with the row that made it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from labkit.kernel.trace import Hop, Trace

STAGE, ACTION = 12, 9  # columns as wide as POSTROUTING and rewrite need
COMMENT = re.compile(r' -m comment --comment ("[^"]*"|\S+)')
WORDS = {"route": "forward"}  # the stage has said "route" already
LISTENING = ("LISTEN", "UNCONN")  # what `ss` calls a listening TCP or UDP socket
OWNER = re.compile(r' -m comment --comment "cali:[^"]*"')  # by which a program knows its rules
MARK = re.compile(r" -m mark --mark 0x0/\S+")
ESTABLISHED = "--ctstate RELATED,ESTABLISHED"
DEFAULTS = re.compile(r" srcport 0 0 | nolearning .*")  # of a VXLAN device
NOISE = re.compile(r" -p \w+| -m (?:tcp|udp|sctp)(?= )")


def plural(number: float, noun: str) -> str:
    """`1 pod`, `3 pods`, `2.5 requests`."""
    shown = str(int(number)) if number == int(number) else f"{number:g}"
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}s"


def connection_text(heading: str, traces: tuple[Trace, ...], titles: Mapping[str, str]) -> str:
    """First who reached whom and how it ended, then the hops; `reply` before the way back.

    `traces` are requests and answers in turn; tries that only taught the client a smaller
    packet size stand before the last one. Hops that changed and decided nothing are left out.
    """
    rows = list(_rows(traces))
    width = max((len(titles.get(hop.netns, hop.netns)) for _, hop in rows if hop), default=0)
    lines, number = [heading], 0
    for label, hop in rows:
        if hop is None:
            lines.append(label)
            continue
        number += 1
        title = titles.get(hop.netns, hop.netns).ljust(width)
        stage, action = hop.stage.ljust(STAGE), WORDS.get(hop.action, hop.action).ljust(ACTION)
        lines.append(f"{number:2}  {title}  {stage}{action}{label}".rstrip())
    return "\n".join(lines)


def _rows(traces: tuple[Trace, ...]) -> Iterator[tuple[str, Hop | None]]:
    """(text, hop) in order; a heading inside has no hop."""
    for number, trace in enumerate(traces):
        answer = number % 2 == 1
        if number:
            yield ("reply" if answer else _again(trace)), None
        yield from _trace_rows(trace, answer=answer)


def _again(trace: Trace) -> str:
    return f"then, {trace.hops[0].before.size} bytes" if trace.hops else "then"


def _trace_rows(trace: Trace, *, answer: bool) -> Iterator[tuple[str, Hop]]:
    for hop in shown(trace.hops):
        yield said(hop, answer), hop


def shown(hops: Iterable[Hop]) -> tuple[Hop, ...]:
    """The hops that a reader needs: those that decided or changed something."""
    return tuple(hop for hop in hops if not hop.quiet)


def ends(hop: Hop, answer: bool) -> str:
    """`10.244.1.2 -> 10.96.0.20:80`: who sends to whom, without the client's passing port."""
    packet = hop.after
    if packet.icmp:
        return f"{packet.src} -> {packet.dst}, ICMP {packet.icmp.kind}"
    source = packet.source if answer else str(packet.src)
    target = str(packet.dst) if answer else packet.destination
    return f"{source} -> {target}" + (", RST" if "RST" in packet.flags else "")


def said(hop: Hop, answer: bool) -> str:
    """A hop's row: the table's own line, or fewer words where such a line says too much."""
    if hop.action == "send":
        return ends(hop, answer)
    if hop.action == "restore":
        return f"conntrack: {_change(hop)} again"
    if hop.stage == "socket" and any(state in hop.why for state in LISTENING):
        return f"a process listens on {hop.after.dport}"
    if hop.stage == "socket" and hop.action == "accept" and answer:
        return f"the client {_news(hop)}"
    if hop.why.endswith("-j NOTRACK"):
        return short(hop.why)
    if hop.action == "accept" and hop.stage != "socket" and ESTABLISHED not in hop.why:
        return hop.says.rstrip(".")  # the rule's own words: a mark's row tells nobody anything
    return short(hop.why)


def _news(hop: Hop) -> str:
    packet = hop.after
    if packet.icmp and packet.icmp.kind != "echo-reply":
        return f"is told: {packet.icmp.kind}"
    return "is told: RST" if "RST" in packet.flags else "has its answer"


def _change(hop: Hop) -> str:
    """`source 10.244.2.2:8080 becomes 10.96.0.20:80`."""
    before, after = hop.before, hop.after
    pairs = (
        ("source", before.source, after.source),
        ("destination", before.destination, after.destination),
    )
    changes = (f"{end} {old} becomes {new}" for end, old, new in pairs if old != new)
    return ", ".join(changes) or "the packet is known"


def short(why: str) -> str:
    """A row with its middle left out where it says nothing new: a rule, a VXLAN's settings."""
    if why.startswith("vxlan "):
        return DEFAULTS.sub(" … ", why).rstrip()
    if not why.startswith("-A "):
        return why
    head, jump, tail = why.rpartition(" -j ")
    if not jump:
        return why
    if tail.startswith("DNAT"):
        return f"{' '.join(head.split()[:2])} … -j {tail}"
    refuses = tail.startswith(("DROP", "REJECT"))
    head = OWNER.sub(" …", NOISE.sub("", head))
    head = COMMENT.sub(r" … \1 …" if refuses else " …", MARK.sub("", head) if refuses else head)
    return f"{head.replace(' … …', ' …')} -j {tail}"
