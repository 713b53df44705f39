"""Directives of a Corefile turned into plugins; what CoreDNS refuses is refused.

Source: `setup.go` of each plugin of CoreDNS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.api.find import parse_selector
from labkit.api.meta import Requirement
from labkit.dns.corefile import Line
from labkit.dns.finding import Options
from labkit.dns.kubernetes import Kubernetes
from labkit.dns.message import address_text, zones_of
from labkit.dns.plugin import Plugin
from labkit.dns.plugins import (
    LONGEST,
    LONGEST_NO,
    AutoPath,
    Cache,
    Errors,
    Forward,
    Hosts,
    LoadBalance,
    Log,
    Loop,
    Passing,
    Prometheus,
    host_rows,
)
from labkit.dns.reading import Site, fall, no_more, one, only, seconds, whole, zones
from labkit.dns.rewrite_setup import rewrite
from labkit.dns.rewriting import Rewrite
from labkit.errors import LabError

MOST_SERVERS = 15

# --- kubernetes ------------------------------------------------------------------------------

KUBERNETES_ELSEWHERE = (  # how it reaches the API server: nothing that an answer shows
    "endpoint",
    "tls",
    "kubeconfig",
    "apiserver_qps",
    "apiserver_burst",
    "apiserver_max_inflight",
    "startup_timeout",
    "multicluster",
)


def kubernetes(line: Line, site: Site) -> Kubernetes:
    own = zones(line.args, line, site)
    if all(zone.endswith(".arpa.") for zone in own):
        raise line.wrong("`kubernetes` needs a zone that is not a reverse one")
    given: dict[str, Any] = {"zones": own}
    for option in line.block:
        if option.name not in KUBERNETES_ELSEWHERE:
            given.update(_kubernetes_option(option, own))
    if given.get("namespaces") and given.get("namespace_labels"):
        raise line.wrong("`namespaces` and `namespace_labels` exclude each other; take one out")
    return Kubernetes(Options(**given))


def _kubernetes_option(option: Line, own: tuple[str, ...]) -> dict[str, Any]:
    match option.words:
        case ("ttl", word):
            return {"ttl": whole(word, option, 0, 3600)}
        case ("pods", "disabled" | "insecure" | "verified" as mode):
            return {"pods": mode}
        case ("pods", *words):
            option.unknown("mode of pods", " ".join(words), ("disabled", "insecure", "verified"))
        case ("fallthrough", *_):
            return {"fall": fall(option)}
        case ("namespaces", _, *_):
            return {"namespaces": frozenset(option.args)}
        case ("labels" | "namespace_labels", _, *_):
            return {option.name: _selector(option)}
        case ("endpoint_pod_names",):
            return {"endpoint_pod_names": True}
        case ("noendpoints",):
            return {"endpoints": False}
        case ("ignore", "empty_service"):
            return {"ignore_empty": True}
        case ("zonal",):
            return {"zonal": True}
        case (name, *_) if name in _OPTIONS:
            raise option.wrong(f"`{' '.join(option.words)}` is not how `{name}` is written")
    option.unknown("option of kubernetes", option.name, (*_OPTIONS, *KUBERNETES_ELSEWHERE))


_OPTIONS = (
    *("ttl", "pods", "fallthrough", "namespaces", "labels", "namespace_labels"),
    *("endpoint_pod_names", "noendpoints", "ignore", "zonal"),
)


def _selector(option: Line) -> tuple[Requirement, ...]:
    try:
        return tuple(parse_selector(" ".join(option.args)))
    except LabError as error:
        raise option.wrong(str(error)) from None


# --- cache, forward, hosts -------------------------------------------------------------------


def cache(line: Line, site: Site) -> Cache:
    given: dict[str, Any] = {}
    words = line.args
    if words and words[0].isdecimal():
        most = whole(words[0], line, 1, 2**31 - 1)
        given = {"longest": most, "longest_no": most}
        words = words[1:]
    own = zones(words, line, site)
    for option in line.block:
        match option.words:
            case ("success" | "denial" as what, capacity, *more):
                whole(capacity, option, 1, 2**31 - 1)
                given.update(_limits(option, what, more))
            case ("disable", "success" | "denial" as what, *named):
                given[f"no_{what}"] = zones(tuple(named), option, site)
            case ("servfail", duration):
                given["failed"] = int(seconds(duration, option))
                if given["failed"] > 300:
                    raise option.wrong("a SERVFAIL is kept for five minutes at most")
            case ("prefetch" | "serve_stale" | "keepttl" | "verify_stale", *_):
                raise option.wrong(f"the lab's cache has no `{option.name}`; take it out")
            case _:
                only(line, "success", "denial", "disable", "servfail", "prefetch", "serve_stale")
                raise option.wrong(f"`{' '.join(option.words)}` is not how `cache` is told")
    return Cache(block=site.label, zones=own, **given)


def _limits(option: Line, what: str, more: list[str]) -> dict[str, int]:
    ends = ("longest", "shortest") if what == "success" else ("longest_no", "shortest_no")
    most = LONGEST if what == "success" else LONGEST_NO
    if len(more) > 2:
        raise option.wrong(f"`{what}` takes CAPACITY [TTL] [MINTTL]")
    found = {
        name: whole(word, option, 0, 2**31 - 1) for name, word in zip(ends, more, strict=False)
    }
    return found or {ends[0]: most}


def forward(line: Line, site: Site) -> Forward:
    if len(line.args) < 2:
        raise line.wrong("`forward` takes a zone and servers; write forward . /etc/resolv.conf")
    zone, *servers = line.args
    if len(servers) > MOST_SERVERS:
        raise line.wrong(
            f"more than {MOST_SERVERS} servers; take {len(servers) - MOST_SERVERS} out"
        )
    given: dict[str, Any] = {}
    for option in line.block:
        match option.words:
            case ("except", _, *_):
                given["ignored"] = zones(option.args, option, site)
            case ("policy", "random" | "round_robin" | "sequential" as policy):
                given["policy"] = policy
            case ("policy", *words):
                known = ("random", "round_robin", "sequential")
                option.unknown("policy", " ".join(words), known)
            case ("next", _, *_):
                given["next_on"] = tuple(word.upper() for word in option.args)
            case ("force_tcp",):
                given["force_tcp"] = True
            case ("max_concurrent" | "max_fails" | "max_connect_attempts", word):
                whole(word, option, 0, 2**31 - 1)
            case ("expire" | "max_age" | "read_timeout", word):
                seconds(word, option)
            case _:
                only(line, "except", "policy", "next", "force_tcp", *FORWARD_ELSEWHERE)
    found = tuple(_server(word, line) for word in servers)
    return Forward(zone=zones_of(zone)[0], servers=found, **given)


FORWARD_ELSEWHERE = (  # connections and probes of servers: nothing that an answer shows
    *("max_concurrent", "max_fails", "max_connect_attempts", "expire", "max_age", "read_timeout"),
    *("prefer_udp", "tls", "tls_servername", "health_check", "max_idle_conns"),
    *("failfast_all_unhealthy_upstreams", "failover", "doh_method"),
)


def _server(word: str, line: Line) -> str:
    """An address, with a port where it is not 53; a file keeps its name."""
    place = word.partition("://")[2] or word
    if place.startswith("/"):
        return place
    if address_text(place):
        return address_text(place)
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    if not address_text(host) or not port.isdecimal():
        raise line.wrong(f"`{word}` is neither an address nor a file; write 192.0.2.53")
    return address_text(host) if port in ("53", "853") else f"{address_text(host)}:{port}"


def hosts(line: Line, site: Site) -> Hosts:
    given: dict[str, Any] = {}
    inline: list[tuple[str, str]] = []
    words = line.args
    if words:
        given["path"] = words[0] if words[0].startswith("/") else f"/etc/coredns/{words[0]}"
    for option in line.block:
        match option.words:
            case ("ttl", word):
                given["ttl"] = whole(word, option, 1, 65535)
            case ("no_reverse",):
                given["reverse"] = False
            case ("reload", word):
                seconds(word, option)
            case ("fallthrough", *_):
                given["fall"] = fall(option)
            case _ if address_text(option.name) and option.args:
                inline += host_rows(" ".join(option.words))
            case _:
                only(line, "ttl", "no_reverse", "reload", "fallthrough", "ADDRESS NAME")
    return Hosts(zones=zones(words[1:], line, site), inline=tuple(inline), **given)


# --- the small ones --------------------------------------------------------------------------


def autopath(line: Line, site: Site, found: tuple[Plugin, ...]) -> AutoPath:
    if not line.args:
        raise line.wrong("`autopath` takes @kubernetes or a file like /etc/resolv.conf")
    *named, source = line.args
    own = zones(tuple(named), line, site)
    if source == "@kubernetes":
        plugin = next((p for p in found if isinstance(p, Kubernetes)), None)
        if plugin is None:
            raise line.wrong("`@kubernetes` needs the kubernetes plugin in the same server block")
        return AutoPath(zones=own, kubernetes=plugin)
    if source.startswith("@"):
        line.unknown("source of autopath", source, ("@kubernetes",))
    return AutoPath(zones=own, own_file=True)


def passive(line: Line) -> None:
    """Checks a plugin that no question meets: health, ready, reload and their like."""
    match line.name:
        case "health":
            only(line, "lameduck")
            for option in line.block:
                seconds(one(option), option)
            no_more(line, 1)
        case "reload":
            for word in line.args:
                if word != "off":
                    seconds(word, line)
            no_more(line, 2)
        case "ready":
            only(line, "monitor")
            no_more(line, 1)
        case "bind":
            for word in line.args:
                if not address_text(word):
                    raise line.wrong(f"the lab's `bind` takes addresses, and `{word}` is none")


SINGLE: dict[str, Callable[[Line, Site], Plugin]] = {
    "kubernetes": kubernetes,
    "cache": cache,
    "forward": forward,
    "hosts": hosts,
    "errors": lambda line, site: Errors(),
    "log": lambda line, site: Log(zones(line.args, line, site)),
    "loadbalance": lambda line, site: LoadBalance(),
    "loop": lambda line, site: Loop(zones(line.args, line, site)),
    "prometheus": lambda line, site: Prometheus(site.zones),
    "any": lambda line, site: Passing("any"),
}
MANY = ("forward", "rewrite", "log")
"""What a server block may say more than once."""


def plugin(lines: list[Line], site: Site, found: tuple[Plugin, ...]) -> tuple[Plugin, ...]:
    """The plugins of all directives of one name; `found` are those set up before."""
    name = lines[0].name
    if len(lines) > 1 and name not in MANY:
        raise lines[1].wrong(f"`{name}` stands twice in this server block; take one out")
    if name == "rewrite":
        return (Rewrite(tuple(rewrite(line) for line in lines)),)
    if name == "autopath":
        return (autopath(lines[0], site, found),)
    if name in SINGLE:
        return tuple(SINGLE[name](line, site) for line in lines)
    for line in lines:
        passive(line)
    return ()
