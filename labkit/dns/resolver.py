"""What the C library in a pod asks when a program says a name: glibc, musl, BusyBox nslookup.

Source: glibc `resolv/res_query.c`, `res_send.c`; musl `src/network/{lookup_name,res_msend}.c`;
BusyBox `networking/nslookup.c` (1.35).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Literal, NamedTuple

import msgspec

from labkit.dns.message import Answer, Query, Record, fqdn
from labkit.dns.resolvconf import ResolvConf

Fault = Literal["refused", "timed out", "unreachable"]
Exchange = Callable[[str, Query], Answer | Fault]
"""Sends a question to a server's address; what comes back, or why nothing does."""

Kind = Literal["glibc", "musl", "busybox-nslookup"]
Problem = Literal["", "NXDOMAIN", "NODATA", "AGAIN", "FAIL"]
"""Why there is no address: no such name, none of that family, no server answers, it refuses."""

BOTH = ("A", "AAAA")
MOST_NDOTS = 15
REFUSALS = ("SERVFAIL", "NOTIMP", "REFUSED")  # glibc asks the next server after these


class Sent(msgspec.Struct, frozen=True):
    """One question on the wire, and the answer or what became of it."""

    server: str
    query: Query
    answer: Answer | None = None
    fault: Fault | None = None


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """A name looked up: every question in order, and the addresses found.

    `seconds` is how long the program waited for servers that stayed silent.
    """

    name: str
    resolver: Kind
    sent: tuple[Sent, ...]
    addresses: tuple[str, ...] = ()
    canonical: str = ""
    problem: Problem = ""
    seconds: float = 0.0

    @property
    def wire_names(self) -> tuple[str, ...]:
        """Each name once, in the order first asked."""
        return tuple(dict.fromkeys(one.query.name for one in self.sent))

    def __bool__(self) -> bool:
        return not self.problem


def look_up(
    name: str,
    conf: ResolvConf,
    exchange: Exchange,
    resolver: Kind = "glibc",
    types: tuple[str, ...] = BOTH,
    first_id: int = 1,
) -> Lookup:
    """A name looked up by a resolver under a `/etc/resolv.conf`."""
    line = _Line(conf, exchange, count(first_id))
    match resolver:
        case "glibc":
            return _glibc(name, types, line)
        case "musl":
            return _musl(name, types, line)
        case "busybox-nslookup":
            return _busybox(name, types, line)


def candidates(name: str, conf: ResolvConf, resolver: Kind = "glibc") -> tuple[str, ...]:
    """The names that a resolver would try, in order, until one is found."""
    if name.endswith("."):
        return (name,)
    searched = tuple(fqdn(f"{name}.{domain}".removesuffix(".")) for domain in conf.search)
    alone = fqdn(name)
    many = name.count(".") >= min(conf.option("ndots", 1), MOST_NDOTS)
    match resolver:
        case "glibc":
            found = (alone, *searched) if many else (*searched, alone)
        case "musl":
            found = (alone,) if many else (*searched, alone)
        case "busybox-nslookup":
            found = searched if searched and "." not in name else (alone,)
    return tuple(dict.fromkeys(found))


class _Line:
    """The wire during one look-up: sends, numbers and remembers questions."""

    def __init__(self, conf: ResolvConf, exchange: Exchange, ids: Iterator[int]) -> None:
        self.conf = conf
        self.servers = conf.nameservers or ("127.0.0.1",)
        self.sent: list[Sent] = []
        self.seconds = 0.0
        self._exchange = exchange
        self._ids = ids

    def ask(self, server: str, name: str, type_: str) -> Sent:
        query = Query(name, type_, id=next(self._ids))
        came = self._exchange(server, query)
        if isinstance(came, Answer):
            sent = Sent(server, query, came)
        else:
            sent = Sent(server, query, None, came)
        self.sent.append(sent)
        return sent

    def ask_all(self, server: str, name: str, types: tuple[str, ...]) -> tuple[Sent, ...]:
        return tuple(self.ask(server, name, type_) for type_ in types)

    def done(self, name: str, resolver: Kind, **found: Any) -> Lookup:
        sent, seconds = tuple(self.sent), self.seconds
        return Lookup(name=name, resolver=resolver, sent=sent, seconds=seconds, **found)


# --- glibc -----------------------------------------------------------------------------------


def _glibc(name: str, types: tuple[str, ...], line: _Line) -> Lookup:
    """Goes on to the next name after NXDOMAIN, after an empty answer and after SERVFAIL."""
    problem: Problem = "NXDOMAIN"
    for candidate in candidates(name, line.conf, "glibc"):
        replies = _glibc_replies(candidate, types, line)
        found = addresses_in(candidate, replies)
        if found.addresses:
            return line.done(name, "glibc", **found._asdict())
        rcodes = {one.answer.rcode if one.answer else "" for one in replies}
        if "NOERROR" in rcodes:
            problem = "NODATA"
        elif rcodes == {"SERVFAIL"}:
            problem = "AGAIN" if problem == "NXDOMAIN" else problem
        elif "NXDOMAIN" not in rcodes:
            return line.done(name, "glibc", problem="AGAIN")
    return line.done(name, "glibc", problem=problem)


def _glibc_replies(name: str, types: tuple[str, ...], line: _Line) -> tuple[Sent, ...]:
    """One server after the other, as often as `attempts` says."""
    replies: tuple[Sent, ...] = ()
    timeout = line.conf.option("timeout", 5)
    for _ in range(line.conf.option("attempts", 2)):
        for number, server in enumerate(line.servers):
            replies = line.ask_all(server, name, types)
            if all(one.answer and one.answer.rcode not in REFUSALS for one in replies):
                return replies
            if any(one.fault == "timed out" for one in replies):
                patience = (timeout << number) / (len(line.servers) if number else 1)
                line.seconds += max(1, int(patience))
    return replies


class Harvest(NamedTuple):
    addresses: tuple[str, ...]
    canonical: str


def addresses_in(name: str, replies: tuple[Sent, ...]) -> Harvest:
    """The addresses that the answers give the asked name, along their CNAMEs.

    Records of another owner do not count: that is how a rewritten answer, whose name was not
    written back, gets lost.
    """
    addresses: list[str] = []
    canonical = name
    for one in replies:
        records = one.answer.answer if one.answer and one.answer.exists else ()
        owner, found = follow(one.query.name, records)
        addresses += (r.data for r in found if r.type == one.query.type)
        canonical = owner if found else canonical
    return Harvest(tuple(dict.fromkeys(addresses)), canonical)


def follow(name: str, records: tuple[Record, ...]) -> tuple[str, tuple[Record, ...]]:
    """The last name of a chain of CNAMEs, and the records that it owns."""
    owner = name.lower()
    aliases = {r.name.lower(): r.data for r in records if r.type == "CNAME"}
    shown = name
    for _ in range(len(aliases)):
        if owner not in aliases:
            break
        shown = aliases[owner]
        owner = shown.lower()
    return shown, tuple(r for r in records if r.name.lower() == owner and r.type != "CNAME")


# --- musl ------------------------------------------------------------------------------------


def _musl(name: str, types: tuple[str, ...], line: _Line) -> Lookup:
    """Goes on after NXDOMAIN only; asks all servers at once and takes the first good answer."""
    for candidate in candidates(name, line.conf, "musl"):
        replies = tuple(_musl_reply(candidate, type_, line) for type_ in types)
        if any(one.answer is None or one.answer.rcode == "SERVFAIL" for one in replies):
            return line.done(name, "musl", problem="AGAIN")
        rcodes = {one.answer.rcode for one in replies if one.answer}
        if "NXDOMAIN" in rcodes:
            continue
        found = addresses_in(candidate, replies)
        if rcodes != {"NOERROR"}:
            return line.done(name, "musl", problem="FAIL")
        if not found.addresses:
            return line.done(name, "musl", problem="NODATA")
        return line.done(name, "musl", **found._asdict())
    return line.done(name, "musl", problem="NXDOMAIN")


def _musl_reply(name: str, type_: str, line: _Line) -> Sent:
    """The first server's answer that says yes or no; a refusal counts as silence."""
    replies: tuple[Sent, ...] = ()
    for _ in range(line.conf.option("attempts", 2)):
        replies = tuple(line.ask(server, name, type_) for server in line.servers)
        for one in replies:
            if one.answer and one.answer.rcode in ("NOERROR", "NXDOMAIN"):
                return one
        for one in replies:
            if one.answer and one.answer.rcode == "SERVFAIL":
                return one
    line.seconds += line.conf.option("timeout", 5)
    return Sent(replies[0].server, replies[0].query, None, "timed out")


# --- BusyBox ---------------------------------------------------------------------------------


def _busybox(name: str, types: tuple[str, ...], line: _Line) -> Lookup:
    """Asks everything at once: the search list for a name without a dot, else the name as is."""
    names = candidates(name, line.conf, "busybox-nslookup")
    replies: tuple[Sent, ...] = ()
    for server in line.servers:
        replies = tuple(line.ask(server, one, type_) for type_ in types for one in names)
        if any(one.answer for one in replies):
            break
        line.seconds += line.conf.option("timeout", 5)
    found = [addresses_in(one.query.name, (one,)).addresses for one in replies]
    addresses = tuple(dict.fromkeys(a for some in found for a in some))
    rcodes = {one.answer.rcode for one in replies if one.answer}
    problem: Problem = "" if addresses else "AGAIN"
    if not addresses and rcodes:
        problem = "NODATA" if "NOERROR" in rcodes else "NXDOMAIN"
        problem = problem if rcodes & {"NOERROR", "NXDOMAIN"} else "FAIL"
    return line.done(name, "busybox-nslookup", addresses=addresses, problem=problem)
