"""What a plugin of CoreDNS is: a step of a chain that answers or asks the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from labkit.dns.known import Known
from labkit.dns.message import Answer, Query, gave_up
from labkit.dns.metrics import Counts, Series, series
from labkit.dns.resolvconf import ResolvConf

MOST_RESTARTS = 8
"""How often a question may start again at the server's door (an ExternalName's target)."""

Upstream = Callable[[str, Query], Answer | None]
"""What a server at an address answers; None if nothing comes back."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a CoreDNS process sees around it.

    `local_ips` are the addresses it listens on, `resolv_conf` is its own pod's file, `hosts`
    its `/etc/hosts` and other files in that form. `synced`: has it read the whole API yet?
    """

    known: Known
    upstream: Upstream
    local_ips: tuple[str, ...] = ()
    resolv_conf: ResolvConf = ResolvConf()
    synced: bool = True
    hosts: Mapping[str, str] = {}


class Kept(msgspec.Struct, frozen=True):
    """An answer in the cache: when it was put there, and for how many seconds."""

    answer: Answer
    stored: float
    seconds: int


Memory = Mapping[tuple[str, str, str], Kept]
"""What the caches of a process hold, by server block, name and type."""


class Names(msgspec.Struct, frozen=True):
    """What look-ups leave behind: the caches of CoreDNS pods and their counters, both by
    `namespace/name`, and how many questions were asked."""

    caches: Mapping[str, Memory] = {}
    counts: Mapping[str, Counts] = {}
    asked: int = 0


class Station(msgspec.Struct, frozen=True):
    """One plugin that a question reached, the question as it stood there, and what it did.

    `did` is empty for a plugin that let everything pass.
    """

    plugin: str
    query: Query
    did: str = ""


class Visit:
    """One question's way through a server: what it met, and what it leaves behind.

    Lives for one call of `ask` only; everything that lasts is handed back in a `Reply`.
    `server` is the server's name in its counters, such as `dns://:53`.
    """

    def __init__(
        self,
        world: World,
        memory: Memory,
        now: float,
        door: Callable[..., Answer],
        server: str = "",
    ):
        self.world = world
        self.memory = memory
        self.now = now
        self.server = server
        self.counts: list[Series] = []
        self.kept: dict[tuple[str, str, str], Kept] = {}
        self.stations: list[Station] = []
        self.upstreams: list[str] = []
        self.log: list[str] = []
        self.cached = False
        self._door = door
        self._restarts = 0

    def restart(self, query: Query) -> Answer:
        """The same server asked from its door, as for the target of a CNAME."""
        if self._restarts >= MOST_RESTARTS:
            return gave_up("SERVFAIL", "too many names lead to names")
        self._restarts += 1
        return self._door(query, self)

    def count(self, name: str, **labels: str) -> None:
        """One more of a metric that names its server and its view."""
        self.counts.append(series(name, server=self.server, view="", **labels))

    def remembered(self, key: tuple[str, str, str]) -> Kept | None:
        return self.kept.get(key) or self.memory.get(key)


class Next(NamedTuple):
    """The rest of the chain; `station` is the number of the plugin that holds it."""

    plugins: tuple[Plugin, ...]
    at: int
    visit: Visit
    station: int = -1

    def __call__(self, query: Query) -> Answer:
        """What the next plugin says. Source: CoreDNS `plugin.NextOrFailure`."""
        if self.at == len(self.plugins):
            return gave_up("SERVFAIL", "no next plugin found")
        plugin = self.plugins[self.at]
        stations = self.visit.stations
        stations.append(Station(plugin.name, query))
        return plugin(query, Next(self.plugins, self.at + 1, self.visit, len(stations) - 1))

    def did(self, words: str) -> None:
        """Notes what the plugin that holds this did with the question or its answer."""
        old = self.visit.stations[self.station]
        self.visit.stations[self.station] = Station(old.plugin, old.query, words)


class Plugin(Protocol):
    """A pure step: equal questions in equal worlds get equal answers."""

    @property
    def name(self) -> str: ...

    def __call__(self, query: Query, next_: Next) -> Answer: ...
