"""Programs that look names up, and the files that they go by: nslookup, host, getent, cat."""

from __future__ import annotations

import re
from collections.abc import Iterable

from labkit.commands.dig import dig, resolved
from labkit.commands.host_tools import HOST_TOOLS
from labkit.commands.nslookup import busybox_nslookup, old_busybox, told
from labkit.commands.output import Output
from labkit.commands.terminal import Program, Terminal
from labkit.dns.message import Record, address_text, reverse_name
from labkit.dns.resolver import Sent, candidates
from labkit.errors import CommandError
from labkit.traffic.resolve import Resolution, conf_of, hosts_rows

OLD_BUSYBOX = re.compile(r"busybox:1\.(?:[01]?\d|2[0-8])(?:\D|$)")

# --- nslookup --------------------------------------------------------------------------------


def nslookup(terminal: Terminal, words: list[str]) -> Output:
    """`nslookup [-type=TYPE] NAME [SERVER]`: BusyBox's in its images and Alpine's, else bind's."""
    flags = [w for w in words if w.startswith("-")]
    rest = [w for w in words if not w.startswith("-")]
    types = [w.partition("=")[2].upper() for w in flags if w.startswith(("-type=", "-q", "-ty"))]
    if len(types) != len(flags) or not 1 <= len(rest) <= 2:
        raise CommandError(f"nslookup {' '.join(words)}: write nslookup [-type=TYPE] NAME [SERVER]")
    name, server = rest[0], rest[1] if rest[1:] else ""
    images = (
        " ".join(c.image for c in terminal.spot.pod.spec.containers) if terminal.spot.pod else ""
    )
    if OLD_BUSYBOX.search(images):
        return old_busybox(terminal.lab.resolve(terminal.full_place, name, server=server))
    if "busybox" in images or "alpine" in images:
        type_ = types[0] if types else "PTR" if address_text(name) else "A+AAAA"
        how = {"server": server, "resolver": "busybox-nslookup"}
        return busybox_nslookup(
            terminal.lab.resolve(terminal.full_place, name, type_, **how).lookup
        )
    return _bind_nslookup(terminal, name, types[0] if types else "", server)


def _bind_nslookup(terminal: Terminal, name: str, type_: str, server: str) -> Output:
    """bind's: along the search list to the first name that is there, then AAAA for it."""
    address = address_text(name)
    first = type_ or ("PTR" if address else "A")
    tried = searched(terminal, reverse_name(name) if address else name, first, server)
    sent, lines = tried[-1], grumbles(tried)
    if sent.answer is None:
        return Output("\n".join([*errors(sent, 3), ";; no servers could be reached", "", ""]), 1)
    lines += [] if address else [f"Server:\t\t{sent.server}", f"Address:\t{sent.server}#53", ""]
    shown = sent.query.name.rstrip(".")
    if not sent.answer.exists:
        lines += [f"** server can't find {shown}: {sent.answer.rcode}", "", ""]
        return Output("\n".join(lines), 1)
    answers = [sent]
    if not type_ and not address:
        answers += resolved(terminal, sent.query.name, "AAAA", server).lookup.sent[-1:]
    if not any(one.answer.answer for one in answers if one.answer):
        return Output("\n".join([*lines, f"*** Can't find {shown}: No answer", "", ""]))
    for number, one in enumerate(answers):
        lines += grumbles([one]) if number else []
        records = one.answer.answer if one.answer else ()
        banner = records and not number and not sent.answer.aa
        lines += ["Non-authoritative answer:"] if banner else []
        fresh = records if not number else [r for r in records if r.type == "AAAA"]
        lines += [line for record in fresh for line in _dotted(record)]
    return Output("\n".join([*lines, "", ""]))


def _dotted(record: Record) -> list[str]:
    """bind keeps the last dot of a name that a record points to."""
    lines = told(record)
    return [f"{line}." for line in lines] if record.data.endswith(".") else lines


def searched(terminal: Terminal, name: str, type_: str, server: str = "") -> tuple[Sent, ...]:
    """Answers along the search list, up to the first name that is there."""
    conf = conf_of(terminal.lab.state, terminal.spot)
    sent: list[Sent] = []
    for candidate in candidates(name, conf):
        sent += resolved(terminal, candidate, type_, server).lookup.sent[-1:]
        if sent[-1].answer is None or sent[-1].answer.exists:
            break
    return tuple(sent)


def grumbles(sent: Iterable[Sent]) -> list[str]:
    """bind 9.18 expects a server that asks others; CoreDNS does not say that it would."""
    shy = (one for one in sent if one.answer and not one.answer.ra)
    return [f";; Got recursion not available from {one.server}" for one in shy]


def errors(sent: Sent, tries: int) -> list[str]:
    why = {"refused": "connection refused", "unreachable": "network unreachable"}
    text = why.get(sent.fault or "", "timed out")
    return [f";; communications error to {sent.server}#53: {text}"] * tries


# --- host ------------------------------------------------------------------------------------

HOST_SAYS = {
    "A": "has address {}",
    "AAAA": "has IPv6 address {}",
    "CNAME": "is an alias for {}",
    "PTR": "domain name pointer {}",
    "MX": "mail is handled by {}",
    "SRV": "has SRV record {}",
    "NS": "name server {}",
    "TXT": "descriptive text {}",
    "SOA": "has SOA record {}",
}


def host(terminal: Terminal, words: list[str]) -> Output:
    """`host [-t TYPE] NAME [SERVER]`."""
    types: tuple[str, ...] = ()
    if words[:1] == ["-t"] and words[2:]:
        types, words = (words[1].upper(),), words[2:]
    if not 1 <= len(words) <= 2 or words[0].startswith("-"):
        raise CommandError(f"host {' '.join(words)}: write host [-t TYPE] NAME [SERVER]")
    name, server = words[0], words[1] if words[1:] else ""
    address = address_text(name)
    types = types or (("PTR",) if address else ("A", "AAAA", "MX"))
    sent = searched(terminal, reverse_name(name) if address else name, types[0], server)[-1]
    if sent.answer is None:
        return Output("\n".join([*errors(sent, 2), ";; no servers could be reached"]), 1)
    head = [
        "Using domain server:",
        f"Name: {server}",
        f"Address: {sent.server}#53",
        "Aliases: ",
        "",
    ]
    lines = head if server else []
    shown = sent.query.name.rstrip(".")
    if not sent.answer.exists:
        number = {"NXDOMAIN": 3, "SERVFAIL": 2, "REFUSED": 5}.get(sent.answer.rcode, 4)
        lines.append(f"Host {shown} not found: {number}({sent.answer.rcode})")
        return Output("\n".join(lines), 1)
    found = [sent, *(_last(terminal, sent.query.name, t, server) for t in types[1:])]
    records = dict.fromkeys(r for one in found if one.answer for r in one.answer.answer)
    if not records and len(types) == 1:
        return Output("\n".join([*lines, f"{shown} has no {types[0]} record"]))
    lines += [f"{r.name.rstrip('.')} {HOST_SAYS[r.type].format(r.data)}" for r in records]
    return Output("\n".join(lines))


def _last(terminal: Terminal, name: str, type_: str, server: str) -> Sent:
    return resolved(terminal, name, type_, server).lookup.sent[-1]


# --- getent and files ------------------------------------------------------------------------


def getent(terminal: Terminal, words: list[str]) -> Output:
    """`getent hosts|ahosts|ahostsv4|ahostsv6 NAME`: what the C library makes of a name."""
    match words:
        case ["hosts", name] if address_text(name):
            found = terminal.lab.resolve(terminal.full_place, name, "PTR")
            rows = [f"{name:<15} {data.rstrip('.')}" for data in found.lookup.addresses]
        case ["hosts", name]:
            found = terminal.lab.resolve(terminal.full_place, name, "AAAA")
            if not found:  # gethostbyname2: IPv6 with the whole search list first
                found = terminal.lab.resolve(terminal.full_place, name, "A")
            rows = [f"{address:<15} {_canonical(found)}" for address in found.lookup.addresses]
        case ["ahosts" | "ahostsv4" | "ahostsv6" as base, name]:
            types = {"ahosts": "A+AAAA", "ahostsv4": "A", "ahostsv6": "AAAA"}[base]
            found = terminal.lab.resolve(terminal.full_place, name, types)
            rows = []
            for number, address in enumerate(found.lookup.addresses):
                rows.append(f"{address:<15} STREAM {'' if number else _canonical(found)}")
                rows += [f"{address:<15} DGRAM  ", f"{address:<15} RAW    "]
        case _:
            raise CommandError(f"getent {' '.join(words)}: the lab has getent hosts|ahosts NAME")
    return Output("\n".join(rows), 0 if rows else 2)


def _canonical(found: Resolution) -> str:
    return (found.lookup.canonical or found.name).rstrip(".")


def cat(terminal: Terminal, words: list[str]) -> Output:
    """`cat /etc/resolv.conf`, `/etc/hosts` and `/etc/hostname` as the kubelet writes them.

    Other files are those of `host_tools`.
    """
    pod = terminal.spot.pod
    own = (pod.spec.hostname or pod.name) if pod else terminal.spot.text
    rows = hosts_rows(terminal.spot)
    files = {
        "/etc/resolv.conf": str(conf_of(terminal.lab.state, terminal.spot)),
        "/etc/hosts": "".join(f"{ip}\t{name.rstrip('.')}\n" for ip, name in rows),
        "/etc/hostname": f"{own}\n",
    }
    if not words or not set(words) <= files.keys():
        return HOST_TOOLS["cat"](terminal, words)
    return Output("".join(files[word] for word in words))


DNS_TOOLS: dict[str, Program] = {
    "dig": dig,
    "nslookup": nslookup,
    "host": host,
    "getent": getent,
    "cat": cat,
}
