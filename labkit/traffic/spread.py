"""Many connections to one Service, drawn as its tables say: who gets how many.

Not packet by packet: the choice alone is made again and again, by the shares that the tree of
the rules has, or by IPVS's own scheduler. Time is counted in
connections here; `labkit.traffic.load` has seconds, and requests that travel on a connection.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection
from ipaddress import ip_address
from itertools import accumulate
from math import lcm

from labkit.kernel.dice import SeededDice
from labkit.kernel.ipvs import SCHEDULERS, RealServer
from labkit.kernel.packet import Packet
from labkit.traffic.branches import Tree

FIRST_CLIENT = ip_address("10.244.9.1")
VIRTUAL = ip_address("10.96.0.1")
OPEN, SLOW = 12, 48  # connections that come while one is open
Choose = Callable[[int, int], int]  # (number of the connection, of its client) -> which pod


def spread(
    found: Tree,
    connections: int,
    *,
    seed: int = 1,
    clients: int = 1,
    slow: Collection[str] = (),
) -> dict[str, int]:
    """How many of the connections each pod gets, by its title, in the order of the tables.

    Args:
        connections: they come one after another, from the clients in turn.
        slow: titles of pods that need four times as long for a connection as the others.
    """
    titles = [found.title(b) for b in found.choices]
    counts = dict.fromkeys(titles, 0)
    if not titles:
        return counts
    choose = _scheduled(found, titles, slow) if found.scheduler else _by_dice(found, seed)
    known: dict[int, int] = {}
    for number in range(connections):
        client = number % clients
        chosen = known.get(client) if found.sticky else None
        if chosen is None:
            chosen = known[client] = choose(number, client)
        counts[titles[chosen]] += 1
    return counts


def _by_dice(found: Tree, seed: int) -> Choose:
    """Draws by the exact shares, over their common denominator."""
    shares = [b.share for b in found.choices if b.share is not None]
    whole = lcm(*(share.denominator for share in shares))
    bounds = list(accumulate(int(share * whole) for share in shares))
    dice = SeededDice(seed)
    return lambda number, client: bisect_right(bounds, dice.below(whole))


def _scheduled(found: Tree, titles: list[str], slow: Collection[str]) -> Choose:
    """Asks IPVS's scheduler; connections that are still open are what it counts."""
    servers = tuple(RealServer(VIRTUAL, number) for number in range(len(titles)))
    ends: list[list[int]] = [[] for _ in servers]  # when each open connection ends
    last: RealServer | None = None

    def choose(number: int, client: int) -> int:
        nonlocal last
        for each in ends:
            each[:] = [end for end in each if end > number]
        load = {s: (len(open_), 0) for s, open_ in zip(servers, ends, strict=True)}
        packet = Packet(src=FIRST_CLIENT + client, dst=VIRTUAL)
        last = SCHEDULERS[found.scheduler](servers, load, last, packet)
        ends[last.port].append(number + (SLOW if titles[last.port] in slow else OPEN))
        return last.port

    return choose
