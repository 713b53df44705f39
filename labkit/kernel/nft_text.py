"""nft tables as `nft list ruleset` prints them, to the letter.

*The lab simplifies*: the tables of iptables-nft, which nft shows in a form that it cannot load
again, are left to iptables-save.

Source: nftables 1.0.6, seen from outside; the order of elements, src/mergesort.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import collapse_addresses
from typing import Any

from labkit.kernel import netfilter as nf
from labkit.kernel.netns import Netns
from labkit.kernel.packet import endpoint
from labkit.kernel.routes import Prefix

PROTOCOL_NUMBER = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}
PRIORITY_NAME = {
    # nft names a priority only at the hooks where it means something.
    ("PREROUTING", -100): "dstnat",
    ("PREROUTING", -110): "dstnat - 10",
    ("POSTROUTING", 100): "srcnat",
}
ANYWHERE = {-300: "raw", -150: "mangle", 0: "filter"}
STATES = ("INVALID", "ESTABLISHED", "RELATED", "NEW")  # in the order of their bits
LONGEST_COMMENT = 128  # bytes
NEXT_ELEMENT = ",\n\t\t\t     "


def nft_list_ruleset(netns: Netns) -> str:
    """What `nft list ruleset` prints of the tables that nft itself made."""
    own = (table for table in netns.ruleset.tables if table.tool == "nft")
    return "".join(table_text(table) for table in own)


def table_text(table: nf.Table) -> str:
    head = [f"table {table.family} {table.name} {{"]
    if table.comment:
        head.append(f'\tcomment "{table.comment}"')
    blocks = [set_block(each) for each in table.sets.values()]
    blocks += [chain_block(chain, table.family) for chain in table.chains.values()]
    return "\n".join(head) + "\n" + "\n\n".join(blocks) + "\n}\n"


# --- sets and maps -----------------------------------------------------------------------


def set_block(each: nf.NftSet) -> str:
    kinds = " . ".join(each.kinds) + (" : verdict" if each.verdicts else "")
    rows = [f"type {kinds}"]
    if each.timeout is not None:
        # The size is what the kernel gives to a set that rules add to.
        rows += ["size 65535", "flags dynamic,timeout", f"timeout {duration(each.timeout)}"]
    if each.comment:
        rows.append(f'comment "{each.comment}"')
    if each.elements:
        keys = sorted(each.elements, key=element_place)
        texts = [element_text(key, each.elements[key]) for key in keys]
        rows.append(f"elements = {{ {joined(texts, wide=each.kinds == ('ipv4_addr',))} }}")
    word = "map" if each.verdicts else "set"
    return block(word, each.name, rows)


def block(word: str, name: str, rows: Iterable[str]) -> str:
    lines = "".join(f"\t\t{row}\n" for row in rows)
    return f"\t{word} {name} {{\n{lines}\t}}"


def joined(texts: list[str], wide: bool) -> str:
    """IPv4 addresses stand two in a line, everything longer alone."""
    step = 2 if wide else 1
    lines = (", ".join(texts[i : i + step]) for i in range(0, len(texts), step))
    return NEXT_ELEMENT.join(lines)


def element_place(key: nf.Key) -> int:
    """nft reads a lone value as a number, but several side by side with the last byte first."""
    data = b"".join(part_bytes(part) for part in key)
    return int.from_bytes(data, "big" if len(key) == 1 else "little")


def part_bytes(part: Any) -> bytes:
    if isinstance(part, str):
        return bytes([PROTOCOL_NUMBER[part]])
    if isinstance(part, int):
        return part.to_bytes(2, "big")
    packed: bytes = part.packed
    return packed


def element_text(key: nf.Key, element: nf.Element) -> str:
    words = [" . ".join(map(str, key))]
    if element.comment:
        words.append(f'comment "{element.comment}"')
    if element.target is not None:
        words += [":", verdict_words(element.target)]
    return " ".join(words)


def duration(seconds: int) -> str:
    """`3h`, `1m30s`"""
    parts, units = [], (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    for unit, size in units:
        count, seconds = divmod(seconds, size)
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts) or "0s"


# --- chains and rules --------------------------------------------------------------------


def chain_block(chain: nf.Chain, family: str) -> str:
    rows = [f'comment "{chain.comment}"'] if chain.comment else []
    if chain.hook:
        kind = "nat" if chain.priority in (-100, 100) else "filter"
        place = f"type {kind} hook {chain.hook.lower()} priority {priority(chain)};"
        rows.append(f"{place} policy {(chain.policy or 'ACCEPT').lower()};")
    rows += [row_text(rule, family) for rule in chain.rules]
    return block("chain", chain.name, rows)


def priority(chain: nf.Chain) -> str:
    if chain.priority in ANYWHERE:
        return ANYWHERE[chain.priority]
    return PRIORITY_NAME.get((chain.hook or "", chain.priority), str(chain.priority))


def row_text(rule: nf.Rule, family: str) -> str:
    """One rule as it stands in its chain's block; `family` is ip or ip6."""
    words: list[str] = []
    notes: list[str] = []
    for match in rule.matches:
        if isinstance(match, nf.Comment):
            notes.append(match.text)
        elif isinstance(match, nf.Ports):
            words[-1:] = [several_ports(match, words[-1])]
        else:
            words.append(MATCHES[type(match)](match, family))
    if rule.target is not None:
        words.append(TARGETS[type(rule.target)](rule.target, family))
    note = f' comment "{"; ".join(notes)[:LONGEST_COMMENT]}"' if notes else ""
    return " ".join(words) + note


def several_ports(match: nf.Ports, proto: str) -> str:
    """`tcp dport { 53, 8000-8100 }`: the protocol that stands in front becomes part of it.

    A set with a range in it has no neighbours and nothing twice: they have become one.
    """
    ranges = sorted(set(match.ranges))
    if any(first != last for first, last in ranges):
        merged: list[tuple[int, int]] = []
        for first, last in ranges:
            if merged and first <= merged[-1][1] + 1:
                first, last = merged[-1][0], max(last, merged.pop()[1])
            merged.append((first, last))
        ranges = merged
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in ranges]
    listed = texts[0] if len(texts) == 1 else f"{{ {', '.join(texts)} }}"
    return f"{proto.rpartition(' ')[2]} dport {unlike(match)}{listed}"


def fields_text(fields: Iterable[nf.Field], family: str) -> str:
    words = {
        "saddr": f"{family} saddr",
        "daddr": f"{family} daddr",
        "l4proto": "meta l4proto",
        "dport": "th dport",
    }
    return " . ".join(words[field] for field in fields)


def unlike(match: Any) -> str:
    return "!= " if match.negate else ""


def net_text(net: Prefix) -> str:
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)


def nets_text(nets: tuple[Prefix, ...]) -> str:
    """One network alone, several in braces; neighbours among them have become one."""
    if len(nets) == 1:
        return net_text(nets[0])
    merged = collapse_addresses(nets)  # type: ignore[type-var] # all of one family
    return f"{{ {', '.join(net_text(net) for net in merged)} }}"


def ct_text(match: nf.CtState, family: str) -> str:
    """NAT is a connection's status, the others are its state."""
    part = "status" if match.states == ("DNAT",) else "state"
    states = sorted(match.states, key=STATES.index) if part == "state" else match.states
    return f"ct {part} {unlike(match)}{','.join(states).lower()}"


def device_text(name: str) -> str:
    """Where iptables writes `cali+`, nft writes `cali*`."""
    return f"{name[:-1]}*" if name.endswith("+") else name


def mark_match(match: nf.Mark, family: str) -> str:
    sign = "!=" if match.negate else "=="
    return f"meta mark & 0x{match.mask:08x} {sign} 0x{match.value:08x}"


MATCHES: dict[type, Callable[[Any, str], str]] = {
    nf.Source: lambda m, f: f"{f} saddr {unlike(m)}{net_text(m.net)}",
    nf.Destination: lambda m, f: f"{f} daddr {unlike(m)}{net_text(m.net)}",
    nf.InDevice: lambda m, f: f'iifname {unlike(m)}"{device_text(m.name)}"',
    nf.OutDevice: lambda m, f: f'oifname {unlike(m)}"{device_text(m.name)}"',
    nf.Proto: lambda m, f: f"meta l4proto {m.name}",
    nf.CtState: ct_text,
    nf.Mark: mark_match,
    nf.AddrType: lambda m, f: f"fib {m.end[0]}addr type {unlike(m)}{m.kind.lower()}",
    nf.Lookup: lambda m, f: f"{fields_text(m.fields, f)} {unlike(m)}@{m.name}",
    nf.OneOf: lambda m, f: f"{fields_text((m.field,), f)} {unlike(m)}{nets_text(m.nets)}",
}


def verdict_words(target: nf.Target) -> str:
    if isinstance(target, nf.Jump):
        return f"{'goto' if target.goto else 'jump'} {target.chain}"
    assert isinstance(target, nf.Verdict), target
    return target.name.lower()


def set_mark(target: nf.SetMark, family: str) -> str:
    if not target.value:
        return f"meta mark set meta mark & 0x{0xFFFFFFFF ^ target.mask:08x}"
    sign = "|" if target.mask == target.value else "^"
    return f"meta mark set meta mark {sign} 0x{target.value:08x}"


def random_jump(target: nf.RandomJump, family: str) -> str:
    sides = ", ".join(f"{i} : {verdict_words(jump)}" for i, jump in enumerate(target.jumps))
    return f"numgen random mod {len(target.jumps)} vmap {{ {sides} }}"


def random_dnat(target: nf.RandomDnat, family: str) -> str:
    ends = ", ".join(f"{i} : {end.address} . {end.port}" for i, end in enumerate(target.ends))
    return f"dnat {family} to numgen random mod {len(target.ends)} map {{ {ends} }}"


def dnat_text(target: nf.Dnat, family: str) -> str:
    to = str(target.address) if target.port is None else endpoint(target.address, target.port)
    return f"dnat to {to}"


def marking(target: nf.Marking, family: str) -> str:
    then = TARGETS[type(target.then)](target.then, family)
    return f"{set_mark(target.mark, family)} {then}"


TARGETS: dict[type, Callable[[Any, str], str]] = {
    nf.Jump: lambda t, f: verdict_words(t),
    nf.Verdict: lambda t, f: verdict_words(t),
    nf.Reject: lambda t, f: "reject",
    nf.SetMark: set_mark,
    nf.Dnat: dnat_text,
    nf.Masquerade: lambda t, f: "masquerade" + (" fully-random" if t.random_fully else ""),
    nf.VerdictMap: lambda t, f: f"{fields_text(t.fields, f)} vmap @{t.name}",
    nf.RandomJump: random_jump,
    nf.RandomDnat: random_dnat,
    nf.Update: lambda t, f: f"update @{t.name} {{ {fields_text((t.field,), f)} }}",
    nf.Marking: marking,
}
