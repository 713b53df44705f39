"""Equal pods as one class, and sets of classes as the bits of an integer.

Two pods that no selector, ipBlock or port name can tell apart get equal answers, so they are
one class. A set of classes is an int: bit n stands for class n, and `&` and `|` do the work
of a thousand comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from operator import or_

import msgspec

from labkit.api.core import Namespace, Pod
from labkit.api.meta import LabelSelector, Requirement
from labkit.api.state import State

Bits = int


def bits(numbers: Bits) -> Iterator[int]:
    """The numbers whose bits are set, ascending."""
    while numbers:
        low = numbers & -numbers
        yield low.bit_length() - 1
        numbers ^= low


class PodClass(msgspec.Struct, frozen=True):
    """Pods that policies cannot tell apart; `pods[0]` speaks for all."""

    pods: tuple[Pod, ...]


class Labels:
    """Which members of a numbered list carry which label, as bits."""

    def __init__(self, labelled: Iterable[Mapping[str, str]]) -> None:
        self.pairs: dict[tuple[str, str], Bits] = {}
        self.keys: dict[str, Bits] = {}
        self.all: Bits = 0
        for number, labels in enumerate(labelled):
            one = 1 << number
            self.all |= one
            for key, value in labels.items():
                self.pairs[key, value] = self.pairs.get((key, value), 0) | one
                self.keys[key] = self.keys.get(key, 0) | one

    def select(self, selector: LabelSelector) -> Bits:
        """The members that a selector matches."""
        found = self.all
        for pair in selector.match_labels.items():
            found &= self.pairs.get(pair, 0)
        for requirement in selector.match_expressions:
            found &= self._matching(requirement)
        return found

    def _matching(self, need: Requirement) -> Bits:
        having = self.keys.get(need.key, 0)
        among = reduce(or_, (self.pairs.get((need.key, v), 0) for v in need.values), 0)
        match need.operator:
            case "In":
                return among
            case "NotIn":
                return self.all & ~among
            case "Exists":
                return having
            case "DoesNotExist":
                return self.all & ~having


class Index:
    """The classes of a list of pods, and which of them a selector matches in which namespaces.

    `distinction` is what tells pods with equal labels apart: an ipBlock that one of them is in,
    or another number behind a port's name.
    """

    def __init__(
        self, state: State, pods: Iterable[Pod], distinction: Callable[[Pod], object]
    ) -> None:
        groups: dict[object, list[Pod]] = {}
        for pod in pods:
            labels = tuple(sorted(pod.labels.items()))
            groups.setdefault((pod.namespace, labels, distinction(pod)), []).append(pod)
        self.classes = tuple(PodClass(tuple(members)) for members in groups.values())
        self.labels = Labels(c.pods[0].labels for c in self.classes)
        self.spaces = tuple(state.list(Namespace))
        self.space_labels = Labels(n.labels for n in self.spaces)
        self.by_space: dict[str, Bits] = {}
        for number, group in enumerate(self.classes):
            space = group.pods[0].namespace
            self.by_space[space] = self.by_space.get(space, 0) | 1 << number

    def in_namespace(self, name: str) -> Bits:
        return self.by_space.get(name, 0)

    def in_namespaces(self, selector: LabelSelector) -> Bits:
        """The classes in all namespaces that a selector matches."""
        chosen = bits(self.space_labels.select(selector))
        return reduce(or_, (self.in_namespace(self.spaces[n].name) for n in chosen), 0)

    def select(self, selector: LabelSelector) -> Bits:
        return self.labels.select(selector)
