"""The tiers of ClusterNetworkPolicies on classes of equal pods, around what NetworkPolicies say."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_

from labkit.api.cluster_policy import ClusterNetworkPolicy, ClusterPeer, ClusterRule
from labkit.api.core import Node
from labkit.policy.cluster_rules import (
    Direction,
    Tier,
    as_port,
    chosen,
    in_tier,
    rules_of,
    understood,
)
from labkit.policy.index import Bits, bits
from labkit.policy.sides import Admitted, Sides
from labkit.policy.tiers_named import in_network

TIERS: tuple[Tier, Tier] = ("Admin", "Baseline")
Said = dict[int, tuple[Bits, Bits]]


def with_tiers(sides: Sides, direction: Direction) -> Admitted:
    """What all policies admit in one direction, and whom they guard, tiers included."""
    admitted, isolated = sides.side(direction)
    admin, baseline = (_tier(sides, tier, direction) for tier in TIERS)
    if not admin and not baseline:
        return admitted, isolated
    whole = dict(admitted)
    for number in admin.keys() | baseline.keys():
        if isolated >> number & 1:
            below = admitted.get(number, 0)
        else:
            below = sides.everyone & ~baseline.get(number, (0, 0))[1]
        accepted, denied = admin.get(number, (0, 0))
        whole[number] = accepted | below & ~denied
    guarded = reduce(or_, (1 << n for n in admin.keys() | baseline.keys()), isolated)
    return whole, guarded


def _tier(sides: Sides, tier: Tier, direction: Direction) -> Said:
    """For each class that a tier's policies are about: the peers accepted, and those denied."""
    said: Said = {}
    left: dict[int, Bits] = {}
    for policy in in_tier(sides.state, tier):
        subjects = _subjects(sides, policy)
        for rule in rules_of(policy, direction):
            for number, others in _asked(sides, rule, direction, subjects):
                hit = left.get(number, sides.everyone) & others
                left[number] = left.get(number, sides.everyone) & ~others
                accepted, denied = said.get(number, (0, 0))
                if rule.action == "Accept":
                    accepted |= hit
                elif rule.action == "Deny" or not understood(rule, sides.reading):
                    denied |= hit
                said[number] = accepted, denied
    return said


def _asked(
    sides: Sides, rule: ClusterRule, direction: Direction, subjects: Bits
) -> Iterator[tuple[int, Bits]]:
    """The classes that a rule is about, each with the others that it matches."""
    if not understood(rule, sides.reading):
        others = 0 if rule.action == "Accept" else sides.everyone
    else:
        others = reduce(or_, (_peer(sides, peer) for peer in rule.peers), 0)
        listening = sides.covering(tuple(as_port(p, sides.protocol) for p in rule.protocols))
        if direction == "Ingress":
            subjects &= listening
        else:
            others &= listening
    for number in bits(subjects):
        yield number, others


def _subjects(sides: Sides, policy: ClusterNetworkPolicy) -> Bits:
    subject = policy.spec.subject
    return _pods(sides, ClusterPeer(namespaces=subject.namespaces, pods=subject.pods))


def _pods(sides: Sides, peer: ClusterPeer) -> Bits:
    selectors = chosen(peer.namespaces, peer.pods)
    if selectors is None:
        return 0
    spaces, pods = selectors
    return sides.index.in_namespaces(spaces) & sides.index.select(pods) & ~sides.on_nodes


def _peer(sides: Sides, peer: ClusterPeer) -> Bits:
    if peer.networks:
        return reduce(or_, (_network(sides, text) for text in peer.networks), 0)
    if peer.nodes is None:
        return _pods(sides, peer)
    named = {n.name for n in sides.state.list(Node) if peer.nodes.matches(n.labels)}
    return sides.holding(lambda pod: pod.spec.host_network and pod.spec.node_name in named)


def _network(sides: Sides, text: str) -> Bits:
    if text not in sides.of_network:
        sides.of_network[text] = sides.holding(lambda pod: in_network(pod, text))
    return sides.of_network[text]
