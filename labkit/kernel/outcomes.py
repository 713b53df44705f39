"""Everything that may happen to a packet, with exact chances.

A way is how far the packet has come. Where a step could have gone otherwise, because a chain could
have decided otherwise, the other ways wait on a stack at the place before that step.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from labkit.kernel.conntrack import Conntrack
from labkit.kernel.filtering import Decision, evaluate
from labkit.kernel.journey import Connect, End, Journey, Step
from labkit.kernel.matching import Seen
from labkit.kernel.netfilter import Chain, Table
from labkit.kernel.netns import Network
from labkit.kernel.packet import Packet
from labkit.kernel.trace import Trace
from labkit.kernel.walk import advance, ended

MOST_WAYS = 50_000  # ten times the endpoints of the largest Service


class Way(NamedTuple):
    """A packet before a step, with the chance that it is here and what will be decided first."""

    chance: Fraction
    journey: Journey  # never written to: a step is taken with a copy
    step: Step
    decisions: tuple[Decision, ...] = ()


def outcomes(
    network: Network,
    start: str,
    packet: Packet,
    conntrack: Conntrack = {},  # noqa: B006 # never written to
    now: float = 0.0,
) -> tuple[tuple[Fraction, Trace], ...]:
    """Every way of the packet with its chance, in the order of the rules; chances sum to 1.

    Ways that end alike are not merged: a Service with an endpoint listed twice shows both.
    """
    found = []
    begun = Journey(network, Explorer(()), conntrack, now)
    waiting = [Way(Fraction(1), begun, Connect(start, packet))]
    while waiting:
        way = waiting.pop()
        while not isinstance(way.step, End):
            way = further(way, waiting)
        found.append((way.chance, ended(way.journey, way.step)))
        assert len(found) <= MOST_WAYS, "rules choose anew at every pass of a circle"
    return tuple(found)


def further(way: Way, waiting: list[Way]) -> Way:
    """The way one step on; those that part from it here are put on `waiting`."""
    journey = way.journey.copy()
    journey.decide = explorer = Explorer(way.decisions)
    step = advance(journey, way.step)
    for chance, decisions in explorer.others:
        waiting.append(Way(way.chance * chance, way.journey, way.step, decisions))
    return Way(way.chance * explorer.chance if explorer.others else way.chance, journey, step)


class Explorer:
    """Decides as the list says that it begins with, then for the first side each time."""

    def __init__(self, begun: tuple[Decision, ...]) -> None:
        self.chance = Fraction(1)
        self.begun = begun
        self.made: list[Decision] = []
        self.others: list[tuple[Fraction, tuple[Decision, ...]]] = []

    def __call__(self, table: Table, chain: Chain, seen: Seen, mark: int) -> Decision:
        if len(self.made) < len(self.begun):
            decision = self.begun[len(self.made)]
        else:
            (first, decision), *rest = evaluate(table, chain, seen, mark)
            # Last pushed, first walked: the deepest choice, and there the first rule.
            for chance, other in reversed(rest):
                self.others.append((self.chance * chance, (*self.made, other)))
            if rest:
                self.chance *= first
        self.made.append(decision)
        return decision
