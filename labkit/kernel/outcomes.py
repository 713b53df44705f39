"""Everything that may happen to a packet, with exact chances.

A way is its list of netfilter decisions. Each is walked to its end; where a chain could have
decided otherwise, the list up to there with the other decision waits on a stack.
"""

from __future__ import annotations

from fractions import Fraction

from labkit.kernel.conntrack import Conntrack
from labkit.kernel.filtering import Decision, evaluate
from labkit.kernel.matching import Seen
from labkit.kernel.netfilter import Chain, Table
from labkit.kernel.netns import Network
from labkit.kernel.packet import Packet
from labkit.kernel.trace import Trace
from labkit.kernel.walk import travel

MOST_WAYS = 50_000  # ten times the endpoints of the largest Service
Way = tuple[Fraction, tuple[Decision, ...]]


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
    waiting: list[Way] = [(Fraction(1), ())]
    while waiting:
        chance, begun = waiting.pop()
        explorer = Explorer(chance, begun)
        trace = travel(network, start, packet, explorer, conntrack, now)
        found.append((explorer.chance, trace))
        assert len(found) <= MOST_WAYS, "rules choose anew at every pass of a circle"
        waiting.extend(explorer.others)
    return tuple(found)


class Explorer:
    """Decides as the list says that it begins with, then for the first side each time."""

    def __init__(self, chance: Fraction, begun: tuple[Decision, ...]) -> None:
        self.chance = chance
        self.begun = begun
        self.made: list[Decision] = []
        self.others: list[Way] = []

    def __call__(self, table: Table, chain: Chain, seen: Seen, mark: int) -> Decision:
        if len(self.made) < len(self.begun):
            decision = self.begun[len(self.made)]
        else:
            (first, decision), *rest = evaluate(table, chain, seen, mark)
            # Last pushed, first walked: the deepest choice, and there the first rule.
            for chance, other in reversed(rest):
                self.others.append((self.chance * chance, (*self.made, other)))
            self.chance *= first
        self.made.append(decision)
        return decision
