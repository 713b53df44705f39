"""A policy taken apart: its rules of both directions in one form."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.networking import NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from labkit.policy.matcher import Direction


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


def rules_of(policy: NetworkPolicy) -> Iterator[PolicyRule]:
    """Ingress rules first, each direction in the manifest's order."""
    for number, rule in enumerate(policy.spec.ingress or ()):
        yield PolicyRule(policy, "Ingress", number, rule.from_, rule.ports)
    for number, out in enumerate(policy.spec.egress or ()):
        yield PolicyRule(policy, "Egress", number, out.to, out.ports)
