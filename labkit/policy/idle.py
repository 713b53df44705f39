"""Rules that could go without anybody noticing: others already allow all that they allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import or_
from typing import get_args

from labkit.api.core import Pod
from labkit.api.networking import NetworkPolicy, NetworkPolicyPort
from labkit.api.state import State
from labkit.policy.cluster_rules import Direction
from labkit.policy.ends import End, address_end, pod_end
from labkit.policy.index import Bits, bits
from labkit.policy.matcher import Flow, peer_matches, policy_types, port_matches
from labkit.policy.outside import blocks_of
from labkit.policy.parts import PolicyRule, rules_of, selects
from labkit.policy.reading import Reading
from labkit.policy.spans import Span, spans

Given = dict[tuple[int, int], Bits]
"""(pod, group of ports) -> the ends that a rule lets that pod talk to."""


def idle_rules(
    state: State, policies: tuple[NetworkPolicy, ...], reading: Reading
) -> Iterator[PolicyRule]:
    """The rules that all could go at once; of two equal ones the later.

    A rule of a policy that selects nobody is not among them, and neither is one whose peers
    or ports describe nobody: those are faults of their own.
    """
    pods = [pod_end(state, p, reading) for p in state.list(Pod) if p.addresses]
    blocks = [address_end(state, block.address, reading) for block in blocks_of(state)]
    groups = spans(policies, [end.pod for end in pods if end.pod], reading)
    asks = [group[0] for group in groups]
    for direction in get_args(Direction):
        rules = [
            rule
            for policy in policies
            if direction in policy_types(policy)
            for rule in rules_of(policy, direction)
        ]
        yield from _idle(rules, [*pods, *blocks], asks, reading)


def _idle(
    rules: list[PolicyRule], ends: list[End], asks: list[Span], reading: Reading
) -> Iterator[PolicyRule]:
    gives = [_given(rule, ends, asks, reading) for rule in rules]
    kept = set(range(len(rules)))
    for number in reversed(range(len(rules))):
        others: Given = {}
        for place in gives[number]:
            given = (gives[n].get(place, 0) for n in kept if n != number)
            others[place] = reduce(or_, given, 0)
        if gives[number] and all(not gives[number][at] & ~others[at] for at in others):
            kept.discard(number)
            yield rules[number]


def _given(rule: PolicyRule, ends: list[End], asks: list[Span], reading: Reading) -> Given:
    """What one rule allows on its own."""
    chosen = _where(ends, lambda end: end.pod is not None and selects(rule.policy, end.pod))
    first = next(bits(chosen), None)
    if first is None:
        return {}
    met = _where(ends, lambda end: meets(rule, ends[first], end, reading))
    found: Given = {}
    for group, span in enumerate(asks):
        covered = _covered(rule.ports, span, ends, reading)
        mine, others = (chosen, met & covered)
        if rule.direction == "Ingress":
            mine, others = (chosen & covered, met)
        if others:
            found |= {(pod, group): others for pod in bits(mine)}
    return found


def _covered(
    ports: tuple[NetworkPolicyPort, ...], span: Span, ends: list[End], reading: Reading
) -> Bits:
    """The receivers for which a rule's ports cover a span: only names tell them apart."""
    if not any(isinstance(port.port, str) for port in ports):
        covers = not ports or any(_covers(port, span, ends[0], reading) for port in ports)
        return (1 << len(ends)) - 1 if covers else 0
    return _where(ends, lambda end: any(_covers(port, span, end, reading) for port in ports))


def _covers(port: NetworkPolicyPort, span: Span, end: End, reading: Reading) -> bool:
    return port_matches(port, Flow(end, end, span.protocol, span.first), reading)


def meets(rule: PolicyRule, end: End, other: End, reading: Reading) -> bool:
    """Whether `other` is among the peers of a rule that guards `end`; no peers are everybody."""
    pair = (other, end) if rule.direction == "Ingress" else (end, other)
    flow = Flow(*pair, "TCP", 1)
    return not rule.peers or any(
        peer_matches(rule.policy, peer, other, flow, reading) for peer in rule.peers
    )


def _where(ends: list[End], holds: Callable[[End], bool]) -> Bits:
    return reduce(or_, (1 << n for n, end in enumerate(ends) if holds(end)), 0)
