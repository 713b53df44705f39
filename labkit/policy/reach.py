"""All pairs at once: who may open a connection to whom, on one port.

Works on classes of equal pods (`labkit.policy.index`); each policy is read once, so the cost
grows with policies and classes and not with pairs of pods.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from labkit.api.core import Pod, PortProtocol
from labkit.api.names import SYSTEM
from labkit.api.state import State
from labkit.policy.ends import pod_end
from labkit.policy.explain import Lines
from labkit.policy.index import Bits
from labkit.policy.matcher import DEFAULT, Flow, Verdict, judge
from labkit.policy.reading import Reading
from labkit.policy.sentences import sentence
from labkit.policy.sides import Sides
from labkit.policy.tier_sides import with_tiers

if TYPE_CHECKING:
    import pandas


class Change(msgspec.Struct, frozen=True):
    """One pair that is open now and was not, or the other way round; `why` is what decides now."""

    source: str
    destination: str
    opened: bool
    why: str

    def __str__(self) -> str:
        word = "opened" if self.opened else "closed"
        return f"{word}  {self.source} to {self.destination}: {self.why}"


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Who reaches whom on one port, as far as policies go: `rows` send, `columns` receive.

    `pods` are sorted by namespace and name; `class_of` gives each pod's class and `rows[c]` the
    classes that class c may open connections to. A pod always reaches itself. `lines` says
    where the parts of manifests stand, for the reasons.
    """

    state: State
    port: int
    protocol: PortProtocol
    reading: Reading
    pods: tuple[Pod, ...]
    class_of: tuple[int, ...]
    rows: tuple[Bits, ...]
    lines: Lines = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        from labkit.policy.told import told

        return told(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The pods as verdicts call them: `default/frontend`."""
        return tuple(pod_end(self.state, pod, self.reading).title for pod in self.pods)

    def open(self, source: int, destination: int) -> bool:
        """Whether pod number `source` may open a connection to pod number `destination`."""
        if source == destination and self.reading.itself:
            return True
        return bool(self.rows[self.class_of[source]] >> self.class_of[destination] & 1)

    @property
    def open_pairs(self) -> int:
        """Ordered pairs that are open, a pod with itself included."""
        sizes = [0] * len(self.rows)
        for number in self.class_of:
            sizes[number] += 1
        # Sizes as columns of binary digits, so that a row is added up by counting bits.
        digits = [
            reduce(or_, (1 << c for c, size in enumerate(sizes) if size >> place & 1), 0)
            for place in range(max(sizes, default=0).bit_length())
        ]
        sums = (
            sum((row & ones).bit_count() << place for place, ones in enumerate(digits))
            for row in self.rows
        )
        pairs = sum(size * members for size, members in zip(sizes, sums, strict=True))
        lonely = sum(sizes[c] for c, row in enumerate(self.rows) if not row >> c & 1)
        return pairs + (lonely if self.reading.itself else 0)

    def why(self, source: int, destination: int) -> Verdict:
        """The verdict on one pair, with its reasons."""
        sender, receiver = (
            pod_end(self.state, self.pods[n], self.reading) for n in (source, destination)
        )
        flow = Flow(sender, receiver, self.protocol, self.port)
        return judge(self.state, flow, self.reading)

    def reason(self, source: int, destination: int) -> str:
        """What decides on one pair, in one sentence with the policy's name and its line."""
        return sentence(self.why(source, destination), self.lines, self.reading)

    def diff(self, other: Reach) -> tuple[Change, ...]:
        """The pairs of pods of both whose verdict in `other` is another, with what decides there.

        `other` is the later one: `before.diff(after)` tells what opened and what closed.
        """
        known = {(p.namespace, p.name): n for n, p in enumerate(self.pods)}
        both = [
            (n, known[p.namespace, p.name])
            for n, p in enumerate(other.pods)
            if (p.namespace, p.name) in known
        ]
        names = other.names
        return tuple(
            Change(names[a], names[b], now, other.reason(a, b))
            for a, was_a in both
            for b, was_b in both
            if (now := other.open(a, b)) != self.open(was_a, was_b)
        )

    def frame(self) -> pandas.DataFrame:
        """Rows send, columns receive; labels as in `names`, cells bool."""
        import pandas

        labels = list(self.names)
        count = range(len(labels))
        cells = [[self.open(a, b) for b in count] for a in count]
        return pandas.DataFrame(cells, index=labels, columns=labels, dtype=bool)


def reachability(
    state: State,
    port: int,
    protocol: PortProtocol = "TCP",
    *,
    system: bool = False,
    reading: Reading = DEFAULT,
    lines: Lines | None = None,
) -> Reach:
    """What all policies together mean for every pair of pods on one port of the receiver.

    `system` counts the pods of the system's namespaces too; `lines` as in `Reach`.
    """
    pods = [p for p in state.list(Pod) if p.addresses and (system or p.namespace not in SYSTEM)]
    sides = Sides(state, pods, port, protocol, reading)
    number = {
        (p.namespace, p.name): n for n, group in enumerate(sides.index.classes) for p in group.pods
    }
    return Reach(
        state=state,
        port=port,
        protocol=protocol,
        reading=reading,
        pods=tuple(pods),
        class_of=tuple(number[p.namespace, p.name] for p in pods),
        rows=sides.rows(with_tiers(sides, "Egress"), with_tiers(sides, "Ingress")),
        lines=dict(lines or {}),
    )
