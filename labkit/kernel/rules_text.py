"""Rules as `iptables-save` prints them, to the letter.

The lines that begin with `#` are left out: they hold a version and a date. Counters are 0.

Source: iptables 1.8.9, iptables/xshared.c and extensions/libxt_*.c, seen from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters, digits

from labkit.kernel import netfilter as nf
from labkit.kernel.netns import Netns
from labkit.kernel.routes import Prefix

PLAIN = set(ascii_letters + digits + "_-")
TABLES = ("mangle", "raw", "filter", "nat")  # the order in which iptables-save (nft) prints them
BASE = {"PREROUTING": 0, "INPUT": 1, "FORWARD": 2, "OUTPUT": 3, "POSTROUTING": 4}


def iptables_save(netns: Netns, table: str | None = None, family: str = "ip") -> str:
    """What `iptables-save` prints (with `-t TABLE` only that one), without its `#` lines."""
    found = {
        t.name: t
        for t in netns.ruleset.tables
        if t.tool == "iptables" and t.family == family and table in (None, t.name)
    }
    return "".join(table_text(found[name]) for name in TABLES if name in found)


def table_text(table: nf.Table) -> str:
    """One table as iptables-save prints it: base chains by hook, then the others by name."""
    chains = sorted(table.chains.values(), key=lambda c: (BASE.get(c.hook or "", 5), c.name))
    lines = [f"*{table.name}"]
    lines += [f":{chain.name} {chain.policy or '-'} [0:0]" for chain in chains]
    lines += [rule_text(rule, chain.name) for chain in chains for rule in chain.rules]
    return "\n".join([*lines, "COMMIT", ""])


def rule_text(rule: nf.Rule, chain: str) -> str:
    """`-A CHAIN ...`, as iptables-save prints the rule after loading it.

    Addresses, devices and protocol come first, in this order; then the modules as the rule
    has them, the protocol's own (`-m tcp`, with its ports) where its `Proto` stands.
    """
    words = ["-A", chain]
    for kind, text in HEAD.items():
        words += [word for m in rule.matches if isinstance(m, kind) for word in text(m)]
    for match in rule.matches:
        if isinstance(match, nf.Proto):
            words += protocol_module(rule, match)
        elif type(match) not in HEAD and not isinstance(match, PORTS):
            words += TAIL[type(match)](match)
    if rule.target is not None:
        words += TARGETS[type(rule.target)](rule.target)
    return " ".join(words)


def protocol_module(rule: nf.Rule, proto: nf.Proto) -> list[str]:
    listed = sorted((m for m in rule.matches if isinstance(m, PORTS)), key=is_destination)
    assert proto.module or not listed, "a match on ports needs `-m` of its protocol"
    words = ["-m", proto.name] if proto.module else []
    return words + [word for match in listed for word in ports(match)]


def is_destination(match: nf.SourcePort | nf.DestinationPort) -> bool:
    return isinstance(match, nf.DestinationPort)


PORTS = (nf.SourcePort, nf.DestinationPort)


def negated(negate: bool) -> list[str]:
    return ["!"] if negate else []


def net_text(net: Prefix) -> str:
    """iptables-save always prints the prefix length."""
    return str(net)


HEAD: dict[type, Callable[..., list[str]]] = {
    nf.Source: lambda m: [*negated(m.negate), "-s", net_text(m.net)],
    nf.Destination: lambda m: [*negated(m.negate), "-d", net_text(m.net)],
    nf.InDevice: lambda m: [*negated(m.negate), "-i", m.name],
    nf.OutDevice: lambda m: [*negated(m.negate), "-o", m.name],
    nf.Proto: lambda m: [*negated(m.negate), "-p", m.name],
}


def ports(match: nf.SourcePort | nf.DestinationPort) -> list[str]:
    option = "--sport" if isinstance(match, nf.SourcePort) else "--dport"
    value = str(match.first) if match.last is None else f"{match.first}:{match.last}"
    return [*negated(match.negate), option, value]


def several_ports(match: nf.Ports) -> list[str]:
    listed = (str(a) if a == b else f"{a}:{b}" for a, b in match.ranges)
    return ["-m", "multiport", *negated(match.negate), "--dports", ",".join(listed)]


def mark_text(value: int, mask: int) -> str:
    return f"0x{value:x}" if mask == 0xFFFFFFFF else f"0x{value:x}/0x{mask:x}"


def quoted(text: str) -> str:
    """A comment in quotes, unless it is one plain word."""
    if text and PLAIN.issuperset(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    return f'"{escaped}"'


def probability(one_in: int) -> str:
    """The chance after it went through the kernel's 31 bits."""
    kept = round(2**31 / one_in)
    return f"{kept / 2**31:.11f}"


def recent_text(match: nf.Recent) -> list[str]:
    words = ["-m", "recent", f"--{match.action}"]
    if match.action == "rcheck":
        words += ["--seconds", str(match.seconds), "--reap"]
    return [*words, "--name", match.name, "--mask", "255.255.255.255", "--rsource"]


TAIL: dict[type, Callable[..., list[str]]] = {
    nf.Ports: several_ports,
    nf.Mark: lambda m: ["-m", "mark", *negated(m.negate), "--mark", mark_text(m.value, m.mask)],
    nf.CtState: lambda m: ["-m", "conntrack", *negated(m.negate), "--ctstate", ",".join(m.states)],
    nf.AddrType: lambda m: ["-m", "addrtype", *negated(m.negate), f"--{m.end}-type", m.kind],
    nf.Statistic: lambda m: [
        "-m",
        "statistic",
        "--mode",
        "random",
        "--probability",
        probability(m.one_in),
    ],
    nf.Recent: recent_text,
    nf.InSet: lambda m: ["-m", "set", *negated(m.negate), "--match-set", m.name, ",".join(m.ends)],
    nf.BridgePort: lambda m: ["-m", "physdev", *negated(m.negate), "--physdev-is-in"],
    nf.Comment: lambda m: ["-m", "comment", "--comment", quoted(m.text)],
}


def dnat_text(target: nf.Dnat) -> list[str]:
    address = f"[{target.address}]" if target.address.version == 6 else str(target.address)
    port = "" if target.port is None else f":{target.port}"
    where = f"{address}{port}" if target.port is not None else str(target.address)
    return ["-j", "DNAT", "--to-destination", where]


TARGETS: dict[type, Callable[..., list[str]]] = {
    nf.Jump: lambda t: ["-g" if t.goto else "-j", t.chain],
    nf.Verdict: lambda t: ["-j", t.name],
    nf.Reject: lambda t: ["-j", "REJECT", "--reject-with", t.reason],
    nf.SetMark: lambda t: ["-j", "MARK", "--set-xmark", f"0x{t.value:x}/0x{t.mask:x}"],
    nf.NoTrack: lambda t: ["-j", "NOTRACK"],
    nf.Dnat: dnat_text,
    nf.Snat: lambda t: ["-j", "SNAT", "--to-source", str(t.address)],
    nf.Masquerade: lambda t: ["-j", "MASQUERADE", *(["--random-fully"] if t.random_fully else [])],
}
