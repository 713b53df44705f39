"""Where a connection may end, and how likely each end is: exact fractions, not samples."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from labkit.api.state import State
from labkit.kernel.conntrack import Conntrack
from labkit.kernel.dice import FirstDice
from labkit.kernel.netns import Network
from labkit.kernel.outcomes import outcomes as walks
from labkit.kernel.packet import Protocol
from labkit.kernel.trace import Trace
from labkit.traffic.connect import Asked, Medium, asked, seen
from labkit.traffic.text import plural

if TYPE_CHECKING:
    import pandas as pd

FAILURES = ("refused", "timed out", "unreachable")


class Chances(msgspec.Struct, frozen=True, kw_only=True):
    """Every end of a connection with its chance; the chances add up to 1.

    An end is the title of the place that answers (`backend-7d4f…`, `node-1`), or what the
    client sees instead: `refused`, `timed out`, `unreachable`. Places come first, by name.
    """

    source: str
    target: str
    protocol: Protocol
    ends: Mapping[str, Fraction]

    def __getitem__(self, end: str) -> Fraction:
        return self.ends.get(end, Fraction(0))

    def frame(self) -> pd.DataFrame:
        """One row for each end: `end`, `chance` as a fraction's text, `probability` as a float."""
        import pandas as pd

        rows = [(end, str(chance), float(chance)) for end, chance in self.ends.items()]
        return pd.DataFrame(rows, columns=["end", "chance", "probability"])

    def __str__(self) -> str:
        width = max(map(len, self.ends))
        head = f"{self.source} -> {self.target}, {self.protocol}: {plural(len(self.ends), 'end')}"
        rows = (f"  {end.ljust(width)}  {chance}" for end, chance in self.ends.items())
        return "\n".join((head, *rows))

    __repr__ = __str__


def outcomes(
    state: State,
    network: Network,
    source: str,
    target: str,
    *,
    protocol: Protocol = "TCP",
    sport: int | None = None,
    namespace: str = "default",
    conntrack: Conntrack | None = None,
    now: float = 0.0,
) -> Chances:
    """All ends that a new connection may have, by walking every branch of the rules.

    Raises:
        NotFound, CommandError: source or target are not there, with the nearest names.
    """
    question = asked(
        state, network, source, target, protocol=protocol, sport=sport, namespace=namespace
    )
    start, packet = question.spot.netns, question.packet
    medium = Medium(network, FirstDice(), now)
    found: dict[str, Fraction] = {}
    for chance, trace in walks(network, start, packet, conntrack or {}, now):
        end = _end(question, medium, trace)
        found[end] = found.get(end, Fraction(0)) + chance
    return Chances(
        source=question.spot.text,
        target=question.target.text,
        protocol=protocol,
        ends={end: found[end] for end in sorted(found, key=lambda e: (e in FAILURES, e))},
    )


def _end(question: Asked, medium: Medium, request: Trace) -> str:
    """Who answers this request, or what the client sees when its answer does not come."""
    exchange = medium.answer(request)
    outcome = seen(question.spot.netns, *exchange)
    if outcome != "answered":
        return outcome
    return medium.network.namespaces[request.end].title
