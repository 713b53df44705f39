"""The other plugins that a question passes: from `prometheus` and `cache` to `forward`.

Source: CoreDNS `plugin/{cache,loadbalance,autopath,hosts,loop,forward,template}`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from labkit.dns.kubernetes import Kubernetes
from labkit.dns.message import (
    Answer,
    Query,
    Record,
    address_text,
    fqdn,
    gave_up,
    reversed_address,
    under,
    zone_of,
)
from labkit.dns.metrics import (
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_REQUESTS,
    FORWARDED,
    MONITORED,
    REQUESTS,
    RESPONSES,
    series,
)
from labkit.dns.plugin import Kept, Next

SHORTEST = 5  # seconds that the cache keeps an answer at least
LONGEST = 3600
LONGEST_NO = 1800
FAILED = 5  # seconds that it keeps a SERVFAIL


class Prometheus(msgspec.Struct, frozen=True):
    """Counts questions and answers of the server block's zones."""

    zones: tuple[str, ...]
    name: str = "prometheus"

    def __call__(self, query: Query, next_: Next) -> Answer:
        visit = next_.visit
        answer = next_(query)
        zone = zone_of(query.key, self.zones) or "."
        asked = {
            "proto": query.protocol.lower(),
            "family": "2" if ":" in query.client else "1",
            "type": query.type if query.type in MONITORED else "other",
        }
        visit.count(REQUESTS, zone=zone, **asked)
        below = [s.plugin for s in visit.stations[next_.station + 1 :]]
        plugin = writer(below) if answer.written else ""
        visit.count(RESPONSES, zone=zone, rcode=answer.rcode, plugin=plugin)
        return answer


def writer(plugins: list[str]) -> str:
    """Who hands the answer to the server: the first plugin that wraps what those below it say.

    So the label `plugin` of a default Corefile is `loadbalance`, whoever knew the answer.
    """
    wrapping = (p for p in plugins if p in ("loadbalance", "autopath", "cache"))
    return next(wrapping, plugins[-1] if plugins else "")


class Passing(msgspec.Struct, frozen=True):
    """A plugin that watches and changes nothing: any."""

    name: str

    def __call__(self, query: Query, next_: Next) -> Answer:
        return next_(query)


class Errors(msgspec.Struct, frozen=True):
    """Writes what went wrong below it into the log."""

    name: str = "errors"

    def __call__(self, query: Query, next_: Next) -> Answer:
        answer = next_(query)
        if answer.error:
            line = f"[ERROR] plugin/errors: 2 {query.name} {query.type}: {answer.error}"
            next_.visit.log.append(line)
        return answer


class Log(msgspec.Struct, frozen=True):
    """Writes every question of its zones into the log. *The lab simplifies*: without sizes
    and times."""

    zones: tuple[str, ...]
    name: str = "log"

    def __call__(self, query: Query, next_: Next) -> Answer:
        answer = next_(query)
        if zone_of(query.key, self.zones):
            asked = f'{query.client or "-"} - {query.id} "{query.type} IN {query.name} udp"'
            next_.visit.log.append(f"[INFO] {asked} {answer.rcode}")
        return answer


class LoadBalance(msgspec.Struct, frozen=True):
    """Shuffles addresses, so that clients that take the first one spread."""

    name: str = "loadbalance"

    def __call__(self, query: Query, next_: Next) -> Answer:
        answer = next_(query)
        if sum(r.type in ("A", "AAAA") for r in answer.answer) < 2:
            return answer
        next_.did("shuffles the addresses")
        return replace(answer, answer=shuffled(answer.answer, query.id))


def shuffled(records: tuple[Record, ...], lot: int) -> tuple[Record, ...]:
    """Aliases first, then addresses in an order drawn by `lot`, then the rest.

    Source: `roundRobinShuffle` in CoreDNS `plugin/loadbalance/loadbalance.go`.
    """
    addresses = [r for r in records if r.type in ("A", "AAAA")]
    count = len(addresses)
    for at in range(count):
        other = at + lot % (count - at)
        addresses[at], addresses[other] = addresses[other], addresses[at]
    aliases = tuple(r for r in records if r.type == "CNAME")
    rest = tuple(r for r in records if r.type not in ("CNAME", "A", "AAAA"))
    return (*aliases, *addresses, *rest)


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """Remembers answers for as long as their TTL and its own limits allow.

    `block` tells the caches of server blocks apart. What comes out of a cache claims to be
    authoritative, whoever said it first.
    """

    block: str
    zones: tuple[str, ...]
    longest: int = LONGEST
    shortest: int = SHORTEST
    longest_no: int = LONGEST_NO
    shortest_no: int = SHORTEST
    failed: int = FAILED
    no_success: tuple[str, ...] = ()
    no_denial: tuple[str, ...] = ()
    name: str = "cache"

    def __call__(self, query: Query, next_: Next) -> Answer:
        if not zone_of(query.key, self.zones):
            return next_(query)
        visit, zones = next_.visit, ",".join(self.zones)
        key = (self.block, query.key, query.type)
        kept = visit.remembered(key)
        left = int(kept.seconds - int(visit.now - kept.stored)) if kept else 0
        visit.count(CACHE_REQUESTS, zones=zones)
        if kept and left > 0:
            type_ = "success" if _kind(kept.answer) == "success" else "denial"
            visit.count(CACHE_HITS, zones=zones, type=type_)
            visit.cached = True
            next_.did(f"answers {kept.answer.text} from memory, {left} s left")
            return replace(lasting(kept.answer, left), aa=True)
        visit.count(CACHE_MISSES, zones=zones)
        return self._kept(query, next_, key)

    def _kept(self, query: Query, next_: Next, key: tuple[str, str, str]) -> Answer:
        """What the plugins below say, remembered where it may be."""
        answer = next_(query)
        kind = _kind(answer)
        if not answer.written or not kind:
            return answer
        seconds = self._seconds(answer, kind)
        hidden = zone_of(query.key, self.no_success if kind == "success" else self.no_denial)
        if hidden:
            next_.did(f"keeps no {WHAT[kind]} of {hidden}")
        elif seconds > 0:
            next_.did(f"keeps {answer.text} for {seconds} s")
            next_.visit.kept[key] = Kept(answer, next_.visit.now, seconds)
        return lasting(answer, seconds)

    def _seconds(self, answer: Answer, kind: str) -> int:
        if kind == "failure":
            return self.failed
        ttls = [r.ttl for r in (*answer.answer, *answer.authority, *answer.additional)]
        least = min(ttls, default=SHORTEST)
        if kind == "success":
            return min(max(least, self.shortest), self.longest)
        return min(max(least, self.shortest_no), self.longest_no)


WHAT = {"success": "answers", "denial": "denials", "failure": "failures"}


def _kind(answer: Answer) -> str:
    """success, denial, failure, or "": nothing that a cache may keep.

    A "no" without a SOA says not how long it holds. Source: CoreDNS `response.Typify`.
    """
    if answer.answer and answer.rcode == "NOERROR":
        return "success"
    if answer.rcode in ("NOERROR", "NXDOMAIN") and answer.soa:
        return "denial"
    if answer.rcode in ("SERVFAIL", "NOTIMP"):
        return "failure"
    return "success" if answer.rcode == "NOERROR" else ""


def lasting(answer: Answer, seconds: int) -> Answer:
    """The answer with one TTL on all its records."""
    sections = (answer.answer, answer.authority, answer.additional)
    if all(r.ttl == seconds for part in sections for r in part):
        return answer
    yes, no, more = (tuple(replace(r, ttl=seconds) for r in part) for part in sections)
    return replace(answer, answer=yes, authority=no, additional=more)


class AutoPath(msgspec.Struct, frozen=True, kw_only=True):
    """Walks the client's search list on the server, so that one question is enough.

    With `kubernetes` the list is the asking pod's, else `search` (read from a file).
    """

    zones: tuple[str, ...]
    kubernetes: Kubernetes | None = None
    own_file: bool = False
    name: str = "autopath"

    def __call__(self, query: Query, next_: Next) -> Answer:
        search = self._search(query, next_)
        if not zone_of(query.key, self.zones) or not search:
            return next_(query)
        first_zone = fqdn(search[0].lower())
        if not under(query.key, first_zone) or query.key == first_zone:
            return next_(query)
        next_.did("tries the search list itself")
        base = query.name[: len(query.name) - len(first_zone)].rstrip(".")
        first: Answer | None = None
        for domain in search:
            answer = next_(replace(query, name=fqdn(f"{base}.{domain}")))
            if answer.error:
                return answer
            first = first or answer
            if answer.written and answer.rcode != "NXDOMAIN":
                return _aliased(answer, query.name)
        assert first is not None
        return first

    def _search(self, query: Query, next_: Next) -> tuple[str, ...]:
        if self.kubernetes:
            return self.kubernetes.search_path(query, next_.visit)
        return (*next_.visit.world.resolv_conf.search, "")


def _aliased(answer: Answer, asked: str) -> Answer:
    """The answer under the asked name, by a CNAME where it was found under another."""
    other = next((r for r in answer.answer if r.name.lower() != asked.lower()), None)
    if other is None or other is not answer.answer[0]:
        return answer
    return replace(answer, answer=(Record(asked, "CNAME", other.ttl, other.name), *answer.answer))


class Hosts(msgspec.Struct, frozen=True, kw_only=True):
    """Names of a file like `/etc/hosts`, and of lines in the Corefile."""

    zones: tuple[str, ...]
    path: str = "/etc/hosts"
    inline: tuple[tuple[str, str], ...] = ()  # address, name
    ttl: int = 3600
    reverse: bool = True
    fall: tuple[str, ...] = ()
    name: str = "hosts"

    def __call__(self, query: Query, next_: Next) -> Answer:
        answer = self.answered(query, self._rows(next_.visit.world.hosts))
        if answer is None:
            return next_(query)
        next_.did(f"answers {answer.text}")
        return answer

    def answered(self, query: Query, rows: tuple[tuple[str, str], ...]) -> Answer | None:
        """None: the question is for the next plugin."""
        if query.type == "PTR":
            address = reversed_address(query.name)
            names = [name for ip, name in rows if ip == address] if self.reverse else []
            found = tuple(self._record(query, n) for n in names)
            return Answer(answer=found, aa=True) if names else None
        if not zone_of(query.key, self.zones):
            return None
        mine = [ip for ip, name in rows if name == query.key]
        wanted = {"A": False, "AAAA": True}.get(query.type)
        found = tuple(self._record(query, ip) for ip in mine if (":" in ip) is wanted)
        if found or mine:
            return Answer(answer=found, aa=True)
        if zone_of(query.key, self.fall):
            return None
        return gave_up("SERVFAIL")  # it has no SOA to say NXDOMAIN with

    def _record(self, query: Query, data: str) -> Record:
        return Record(query.name, query.type, self.ttl, data)

    def _rows(self, files: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        return (*self.inline, *host_rows(files.get(self.path, "")))


def host_rows(text: str) -> tuple[tuple[str, str], ...]:
    """(address, name) of lines such as `192.0.2.7 db db.example`; bad lines are passed over."""
    found = []
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if address_text(address):
            found += [(address_text(address), fqdn(name.lower())) for name in names]
    return tuple(found)


class Loop(msgspec.Struct, frozen=True):
    """Looks for questions that come back; see `labkit.dns.server.looping`."""

    zones: tuple[str, ...]
    name: str = "loop"

    def __call__(self, query: Query, next_: Next) -> Answer:
        return next_(query)


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """Asks other servers. `servers` are addresses, or files with `nameserver` lines."""

    zone: str
    servers: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    policy: str = "random"
    next_on: tuple[str, ...] = ()
    force_tcp: bool = False
    name: str = "forward"

    def __call__(self, query: Query, next_: Next) -> Answer:
        if not under(query.key, self.zone) or zone_of(query.key, self.ignored):
            return next_(query)
        visit = next_.visit
        addresses = self.addresses(visit.world.resolv_conf.nameservers)
        shift = 0 if self.policy == "sequential" or not addresses else query.id % len(addresses)
        asked = replace(query, protocol="TCP") if self.force_tcp else query
        for address in (*addresses[shift:], *addresses[:shift]):
            visit.upstreams.append(address)
            answer = visit.world.upstream(address, asked)
            next_.did(f"asks {address}: {answer.text if answer else 'no answer'}")
            if answer is None:
                continue
            to = address if address.count(":") == 1 else f"{address}:53"
            rcode = answer.rcode
            visit.counts.append(series(FORWARDED, proxy_name="forward", rcode=rcode, to=to))
            if answer.rcode in self.next_on:
                return next_(query)
            return replace(answer, written=True)
        return gave_up("SERVFAIL", "no healthy upstream" if not addresses else "i/o timeout")

    def addresses(self, nameservers: tuple[str, ...]) -> tuple[str, ...]:
        """The servers' addresses; a file is the one of the CoreDNS pod."""
        found: list[str] = []
        for server in self.servers:
            found += nameservers if server.startswith("/") else (server,)
        return tuple(found)
