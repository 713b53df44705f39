"""A million connections: when each is opened, who gets it, and when its requests come.

One element of an array is one connection. All chance is splitmix64, the dice of the kernel's
model, so that a seed gives the same run on every machine. numpy (it comes with pandas) is
loaded when something is drawn.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.kernel.ipvs import SCHEDULERS, RealServer
from labkit.traffic.ways import Way

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]
    Numbers = NDArray[Any]

TIME_WAIT = 120.0
"""Seconds for which IPVS counts a closed connection as inactive; ip_vs_proto_tcp.c."""
NOBODY = -1
SALT = 0x5EED  # other dice than those of the clients' starts


def numbers(found: Sequence[int]) -> Numbers:
    import numpy as np

    return np.array(found, dtype=np.int64)


def uniforms(seed: int, count: int) -> Floats:
    """`count` numbers in [0, 1): what `SeededDice(seed)` draws, all at once."""
    import numpy as np

    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = steps + np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    drawn: Floats = (z >> np.uint64(11)) * 2.0**-53  # the 53 bits that a float holds
    return drawn


class Pace(NamedTuple):
    """Clients that ask evenly: client `i` at `starts[i]`, then `rate` times a second."""

    starts: Floats
    rate: float

    def asked(self, before: float) -> Numbers:
        """How many requests each client has sent before that second."""
        import numpy as np

        many = np.ceil((before - self.starts) * self.rate - 1e-9)
        return np.maximum(many, 0).astype(np.int64)

    def together(self, before: float) -> Numbers:
        """The same of all clients: one number."""
        whole: Numbers = self.asked(before).sum(keepdims=True)
        return whole


class Opened(NamedTuple):
    """Connections in the order in which they open: of which client, for which of its requests.

    `first` and `last` count the client's requests; `last` is not among them. `end` is the
    number of the pod that has the connection, NOBODY before it is chosen.
    """

    at: Floats
    client: Numbers
    first: Numbers
    last: Numbers
    end: Numbers

    def where(self, which: NDArray[Any]) -> Opened:
        return Opened(*(column[which] for column in self))

    def ordered(self) -> Opened:
        import numpy as np

        return self.where(np.lexsort((self.client, self.at)))


def joined(parts: Sequence[Opened]) -> Opened:
    import numpy as np

    return Opened(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def opened(pace: Pace, each: int, seconds: float, age: Floats) -> Opened:
    """The connections of all clients when each carries `each` requests.

    `age` is how much of its life the first connection of each client has behind it, from 0 to
    1: else all clients would connect anew at the same moment.
    """
    import numpy as np

    requests = pace.asked(seconds)
    spent = np.floor(age * each).astype(np.int64)
    many = -(-(requests + spent) // each)
    client = np.repeat(np.arange(len(requests)), many)
    turn = np.arange(len(client)) - np.repeat(np.cumsum(many) - many, many)
    begun = turn * each - spent[client]
    first, last = np.maximum(begun, 0), np.minimum(begun + each, requests[client])
    at = pace.starts[client] + first / pace.rate
    return Opened(at, client, first, last, np.full(len(client), NOBODY)).ordered()


def broken(live: Opened, pace: Pace, now: float, there: Numbers) -> tuple[Opened, Opened]:
    """What becomes of connections when only the pods `there` are left.

    Returns:
        All connections, those to a pod that is gone cut short, and the ones that their clients
        open anew with the next request.
    """
    import numpy as np

    sent = pace.asked(now)[live.client]
    gone = (live.end != NOBODY) & ~np.isin(live.end, there) & (live.last > sent)
    again = live.where(gone)
    first = np.maximum(sent[gone], again.first)
    at = pace.starts[again.client] + first / pace.rate
    kept = live._replace(last=np.where(gone, np.minimum(live.last, sent), live.last))
    return kept, again._replace(at=at, first=first, end=np.full(len(at), NOBODY))


# --- who gets a connection ------------------------------------------------------------------


class Memory:
    """What the nodes remember between connections, as long as the run lasts."""

    def __init__(self) -> None:
        self.clients: dict[tuple[str, str], tuple[int, float]] = {}  # affinity: pod, last seen
        self.turns: dict[str, Turn] = {}


def drawn(way: Way, new: Opened, luck: Floats, number: dict[str, int], memory: Memory) -> Numbers:
    """The pods of new connections from one place, by the way's chances and its affinity."""
    import numpy as np

    ends = np.array([number[end] for end in way.chances], dtype=np.int64)
    edges = np.cumsum(list(way.chances.values()))[:-1]
    picked = ends[np.searchsorted(edges, luck, side="right")]
    if way.affinity is None or not len(picked):
        return picked
    pod, seen = memory.clients.get(way.memory, (NOBODY, -np.inf))
    known = pod in ends
    fresh = np.diff(new.at, prepend=seen if known else -np.inf) > way.affinity
    stuck: Numbers = np.concatenate(([pod], picked[fresh]))[np.cumsum(fresh)]
    memory.clients[way.memory] = (int(stuck[-1]), float(new.at[-1]))
    return stuck


class Turn:
    """One virtual server of IPVS on one node: whose turn it is, and how busy everybody is."""

    def __init__(self) -> None:
        self.last: RealServer | None = None
        self.load: dict[RealServer, tuple[int, int]] = {}
        self.ends: list[tuple[float, int, RealServer, bool]] = []
        self.clients: dict[str, tuple[RealServer, float]] = {}
        self.count = 0

    def next(self, way: Way, at: float, until: float) -> RealServer:
        """The server of a connection from `at` to `until`, chosen as the kernel's model does."""
        assert way.balancer is not None
        able = way.balancer.servers
        self._close(at)
        known, seen = self.clients.get(way.memory[1], (None, 0.0))
        kept = known in able and way.affinity is not None and at - seen <= way.affinity
        load = {server: self.load.get(server, (0, 0)) for server in able}
        pick = SCHEDULERS[way.balancer.scheduler]
        server = known if kept and known else pick(able, load, self.last, way.packet)
        if not kept:
            self.last = server
        self.clients[way.memory[1]] = (server, at)
        self._count(server, 1, 0)
        self.count += 1
        heapq.heappush(self.ends, (until, self.count, server, True))
        return server

    def _close(self, now: float) -> None:
        """Connections that ended become inactive, and after a while they are forgotten."""
        while self.ends and self.ends[0][0] <= now:
            when, number, server, active = heapq.heappop(self.ends)
            self._count(server, -1 if active else 0, 1 if active else -1)
            if active:
                heapq.heappush(self.ends, (when + TIME_WAIT, number, server, False))

    def _count(self, server: RealServer, active: int, inactive: int) -> None:
        busy, quiet = self.load.get(server, (0, 0))
        self.load[server] = (busy + active, quiet + inactive)


def chosen(
    ways: Sequence[Way],
    new: Opened,
    pace: Pace,
    number: dict[str, int],
    memory: Memory,
    seed: int,
) -> Opened:
    """New connections with their pods; client `i` stands at place `i` modulo `len(ways)`."""
    import numpy as np

    place = new.client % len(ways)
    if any(way.balancer for way in ways):
        return new._replace(end=scheduled(ways, place, new, pace, number, memory))
    luck, end = uniforms(seed ^ SALT, len(new.at)), new.end.copy()
    for which, way in enumerate(ways):
        here = np.flatnonzero(place == which)
        end[here] = drawn(way, new.where(here), luck[here], number, memory)
    return new._replace(end=end)


def scheduled(
    ways: Sequence[Way],
    place: Numbers,
    new: Opened,
    pace: Pace,
    number: dict[str, int],
    memory: Memory,
) -> Numbers:
    """The pods of new connections where IPVS chooses; `place` is the way of each.

    One after the other, since each choice may depend on all before it.
    """
    import numpy as np

    until = pace.starts[new.client] + (new.last - 1) / pace.rate
    rows = zip(place.tolist(), new.at.tolist(), until.tolist(), strict=True)
    found = []
    for which, at, end in rows:
        way = ways[which]
        key = f"{way.memory[0]} {way.packet.destination}"
        server = memory.turns.setdefault(key, Turn()).next(way, at, end)
        found.append(number[way.servers[server]])
    return np.array(found, dtype=np.int64)


# --- counting -------------------------------------------------------------------------------


def counted(made: Opened, pace: Pace, edges: Sequence[float], pods: int) -> Numbers:
    """Requests by pod and by span between two edges; the requests of a connection stay with it."""
    import numpy as np

    until = []
    for edge in edges:
        sent = np.clip(pace.asked(edge)[made.client], made.first, made.last) - made.first
        until.append(np.bincount(made.end, sent, minlength=pods))
    return spans(until)


def dealt(
    sent: Callable[[float], Numbers], edges: Sequence[float], pods: Sequence[int], many: int
) -> Numbers:
    """Requests by pod and by span when they are given to `pods` in turn.

    Args:
        sent: how many each dealer has given out before a second; everyone has a turn of his
            own, and begins with another pod.
        many: the number of rows.
    """
    import numpy as np

    until = []
    for edge in edges:
        row, given = np.zeros(many), sent(edge)
        for place, pod in enumerate(pods):
            wait = (place - np.arange(len(given))) % len(pods)  # requests until its turn
            row[pod] += ((given - wait + len(pods) - 1) // len(pods)).sum()
        until.append(row)
    return spans(until)


def spans(until: Sequence[NDArray[Any]]) -> Numbers:
    """Sums up to each edge as what lies between two of them, one row for each pod."""
    import numpy as np

    return np.diff(np.array(until), axis=0).T.round().astype(np.int64)
