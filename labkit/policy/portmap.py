"""The map of all ports: for every pair of pods, on which ports a connection may open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

import msgspec

from labkit.api.core import Pod
from labkit.api.networking import LAST_PORT, NetworkPolicy
from labkit.api.state import State
from labkit.errors import NotFound
from labkit.policy.index import Bits, bits
from labkit.policy.matcher import DEFAULT
from labkit.policy.reach import Reach, reachability
from labkit.policy.reading import Reading
from labkit.policy.spans import Span, spans
from labkit.policy.tiers_named import ports_asked

if TYPE_CHECKING:
    import pandas

SHOWN = 40  # pairs that the text lists


class Layer(msgspec.Struct, frozen=True):
    """Ports with one answer: `rows[n]` are the pods, as bits, that pod n may open them to."""

    spans: tuple[Span, ...]
    rows: tuple[Bits, ...]


class PortMap(msgspec.Struct, frozen=True):
    """Every pair of pods on every port, as far as policies go.

    `pods` are `namespace/title` in the order of `Reach`; each port of each protocol is in one of
    the layers.
    """

    pods: tuple[str, ...]
    layers: tuple[Layer, ...]

    def between(self, source: str, destination: str) -> tuple[Span, ...]:
        """The ports on which `source` may open connections to `destination`; empty for none.

        Raises:
            NotFound: no such pod, written `namespace/title`.
        """
        return self._open(self._number(source), self._number(destination))

    def frame(self) -> pandas.DataFrame:
        """Rows send, columns receive; cells are words: `every port`, `none`, `TCP 80, UDP 53`."""
        import pandas

        count = range(len(self.pods))
        cells = [[words(self._open(a, b)) for b in count] for a in count]
        return pandas.DataFrame(cells, index=self.pods, columns=self.pods)

    def __str__(self) -> str:
        count = len(self.pods)
        every, some = self.counts
        none = count * count - every - some
        head = f"{count} pods, {count * count} pairs: {every} open on every port"
        rows = [f"{head}, {some} on some, {none} on none"]
        listed = list(self._partly())
        rows += [f"  {a} -> {b}: {words(found)}" for a, b, found in listed[:SHOWN]]
        more = len(listed) - SHOWN
        return "\n".join([*rows, *([f"  and {more} more"] if more > 0 else [])])

    __repr__ = __str__

    @property
    def counts(self) -> tuple[int, int]:
        """How many ordered pairs are open on every port, and how many on some ports only."""
        every = sum(row.bit_count() for row in self._each(and_))
        return every, sum(row.bit_count() for row in self._each(or_)) - every

    def _each(self, join: Callable[[Bits, Bits], Bits]) -> list[Bits]:
        """For each pod the layers' rows, joined."""
        return [reduce(join, column) for column in zip(*(x.rows for x in self.layers), strict=True)]

    def _partly(self) -> Iterator[tuple[str, str, tuple[Span, ...]]]:
        for a, (whole, part) in enumerate(zip(self._each(and_), self._each(or_), strict=True)):
            for b in bits(part & ~whole):
                yield self.pods[a], self.pods[b], self._open(a, b)

    def _open(self, source: int, destination: int) -> tuple[Span, ...]:
        found = [x.spans for x in self.layers if x.rows[source] >> destination & 1]
        return joined(span for group in found for span in group)

    def _number(self, name: str) -> int:
        if name not in self.pods:
            raise NotFound(f"{name}: no such pod on the map; write namespace/name")
        return self.pods.index(name)


def joined(found: Iterator[Span]) -> tuple[Span, ...]:
    """Spans in order, neighbours made one."""
    whole: list[Span] = []
    for span in sorted(found):
        last = whole[-1] if whole else None
        if last and (last.protocol, last.last + 1) == (span.protocol, span.first):
            whole[-1] = Span(span.protocol, last.first, span.last)
        else:
            whole.append(span)
    return tuple(whole)


def words(found: tuple[Span, ...]) -> str:
    """Spans as a cell of a table."""
    if not found:
        return "none"
    if len(found) == 3 and all((span.first, span.last) == (1, LAST_PORT) for span in found):
        return "every port"
    return ", ".join(map(str, found))


def port_map(state: State, *, system: bool = False, reading: Reading = DEFAULT) -> PortMap:
    """What all policies together mean for every pair of pods and every port.

    `system` counts the pods of the system's namespaces too.
    """
    more = ports_asked(state)
    groups = spans(state.list(NetworkPolicy), state.list(Pod), reading, more)
    reaches = [
        reachability(state, group[0].first, group[0].protocol, system=system, reading=reading)
        for group in groups
    ]
    return PortMap(
        pods=reaches[0].names,
        layers=tuple(Layer(g, by_pod(r)) for g, r in zip(groups, reaches, strict=True)),
    )


def by_pod(reach: Reach) -> tuple[Bits, ...]:
    """For each pod the pods that it reaches, as bits in the order of `reach.pods`."""
    members = [0] * len(reach.rows)
    for number, of in enumerate(reach.class_of):
        members[of] |= 1 << number
    spread = {
        row: reduce(or_, (members[c] for c in bits(row)), 0) for row in dict.fromkeys(reach.rows)
    }
    itself = reach.reading.itself
    return tuple(
        spread[reach.rows[of]] | (1 << number if itself else 0)
        for number, of in enumerate(reach.class_of)
    )
