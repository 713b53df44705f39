"""dig, as bind 9.18 prints it.

*The lab simplifies*: the message's number and cookie come from the count of questions, and
answers take no time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from labkit.api.state import START
from labkit.commands.output import Output
from labkit.commands.terminal import Terminal
from labkit.dns.message import Answer, Record, Transport, address_text, fqdn, reverse_name
from labkit.dns.resolver import Sent, candidates
from labkit.errors import CommandError
from labkit.kernel.dice import SeededDice
from labkit.traffic.resolve import Resolution, conf_of

TYPES = ("A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "AXFR")
TRIES = 3
OPT = 11  # bytes of the EDNS0 record, and 12 more of the cookie in it
COOKIE = 12
SWITCHES = ("short", "search", "recurse", "all", "answer", "tcp", "cookie", "trace", "comments")


class Asked(NamedTuple):
    """A dig command line, read."""

    name: str = "."
    type: str = ""
    server: str = ""
    flags: frozenset[str] = frozenset({"recurse", "all", "cookie"})

    def on(self, flag: str) -> bool:
        return flag in self.flags


def dig(terminal: Terminal, words: list[str]) -> Output:
    """`dig [@SERVER] [+short] [+search] [-x ADDRESS] [-t TYPE] NAME [TYPE]`."""
    asked = read(words)
    lines = [] if asked.on("short") else ["", f"; <<>> DiG 9.18.49 <<>> {' '.join(words)}"]
    if not asked.on("short"):
        lines += ["; (1 server found)"] if asked.server else []
        lines += [";; global options: +cmd"]
    if asked.on("trace"):
        return traced(terminal, asked, lines)
    found = ask(terminal, asked)
    if found is None or found.answer is None:
        return _unanswered(found, lines)
    if asked.on("short"):
        return Output("\n".join(r.data for r in found.answer.answer))
    if not asked.on("all"):
        rows = [told(r) for r in found.answer.answer] if asked.on("answer") else []
        return Output("\n".join(rows))
    return Output("\n".join([*lines, *message(terminal, asked, found, found.answer), ""]))


def read(words: list[str]) -> Asked:
    """The words of the line. CommandError for what the lab's dig does not have."""
    asked = Asked()
    left = iter(words)
    for word in left:
        if word.startswith("@"):
            asked = asked._replace(server=word[1:])
        elif word.startswith("+"):
            asked = asked._replace(flags=_switched(asked.flags, word))
        elif word == "-x":
            name = next(left, "")
            if not address_text(name):
                raise CommandError(f"dig -x {name}: write an address behind -x")
            asked = asked._replace(name=reverse_name(name), type="PTR")
        elif word == "-t":
            asked = asked._replace(type=next(left, "").upper())
        elif word == "-q":
            asked = asked._replace(name=next(left, "."))
        elif word.startswith("-"):
            raise CommandError(f"dig {word}: the lab models -x, -t, -q, @SERVER and +OPTIONS")
        elif (word.upper() in TYPES and asked.name != ".") or (
            word.upper() in TYPES and not asked.type
        ):
            asked = asked._replace(type=word.upper())
        elif word.upper() != "IN":
            asked = asked._replace(name=word)
    return asked._replace(type=asked.type or ("NS" if asked.name == "." else "A"))


def _switched(flags: frozenset[str], word: str) -> frozenset[str]:
    name = word[1:]
    if name.startswith(("time=", "tries=", "timeout=", "retry=", "ndots=", "bufsize=")):
        return flags
    wanted = not name.startswith("no")
    name = name.removeprefix("no")
    if name not in SWITCHES:
        known = ", ".join(f"+{s}" for s in SWITCHES)
        raise CommandError(f"dig {word}: the lab models {known} and their +no forms")
    return flags | {name} if wanted else flags - {name}


def ask(terminal: Terminal, asked: Asked) -> Sent | None:
    """The last question that was sent; with +search along the search list until one is found."""
    conf = conf_of(terminal.lab.state, terminal.spot)
    names = candidates(asked.name, conf) if asked.on("search") else (fqdn(asked.name),)
    sent: Sent | None = None
    for name in names:
        found = resolved(
            terminal, name, asked.type, asked.server, "TCP" if asked.on("tcp") else "UDP"
        )
        sent = found.lookup.sent[-1] if found.lookup.sent else None
        if sent is None or sent.answer is None or sent.answer.exists:
            return sent
    return sent


def resolved(
    terminal: Terminal, name: str, type_: str, server: str = "", protocol: Transport = "UDP"
) -> Resolution:
    """The full name asked for, by the terminal's place."""
    address = server_address(terminal, server)
    how = {"server": address, "resolver": "glibc", "protocol": protocol}
    return terminal.lab.resolve(terminal.full_place, name, type_, **how)


def server_address(terminal: Terminal, server: str) -> str:
    """The address of a server, which may be given by name; empty if none is given."""
    if not server or address_text(server):
        return address_text(server)
    to = terminal.lab.resolve(terminal.full_place, server, "A").addresses
    if not to:
        raise CommandError(f"{server}: no such server; write its address")
    return str(to[0])


# --- +trace ----------------------------------------------------------------------------------


def traced(terminal: Terminal, asked: Asked, lines: list[str]) -> Output:
    """The pod's server asked for the root's servers, then one of those for the name itself.

    They are outside and know no name of the cluster. Names are not completed.
    Source: bind9 `bin/dig/dighost.c`, captured (9.18.49).
    """
    root = _last(resolved(terminal, ".", "NS", asked.server))
    if root is None or root.answer is None:
        return _unanswered(root, lines)
    lines = lines if asked.on("all") else []
    lines += _step(asked, root, root.server)
    servers = [r.data for r in root.answer.answer if r.type == "NS"]
    for name in servers[:1]:
        address = server_address(terminal, name)
        sent = _last(resolved(terminal, fqdn(asked.name), asked.type, address))
        if sent is None or sent.answer is None:
            silent = _unanswered(sent, [])
            return Output("\n".join([*lines, silent]), silent.exit_code)
        lines += _step(asked, sent, name.rstrip("."))
    return Output("\n".join(lines) + "\n")


def _last(found: Resolution) -> Sent | None:
    return found.lookup.sent[-1] if found.lookup.sent else None


def _step(asked: Asked, sent: Sent, server: str) -> list[str]:
    """The records of one server, answers before those of its zone, and who it was."""
    assert sent.answer is not None
    records = (*sent.answer.answer, *sent.answer.authority)
    if asked.on("short"):
        answers = sent.answer.answer
        return [f"{r.type} {r.data} from server {sent.server} in 0 ms." for r in answers]
    rows = [told(r) for r in records] if asked.on("all") or asked.on("answer") else []
    count = shortened(sent.query.name, records) + OPT
    return [*rows, f";; Received {count} bytes from {sent.server}#53({server}) in 0 ms", ""]


def shortened(name: str, records: tuple[Record, ...]) -> int:
    """Bytes of a message in which each name points to where its end was written before."""
    written: set[str] = set()
    count = 12 + _pointed(name, written) + 4
    for record in records:
        count += _pointed(record.name, written) + 10
        words = record.data.split()
        match record.type:
            case "CNAME" | "NS" | "PTR":
                count += _pointed(words[0], written)
            case "SOA":
                count += 20 + sum(_pointed(word, written) for word in words[:2])
            case _:
                count += _bytes(record) - _name(record.name) - 10
    return count


def _pointed(name: str, written: set[str]) -> int:
    """Source: RFC 1035, section 4.1.4."""
    count, rest = 0, name.lower().rstrip(".")
    while rest:
        if rest in written:
            return count + 2
        written.add(rest)
        label, _, rest = rest.partition(".")
        count += len(label) + 1
    return count + 1


# --- what is printed -------------------------------------------------------------------------


def _unanswered(sent: Sent | None, lines: list[str]) -> Output:
    server = sent.server if sent else "127.0.0.1"
    why = _why(sent)
    tries = [f";; communications error to {server}#53: {why}"] * TRIES
    rest = (
        [*lines, ";; no servers could be reached"] if lines else [";; no servers could be reached"]
    )
    return Output("\n".join([*tries, *rest]), 9)


def _why(sent: Sent | None) -> str:
    match sent.fault if sent else "refused":
        case "refused":
            return "connection refused"
        case "unreachable":
            return "network unreachable"
        case _:
            return "timed out"


def message(terminal: Terminal, asked: Asked, sent: Sent, answer: Answer) -> list[str]:
    """The sections of an answer, and the lines below."""
    counts = (len(answer.answer), len(answer.authority), len(answer.additional) + 1)
    flags = "qr" + " aa" * answer.aa + " rd" * asked.on("recurse") + " ra" * answer.ra
    lines = [";; Got answer:"]
    if sent.query.key.endswith(".local."):
        lines += [
            ";; WARNING: .local is reserved for Multicast DNS",
            ";; You are currently testing what happens when an mDNS query is leaked to DNS",
        ]
    lines += [
        f";; ->>HEADER<<- opcode: QUERY, status: {answer.rcode}, id: {sent.query.id % 65536}",
        f";; flags: {flags}; QUERY: 1, ANSWER: {counts[0]}, AUTHORITY: {counts[1]}, "
        f"ADDITIONAL: {counts[2]}",
    ]
    if asked.on("recurse") and not answer.ra:
        lines.append(";; WARNING: recursion requested but not available")
    lines += ["", ";; OPT PSEUDOSECTION:", "; EDNS: version: 0, flags:; udp: 1232"]
    if asked.on("cookie"):
        number = SeededDice(sent.query.id).below(1 << 64)
        lines.append(f"; COOKIE: {number:016x} (echoed)")
    lines += [";; QUESTION SECTION:", question(sent.query.name, sent.query.type), ""]
    for title in ("answer", "authority", "additional"):
        records: tuple[Record, ...] = getattr(answer, title)
        if records:
            lines += [f";; {title.upper()} SECTION:", *map(told, records), ""]
    when = datetime.fromisoformat(START) + timedelta(seconds=terminal.lab.state.now)
    return [
        *lines,
        ";; Query time: 0 msec",
        f";; SERVER: {sent.server}#53({sent.server}) ({'TCP' if asked.on('tcp') else 'UDP'})",
        f";; WHEN: {when:%a %b %d %H:%M:%S} UTC {when:%Y}",
        f";; MSG SIZE  rcvd: {size(sent, answer) + OPT + COOKIE * asked.on('cookie')}",
    ]


def question(name: str, type_: str) -> str:
    """`;web.shop.<TAB>IN<TAB>A`, with tabs up to dig's columns."""
    return columns((f";{name}", 32), ("IN", 40), (type_, 48))


def told(record: Record) -> str:
    """A record in dig's columns: name, TTL, class, type and data."""
    ttl = str(record.ttl)
    return columns((record.name, 24), (ttl, 32), ("IN", 40), (record.type, 48), (record.data, 0))


def columns(*cells: tuple[str, int]) -> str:
    """Each text, and the column where the next one starts: tabs as far as they reach it.

    Source: `indent` in bind9 `lib/dns/masterdump.c`.
    """
    line, at = "", 0
    for text, then in cells:
        line, at = line + text, at + len(text)
        to = max(then, at + 1)
        tabs = to // 8 - at // 8
        line += "\t" * tabs + " " * (to - (to // 8 * 8 if tabs else at))
        at = to
    return line.rstrip()


def size(sent: Sent, answer: Answer) -> int:
    """Bytes of the message without EDNS0: CoreDNS shortens names only where it must."""
    records = (*answer.answer, *answer.authority, *answer.additional)
    return 12 + _name(sent.query.name) + 4 + sum(map(_bytes, records))


def _name(name: str) -> int:
    return 1 if name == "." else len(name) + 1


def _bytes(record: Record) -> int:
    words = record.data.split()
    match record.type:
        case "A":
            data = 4
        case "AAAA":
            data = 16
        case "SRV":
            data = 6 + _name(words[-1])
        case "SOA":
            data = 20 + _name(words[0]) + _name(words[1])
        case "TXT":
            data = len(record.data.strip('"')) + 1
        case _:
            data = _name(words[-1])
    return _name(record.name) + 10 + data
