"""What the plugin `prometheus` shows: counters of one process, in the text form of exposition.

*The lab simplifies*: histograms of durations and sizes are left out, but for the count of the
questions that `forward` sent on; so are the metrics of the Go runtime.

Source: CoreDNS `plugin/metrics/README.md`, `plugin/cache/metrics.go`,
`plugin/forward/README.md`; github.com/prometheus/docs `exposition_formats.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple


class Series(NamedTuple):
    """One counter: its metric's name, and its labels by name."""

    name: str
    labels: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels)
        return f"{self.name}{{{pairs}}}"


Counts = Mapping[Series, int]

REQUESTS = "coredns_dns_requests_total"
RESPONSES = "coredns_dns_responses_total"
CACHE_REQUESTS = "coredns_cache_requests_total"
CACHE_HITS = "coredns_cache_hits_total"
CACHE_MISSES = "coredns_cache_misses_total"
FORWARDED = "coredns_proxy_request_duration_seconds"

HELP = {
    CACHE_HITS: "The count of cache hits.",
    CACHE_MISSES: (
        "The count of cache misses. Deprecated, derive misses from cache hits/requests counters."
    ),
    CACHE_REQUESTS: "The count of cache requests.",
    REQUESTS: "Counter of DNS requests made per zone, protocol and family.",
    RESPONSES: "Counter of response status codes.",
    FORWARDED: "Histogram of the time each request took.",
}

MONITORED = frozenset((
    *("A", "AAAA", "ANY", "AXFR", "CNAME", "DNSKEY", "DS", "HTTPS", "IXFR", "MX", "NS"),
    *("NSEC", "NSEC3", "PTR", "RRSIG", "SOA", "SRV", "TXT"),
))  # fmt: skip
"""Types with a label of their own; all others count as `other`."""


@lru_cache(maxsize=1 << 12)
def series(name: str, **labels: str) -> Series:
    """The counter of that name and these labels."""
    return Series(name, tuple(sorted(labels.items())))


def added(counts: Counts, more: Iterable[Series]) -> Counts:
    """The counters after these things happened, one each."""
    found = dict(counts)
    for one in more:
        found[one] = found.get(one, 0) + 1
    return found


def exposition(counts: Counts) -> str:
    """The page at `/metrics`: metrics and series sorted by name, as a client library prints."""
    lines: list[str] = []
    for name, group in groupby(sorted(counts), key=lambda one: one.name):
        kind = "histogram" if name == FORWARDED else "counter"
        lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} {kind}"]
        for one in group:
            lines += _histogram(one, counts[one]) if kind == "histogram" else ()
            lines += [f"{one} {counts[one]}"] if kind == "counter" else ()
    return "\n".join(lines)


def _histogram(one: Series, count: int) -> list[str]:
    """No time passes in the lab while a question is answered: everything is in every bucket."""
    endless = Series(f"{one.name}_bucket", (*one.labels, ("le", "+Inf")))
    rest = (Series(f"{one.name}_{part}", one.labels) for part in ("sum", "count"))
    return [f"{s} {n}" for s, n in zip((endless, *rest), (count, 0, count), strict=True)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
