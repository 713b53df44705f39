"""Rules as `iptables-save` prints them, to the letter.

The lines that begin with `#` are left out: they hold a version and a date.

Source: iptables 1.8.9, iptables/xshared.c and extensions/libxt_*.c, seen from outside.
"""

from __future__ import annotations

from collections.abc import Callable

from labkit.kernel import netfilter as nf
from labkit.kernel.routes import Prefix

UNSAFE = set(" \t\"'\\`$!#&*()[]{};<>?|~")


def rule_text(rule: nf.Rule, chain: str) -> str:
    """`-A CHAIN ...`, as iptables-save prints the rule after loading it."""
    words = ["-A", chain]
    for kind in HEAD:
        for match in rule.matches:
            if isinstance(match, kind):
                words += HEAD[kind](match)
    ordered = [m for m in rule.matches if type(m) not in HEAD]
    module = next((m for m in rule.matches if isinstance(m, nf.Proto) and m.module), None)
    shown = False
    for match in rule.matches:
        if isinstance(match, nf.Proto) and match.module:
            words += ["-m", match.name]
            words += [w for m in ordered if isinstance(m, PORTS) for w in ports(m)]
            shown = True
        elif isinstance(match, PORTS):
            assert module is not None or shown, "a port match needs `-p` with its module"
        elif type(match) not in HEAD:
            words += TAIL[type(match)](match)
    if rule.target is not None:
        words += TARGETS[type(rule.target)](rule.target)
    return " ".join(words)


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


def mark_text(value: int, mask: int) -> str:
    return f"0x{value:x}" if mask == 0xFFFFFFFF else f"0x{value:x}/0x{mask:x}"


def quoted(text: str) -> str:
    """A comment in quotes, unless it is one plain word."""
    if text and not UNSAFE & set(text):
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
    nf.Dnat: dnat_text,
    nf.Snat: lambda t: ["-j", "SNAT", "--to-source", str(t.address)],
    nf.Masquerade: lambda t: ["-j", "MASQUERADE", *(["--random-fully"] if t.random_fully else [])],
}
