"""What the rules of ClusterNetworkPolicies name: networks, ports, and ports by their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from labkit.api.cluster_policy import ClusterNetworkPolicy, ClusterRule
from labkit.api.core import Pod, PortProtocol
from labkit.api.networking import NetworkPolicyPort
from labkit.api.state import State
from labkit.policy.cluster_rules import as_port, contains


def in_network(pod: Pod, text: str) -> bool:
    """By the first address, which is the one that connections are judged by."""
    return any(contains(text, address) for address in pod.addresses[:1])


def networks(state: State) -> tuple[str, ...]:
    """Every network that a rule of any tier names."""
    return tuple(dict.fromkeys(n for rule in _all(state) for p in rule.peers for n in p.networks))


def port_names(state: State) -> set[str]:
    """Every port name that a rule of any tier names."""
    named = (p.destination_named_port for rule in _all(state) for p in rule.protocols)
    return {name for name in named if name}


def ports_asked(state: State) -> tuple[NetworkPolicyPort, ...]:
    """Every port that a rule of any tier names, a name with each protocol."""
    protocols: tuple[PortProtocol, ...] = get_args(PortProtocol)
    return tuple(
        dict.fromkeys(
            as_port(asked, protocol)
            for rule in _all(state)
            for asked in rule.protocols
            for protocol in protocols
        )
    )


def _all(state: State) -> Iterator[ClusterRule]:
    for policy in state.list(ClusterNetworkPolicy):
        yield from (*policy.spec.ingress, *policy.spec.egress)
