"""A CoreDNS process: server blocks with their chains of plugins, and the answer to a question.

Source: CoreDNS `core/dnsserver/{server,register}.go`, `plugin.cfg`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha512
from ipaddress import ip_address
from zlib import crc32

import msgspec

from labkit.api.listens import Listen
from labkit.dns.corefile import Line, ServerBlock, key_of, parse
from labkit.dns.doors import bound_to, doors
from labkit.dns.message import Answer, Query, address_text, gave_up, zones_of
from labkit.dns.metrics import Series
from labkit.dns.plugin import Kept, Memory, Next, Plugin, Station, Visit, World
from labkit.dns.plugins import Forward, Loop
from labkit.dns.reading import Site
from labkit.dns.setup import plugin

ORDER = (
    *("root", "metadata", "geoip", "cancel", "tls", "quic", "timeouts", "multisocket", "reload"),
    *("nsid", "bufsize", "bind", "debug", "trace", "ready", "health", "pprof", "prometheus"),
    *("errors", "log", "dnstap", "local", "dns64", "rewrite", "acl", "any", "chaos"),
    *("loadbalance", "tsig", "header", "dnssec", "autopath", "cache", "minimal", "template"),
    *("transfer", "hosts", "route53", "azure", "clouddns", "k8s_external", "kubernetes", "file"),
    *("auto", "secondary", "etcd", "loop", "forward", "grpc", "erratic", "whoami", "on", "sign"),
    *("view", "nomad"),
)
"""Every plugin of the default build, in the order that questions meet them."""

MODELLED = (
    *("root", "metadata", "cancel", "reload", "nsid", "bufsize", "bind", "debug", "ready"),
    *("health", "pprof", "prometheus", "errors", "log", "rewrite", "any", "loadbalance"),
    *("autopath", "cache", "hosts", "kubernetes", "loop", "forward"),
)
"""What the lab has of them; the first line's kin stand outside the chain."""

DNS_PORT = 53


class Block(msgspec.Struct, frozen=True):
    """One server block at one zone; `bound` says whether it has addresses of its own."""

    label: str
    plugins: tuple[Plugin, ...]
    bound: bool = False


class Server(msgspec.Struct, frozen=True):
    """A Corefile that CoreDNS starts with; `blocks` by port and zone, `doors` are its sockets."""

    blocks: Mapping[tuple[int, str], Block]
    doors: tuple[Listen, ...] = ()

    def own(self, memory: Memory) -> Memory:
        """What of a memory this very server has learned, and not one with an older file."""
        labels = {block.label for block in self.blocks.values()}
        return {key: kept for key, kept in memory.items() if key[0] in labels}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and how it came about.

    `zone` is the server block that took the question ("" if none did), `chain` are the plugins
    of that block in order, `stations` those that the question reached, `upstreams` the servers
    it was forwarded to, `memory` is what the caches hold afterwards, `log` what the process
    wrote and `counts` what it counted.
    """

    answer: Answer
    zone: str = ""
    chain: tuple[str, ...] = ()
    stations: tuple[Station, ...] = ()
    upstreams: tuple[str, ...] = ()
    cached: bool = False
    memory: Memory = {}
    log: tuple[str, ...] = ()
    counts: tuple[Series, ...] = ()


def load(
    corefile: str,
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Server:
    """The server that a Corefile describes.

    Raises:
        CorefileError: file and line, the fault and a cure.
    """
    return _load(corefile, tuple((files or {}).items()), tuple((environment or {}).items()))


@lru_cache(maxsize=256)
def _load(
    corefile: str, files: tuple[tuple[str, str], ...], environment: tuple[tuple[str, str], ...]
) -> Server:
    blocks: dict[tuple[int, str], Block] = {}
    # A changed file is a new server: `reload` starts it with empty caches.
    load_number = f"{crc32(repr((corefile, files)).encode()):08x}"
    parsed = parse(corefile, dict(files), dict(environment))
    for block in parsed:
        for (port, zone), made in _blocks(block, load_number).items():
            if (port, zone) in blocks:
                raise block.head.wrong(f"`{zone}:{port}` has a server block already; join them")
            blocks[port, zone] = made
    return Server(blocks, doors(parsed))


def _blocks(block: ServerBlock, load_number: str) -> dict[tuple[int, str], Block]:
    keys = [key_of(text, block.head) for text in block.keys]
    try:
        places = [(key, zone) for key in keys for zone in zones_of(key.zone)]
    except ValueError:
        raise block.head.wrong(f"`{' '.join(block.keys)}` names no zones") from None
    site = Site(tuple(zone for _, zone in places), f"{load_number} {' '.join(block.keys)}")
    plugins = _plugins(block.directives, site)
    found: dict[tuple[int, str], Block] = {}
    for key, zone in places:
        if (key.port, zone) in found:
            raise block.head.wrong(f"`{zone}:{key.port}` stands twice; take one out")
        if key.transport == "dns":
            bound = bool(bound_to(block.directives))
            found[key.port, zone] = Block(site.label, plugins, bound)
    return found


def _plugins(directives: tuple[Line, ...], site: Site) -> tuple[Plugin, ...]:
    """Set up from the last to the first, since the earlier may lean on the later."""
    by_name: dict[str, list[Line]] = {}
    for line in directives:
        if line.name not in ORDER:
            line.unknown_directive(ORDER)
        if line.name not in MODELLED:
            have = ", ".join(MODELLED)
            raise line.wrong(f"the lab does not model the plugin `{line.name}`; it has {have}")
        by_name.setdefault(line.name, []).append(line)
    found: tuple[Plugin, ...] = ()
    for name in reversed(ORDER):
        if name in by_name:
            found = (*plugin(by_name[name], site, found), *found)
    return found


def ask(
    server: Server,
    world: World,
    query: Query,
    memory: Memory | None = None,
    now: float = 0.0,
    port: int = DNS_PORT,
    at: str = "",
) -> Reply:
    """What the server answers at second `now`, remembering `memory`; `at` is the address asked."""

    def door(asked: Query, visit: Visit) -> Answer:
        return _answered(server, _block_for(server, asked, port), asked, visit, port)

    zone = _block_for(server, query, port)
    block = server.blocks[port, zone] if zone else None
    name = f"dns://{at if block and block.bound else ''}:{port}"
    visit = Visit(world, memory or {}, now, door, name)
    answer = _answered(server, zone, query, visit, port)
    if not answer.written:
        answer = Answer(rcode=answer.rcode, error=answer.error)
    return Reply(
        answer=answer,
        zone=zone,
        chain=tuple(plugin.name for plugin in block.plugins) if block else (),
        stations=tuple(visit.stations),
        upstreams=tuple(visit.upstreams),
        cached=visit.cached,
        memory=_lasting(visit, now) if visit.kept else visit.memory,
        log=tuple(visit.log),
        counts=tuple(visit.counts),
    )


def _block_for(server: Server, query: Query, port: int) -> str:
    """The longest zone that holds the name; empty where no block listens for it."""
    zone = query.key
    while (port, zone) not in server.blocks:
        if zone == ".":
            return ""
        zone = zone.partition(".")[2] or "."
    return zone


def _answered(server: Server, zone: str, query: Query, visit: Visit, port: int) -> Answer:
    """REFUSED where no block is meant, or where it has no plugin that takes questions."""
    plugins = server.blocks[port, zone].plugins if zone else ()
    return Next(plugins, 0, visit)(query) if plugins else gave_up("REFUSED")


def _lasting(visit: Visit, now: float) -> dict[tuple[str, str, str], Kept]:
    both = {**visit.memory, **visit.kept}
    return {key: kept for key, kept in both.items() if now - kept.stored < kept.seconds}


# --- what `loop` finds at start ----------------------------------------------------------------


def looping(server: Server, world: World, fronts: tuple[str, ...] = ()) -> str:
    """The message with which `loop` ends the process; empty if no question comes back.

    A question comes back where the zone of `loop` is forwarded to the server itself, which
    is what a node's `nameserver 127.0.0.53` means inside a pod. `fronts` are the addresses of
    the Services in front of it, which lead back as well. The line names who sent the question.

    Source: CoreDNS `plugin/loop/loop.go` and its README (Troubleshooting).
    """
    for (port, zone), block in server.blocks.items():
        if port != DNS_PORT or not any(isinstance(p, Loop) for p in block.plugins):
            continue
        for forward in (p for p in block.plugins if isinstance(p, Forward)):
            for address in forward.addresses(world.resolv_conf.nameservers):
                own = address_text(address) and ip_address(address).is_loopback
                if own or address in (*world.local_ips, *fronts):
                    sender = "127.0.0.1" if own else next(iter(world.local_ips), address)
                    return _looped(zone, port, sender)
    return ""


def _looped(zone: str, port: int, sender: str) -> str:
    """The last line of the log; its numbers, which are random in life, depend on the sender."""
    dice = sha512(f"{sender} {zone}".encode()).digest()
    name = ".".join(str(int.from_bytes(part) >> 1) for part in (dice[:8], dice[8:16]))
    return (
        f"[FATAL] plugin/loop: Loop ({sender}:{32768 + dice[16] * 100} -> :{port}) detected for "
        f'zone "{zone}", see https://coredns.io/plugins/loop#troubleshooting. '
        f'Query: "HINFO {name}.{zone.removeprefix(".")}"'
    )
