"""What the rules of ClusterNetworkPolicies ask: whom they are about, of whom and of which port.

*The lab simplifies*: a pod's own node is open to it before any tier is asked, as NetworkPolicies
have it; of two policies of one tier and priority, to which the API gives no order, the one whose
name sorts first is asked first. A pod reaches itself at its own address; what comes back to it by
way of a Service meets the rules, as upstream's conformance test of hairpins wants it.

Source: `apis/v1alpha2/clusternetworkpolicy_types.go` and `conformance/tests` in
kubernetes-sigs/network-policy-api; what Calico understands:
`libcalico-go/lib/backend/k8s/conversion/clusternetworkpolicy.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

from labkit.api.cluster_policy import (
    ClusterNetworkPolicy,
    ClusterPeer,
    ClusterProtocol,
    ClusterRule,
    NamespacedPod,
)
from labkit.api.core import Node, Pod, PortProtocol
from labkit.api.meta import Address, LabelSelector
from labkit.api.networking import NetworkPolicyPort
from labkit.api.state import State
from labkit.policy.ends import End
from labkit.policy.reading import Reading

Tier = Literal["Admin", "Baseline"]
Direction = Literal["Ingress", "Egress"]


def in_tier(state: State, tier: Tier) -> tuple[ClusterNetworkPolicy, ...]:
    """The policies of a tier in the order in which they are asked: low priority numbers first."""
    return state.cached(_by_tier)[tier]


def _by_tier(state: State) -> Mapping[Tier, tuple[ClusterNetworkPolicy, ...]]:
    found = sorted(state.list(ClusterNetworkPolicy), key=lambda p: (p.spec.priority, p.name))
    tiers: tuple[Tier, Tier] = ("Admin", "Baseline")
    return {tier: tuple(p for p in found if p.spec.tier == tier) for tier in tiers}


def rules_of(policy: ClusterNetworkPolicy, direction: Direction) -> tuple[ClusterRule, ...]:
    """In the order in which they are asked; a policy without any does not touch the direction."""
    return policy.spec.ingress if direction == "Ingress" else policy.spec.egress


def asked_about(
    state: State, pod: Pod, namespace_labels: Mapping[str, str], tier: Tier, direction: Direction
) -> tuple[ClusterNetworkPolicy, ...]:
    """The policies of a tier that have a pod among their subjects and rules for the direction."""
    return tuple(
        policy
        for policy in in_tier(state, tier)
        if rules_of(policy, direction) and is_about(policy, pod, namespace_labels)
    )


def chosen(
    namespaces: LabelSelector | None, pods: NamespacedPod | None
) -> tuple[LabelSelector, LabelSelector] | None:
    """The selector of namespaces and that of pods; None where neither field is set."""
    if namespaces is not None:
        return namespaces, LabelSelector()
    return (pods.namespace_selector, pods.pod_selector) if pods is not None else None


def is_about(policy: ClusterNetworkPolicy, pod: Pod, namespace_labels: Mapping[str, str]) -> bool:
    """Whether a pod is among a policy's subjects."""
    subject = policy.spec.subject
    return _selects(chosen(subject.namespaces, subject.pods), pod, namespace_labels)


def _selects(
    selectors: tuple[LabelSelector, LabelSelector] | None, pod: Pod, spaces: Mapping[str, str]
) -> bool:
    if selectors is None or pod.spec.host_network:
        return False
    return selectors[0].matches(spaces) and selectors[1].matches(pod.labels)


def understood(rule: ClusterRule, reading: Reading) -> bool:
    """Whether an implementation knows all that a rule names; else the rule fails closed.

    Then Accept matches nothing, and Deny and Pass deny everything. Domain names are not
    modelled under any reading.
    """
    return all(_known(peer, reading) for peer in rule.peers)


def _known(peer: ClusterPeer, reading: Reading) -> bool:
    if peer.nodes is not None:
        return reading.experimental
    return chosen(peer.namespaces, peer.pods) is not None or bool(peer.networks)


def peer_matches(state: State, peer: ClusterPeer, other: End, address: Address | None) -> bool:
    """Whether `other`, who is met at an address, is one whom a peer describes."""
    if peer.networks:
        return address is not None and any(contains(text, address) for text in peer.networks)
    if peer.nodes is not None:
        node = state.get(Node, other.node) if is_node(other.pod) else None
        return node is not None and peer.nodes.matches(node.labels)
    selectors = chosen(peer.namespaces, peer.pods)
    return other.pod is not None and _selects(selectors, other.pod, other.namespace_labels)


def is_node(pod: Pod | None) -> bool:
    """Whether an end is its node's, as far as addresses tell."""
    return pod is None or pod.spec.host_network


def contains(network: str, address: Address) -> bool:
    """Networks cover pods, too: the API's text says so."""
    found = _network(network)
    return found.version == address.version and address in found


@cache
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


def as_port(asked: ClusterProtocol, default: PortProtocol) -> NetworkPolicyPort:
    """The same as a NetworkPolicy would write it; a port's name goes with every protocol."""
    fields: tuple[PortProtocol, ...] = ("TCP", "UDP", "SCTP")
    for protocol in fields:
        found = getattr(asked, protocol.lower())
        if found is not None:
            to = found.destination_port
            if to is None:
                return NetworkPolicyPort(protocol=protocol)
            if to.range is None:
                return NetworkPolicyPort(protocol=protocol, port=to.number)
            return NetworkPolicyPort(protocol=protocol, port=to.range.start, end_port=to.range.end)
    return NetworkPolicyPort(protocol=default, port=asked.destination_named_port)
