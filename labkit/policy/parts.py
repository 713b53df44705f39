"""A policy taken apart: whom it selects, and its rules of both directions in one form."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.core import Pod
from labkit.api.networking import NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from labkit.policy.cluster_rules import Direction


class PolicyRule(msgspec.Struct, frozen=True):
    """One rule; `at` is its field path and `peers_at` that of its peers."""

    policy: NetworkPolicy
    direction: Direction
    number: int
    peers: tuple[NetworkPolicyPeer, ...]
    ports: tuple[NetworkPolicyPort, ...]

    @property
    def at(self) -> str:
        return f".spec.{self.direction.lower()}[{self.number}]"

    @property
    def peers_at(self) -> str:
        return f"{self.at}.{'from' if self.direction == 'Ingress' else 'to'}"


def selects(policy: NetworkPolicy, pod: Pod) -> bool:
    """Whether a policy is about a pod."""
    return pod.namespace == policy.namespace and policy.spec.pod_selector.matches(pod.labels)


def rules_of(policy: NetworkPolicy, direction: Direction) -> Iterator[PolicyRule]:
    """One direction's rules, in the manifest's order."""
    if direction == "Ingress":
        for number, rule in enumerate(policy.spec.ingress or ()):
            yield PolicyRule(policy, direction, number, rule.from_, rule.ports)
    else:
        for number, out in enumerate(policy.spec.egress or ()):
            yield PolicyRule(policy, direction, number, out.to, out.ports)


def all_rules(policy: NetworkPolicy) -> Iterator[PolicyRule]:
    """Ingress rules first."""
    yield from rules_of(policy, "Ingress")
    yield from rules_of(policy, "Egress")
