"""Ports that policies cannot tell apart, as spans: one answer holds for every port of a span."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import get_args

import msgspec

from labkit.api.core import Pod, PortProtocol
from labkit.api.networking import LAST_PORT, NetworkPolicy, NetworkPolicyPort
from labkit.policy.matcher import named_ports
from labkit.policy.parts import all_rules
from labkit.policy.reading import Reading

Names = Mapping[tuple[str, PortProtocol], frozenset[int]]


class Span(msgspec.Struct, frozen=True, order=True):
    """Ports `first` to `last` of one protocol, both included."""

    protocol: PortProtocol
    first: int
    last: int

    def __str__(self) -> str:
        if (self.first, self.last) == (1, LAST_PORT):
            return f"{self.protocol} (every port)"
        return f"{self.protocol} {self.first}" + (f"-{self.last}" * (self.last > self.first))


def spans(
    policies: Iterable[NetworkPolicy],
    pods: Iterable[Pod],
    reading: Reading,
    more: Iterable[NetworkPolicyPort] = (),
) -> tuple[tuple[Span, ...], ...]:
    """All ports of all protocols, cut where a rule begins or ends, in groups with one answer.

    The first span of a group speaks for all of it: the same ports of rules cover them, and a
    port's name that some pod uses for a number leaves that number alone in its group. `more`
    are ports that others than these policies ask for.
    """
    own = (p for x in policies for rule in all_rules(x) for p in rule.ports)
    asked = tuple(dict.fromkeys((*own, *more)))
    names = numbers_of_names(asked, tuple(pods), reading)
    groups: dict[object, list[Span]] = {}
    for protocol in get_args(PortProtocol):
        for first, after in pairwise(_cuts(asked, names, protocol)):
            sign = _sign(asked, names, protocol, first)
            groups.setdefault(sign, []).append(Span(protocol, first, after - 1))
    return tuple(tuple(group) for group in groups.values())


def numbers_of_names(
    asked: Iterable[NetworkPolicyPort], pods: tuple[Pod, ...], reading: Reading
) -> Names:
    """Each port name that a rule asks for -> the numbers that any pod gives it."""
    wanted = {(port.port, port.protocol) for port in asked if isinstance(port.port, str)}
    return {
        (name, protocol): frozenset(
            number for pod in pods for number in named_ports(pod, name, protocol, reading)
        )
        for name, protocol in wanted
    }


def _cuts(asked: Iterable[NetworkPolicyPort], names: Names, protocol: PortProtocol) -> list[int]:
    """Where spans begin, ascending, and one past the last."""
    found = {1, LAST_PORT + 1}
    for port in asked:
        if port.protocol == protocol and isinstance(port.port, int):
            found |= {port.numbers.start, port.numbers.stop}
    for (_, used), numbers in names.items():
        if used == protocol:
            found |= {edge for number in numbers for edge in (number, number + 1)}
    return sorted(found)


def _sign(
    asked: Iterable[NetworkPolicyPort], names: Names, protocol: PortProtocol, number: int
) -> object:
    """What tells ports apart: the rules' ports that cover it, and its number if it has a name."""
    covering = tuple(port for port in asked if port.protocol == protocol and number in port.numbers)
    is_named = any(used == protocol and number in numbers for (_, used), numbers in names.items())
    return covering, (protocol, number) if is_named else None
