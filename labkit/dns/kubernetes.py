"""The kubernetes plugin: which records a cluster's objects stand for.

Source: CoreDNS `plugin/kubernetes/{handler,kubernetes,parse,reverse,ns}.go` and
`plugin/backend_lookup.go`; kubernetes/dns `docs/specification.md` 1.1.0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from labkit.dns.finding import NO_PORT, Finder, Options, parsed
from labkit.dns.message import (
    Answer,
    Query,
    Record,
    address_text,
    address_type,
    base_of,
    fqdn,
    gave_up,
    reversed_address,
    under,
    zone_of,
)
from labkit.dns.plugin import Next, Visit

SCHEMA_VERSION = "1.1.0"
VERSION_TTL = 28800
MOST_CNAMES = 7


class Kubernetes(msgspec.Struct, frozen=True):
    """The plugin; its options say what it shows."""

    options: Options
    name: str = "kubernetes"

    def __call__(self, query: Query, next_: Next) -> Answer:
        matched = zone_of(query.key, self.options.zones)
        if not matched:
            return next_(query)
        answer = self.answered(query, next_, matched)
        if answer is None:
            next_.did("has no such name, falls through")
            return next_(query)
        next_.did(f"answers {answer.text}")
        return answer

    def answered(self, query: Query, next_: Next, matched: str) -> Answer | None:
        """None where a miss falls through to the next plugin."""
        if query.type in ("AXFR", "IXFR"):
            return gave_up("REFUSED")
        zone = query.name[len(query.name) - len(matched) :]  # in the case of the question
        lookup = _Lookup(self.finder(next_.visit, zone), next_.visit)
        records, extra = lookup.records(query)
        if records is None:
            if self.options.fall is not None and any(
                under(query.key, z) for z in self.options.fall
            ):
                return None
            rcode = "NXDOMAIN" if next_.visit.world.synced else "SERVFAIL"
            return Answer(rcode=rcode, authority=(lookup.soa(),), aa=True)
        if not records:
            return Answer(authority=(lookup.soa(),), aa=True)
        return Answer(answer=records, additional=extra, aa=True)

    def finder(self, visit: Visit, zone: str) -> Finder:
        return Finder(self.options, visit.world.known, zone, visit.world.local_ips)

    def search_path(self, query: Query, visit: Visit) -> tuple[str, ...]:
        """The asking pod's search list, for autopath; empty if no pod has that address."""
        zone = zone_of(query.key, self.options.zones)
        verified = self.options.pods == "verified"
        pods = visit.world.known.pods_at.get(query.client, ()) if verified else ()
        if not zone or not pods:
            return ()
        tail = "" if zone == "." else zone
        own = (f"{pods[0].namespace}.svc.{tail}", f"svc.{tail}", zone)
        return (*own, *map(fqdn, visit.world.resolv_conf.search), "")


Sections = tuple[tuple[Record, ...] | None, tuple[Record, ...]]
"""Answer and additional section; None instead of an answer: there is no such name."""


class _Lookup(NamedTuple):
    """One question's search in one zone."""

    finder: Finder
    visit: Visit

    @property
    def zone(self) -> str:
        return self.finder.zone

    # --- by type of record -------------------------------------------------------------------

    def records(self, query: Query) -> Sections:
        apex = query.key == self.zone.lower()
        match query.type:
            case "A" | "AAAA":
                return self.addresses(query, ()), ()
            case "TXT":
                return self.texts(query), ()
            case "CNAME":
                return self.aliases(query), ()
            case "PTR":
                return self.pointers(query), ()
            case "SRV":
                return self.servers(query)
            case "SOA":
                # Below the zone's own name nothing is looked up: no SOA, whatever is there.
                return ((self.soa(),) if apex else ()), ()
            case "NS" if apex:
                return self.name_servers(query)
        exists = self.addresses(Query(query.name, "A", query.client, query.id), ())
        return (None if exists is None else ()), ()

    def addresses(self, query: Query, before: tuple[Record, ...]) -> tuple[Record, ...] | None:
        """A or AAAA, with the CNAMEs that lead there; `before` are those already followed."""
        found = self.finder.services(query.key)
        if found is None:
            return None
        records: dict[Record, None] = {}
        for one in found:
            if address_text(one.host):
                if address_type(one.host) == query.type:
                    records[Record(query.name, query.type, one.ttl, one.host)] = None
                continue
            alias = Record(query.name, "CNAME", one.ttl, fqdn(one.host))
            if len(before) > MOST_CNAMES or any(alias.data == r.data for r in before):
                continue
            records.update(dict.fromkeys(self._chased(query, alias, before)))
        return tuple(records)

    def _chased(
        self, query: Query, alias: Record, before: tuple[Record, ...]
    ) -> tuple[Record, ...]:
        """A CNAME and what its target has. A target in the zone that has nothing hides it."""
        target = Query(alias.data, query.type, query.client, query.id)
        if target.key == query.key:
            return ()
        if not under(target.key, self.zone.lower()):
            return (alias, *self.visit.restart(target).answer)
        more = self.addresses(target, (*before, alias))
        return (alias, *more) if more else ()

    def aliases(self, query: Query) -> tuple[Record, ...] | None:
        found = self.finder.services(query.key)
        if not found:
            return found if found is None else ()
        first = found[0]
        if address_text(first.host):
            return ()
        return (Record(query.name, "CNAME", first.ttl, fqdn(first.host)),)

    def texts(self, query: Query) -> tuple[Record, ...] | None:
        if base_of(query.key, self.zone) == "dns-version":
            return (Record(query.name, "TXT", VERSION_TTL, f'"{SCHEMA_VERSION}"'),)
        wanted = parsed(base_of(query.key, self.zone), self.finder.options.zonal)
        if wanted and wanted.zone:
            return () if self.finder.below(query.key) is not None else None
        # A name that only leads to others (a namespace) counts as missing here.
        return () if self.finder.below(query.key) else None

    def pointers(self, query: Query) -> tuple[Record, ...] | None:
        address = reversed_address(query.name)
        if not address:
            return () if self.finder.below(query.key) is not None else None
        names = tuple(self.finder.names_at(address))
        records = (Record(query.name, "PTR", self.finder.options.ttl, name) for name in names)
        return tuple(dict.fromkeys(records)) or None

    def servers(self, query: Query) -> Sections:
        """SRV records; equal ones are told once, but counted in the weights."""
        found = self.finder.services(query.key)
        if found is None:
            return None, ()
        found = tuple(one for one in found if address_text(one.host))
        weight = max(1, math.floor(100 / len(found))) if found else 0
        records: dict[Record, None] = {}
        extra: dict[Record, None] = {}
        for one in found:
            if one.port == NO_PORT:
                continue
            data = f"0 {weight} {one.port} {one.owner}"
            records[Record(query.name, "SRV", one.ttl, data)] = None
            extra[Record(one.owner, address_type(one.host), one.ttl, one.host)] = None
        return tuple(records), tuple(extra)

    def soa(self) -> Record:
        ttl, zone = self.finder.options.ttl, self.zone
        head = "" if zone == "." else zone
        serial = self.finder.known.serial
        data = f"ns.dns.{head} hostmaster.{head} {serial} 7200 1800 86400 {ttl}"
        return Record(zone, "SOA", min(300, ttl), data)

    def name_servers(self, query: Query) -> Sections:
        found = self.finder.own_names()
        records = (Record(query.name, "NS", one.ttl, one.owner) for one in found)
        extra = (Record(one.owner, address_type(one.host), one.ttl, one.host) for one in found)
        return tuple(dict.fromkeys(records)), tuple(extra)
