"""What NetworkPolicies mean: may this end open a connection to that one?

Nothing here asks whether anybody listens or a route leads there, and nothing reads a rule of
the data plane: the compiled rules are another road to the same answer.

Source: API reference `NetworkPolicySpec` (networking.k8s.io/v1); the concept page Network
Policies; KEP-2079 (endPort). Points that the API leaves open: `labkit.policy.reading`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

import msgspec

from labkit.api.core import Pod, PortProtocol
from labkit.api.meta import Address
from labkit.api.networking import (
    IPBlock,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyPort,
)
from labkit.api.state import State
from labkit.policy.ends import End
from labkit.policy.reading import Reading

Direction = Literal["Ingress", "Egress"]
DEFAULT = Reading()


class Flow(msgspec.Struct, frozen=True):
    """A connection to judge: to `port` of the destination; 0 where a protocol has no port."""

    source: End
    destination: End
    protocol: PortProtocol
    port: int

    def addresses(self) -> tuple[Address, Address] | None:
        """The pair of addresses used: the first family that both ends have; None if none."""
        for one in self.source.addresses:
            for other in self.destination.addresses:
                if one.version == other.version:
                    return one, other
        return None


class RuleResult(msgspec.Struct, frozen=True):
    """How one rule of one policy saw a flow; `at` is its field path, such as `.spec.ingress[0]`."""

    policy: NetworkPolicy
    at: str
    peer_matches: bool
    port_matches: bool

    @property
    def matches(self) -> bool:
        return self.peer_matches and self.port_matches


class Side(msgspec.Struct, frozen=True):
    """One direction of a verdict: the policies that isolate the end, and their rules' results.

    `why` names what decided without any rule: an end that no policy can select, its own node,
    itself, or that no policy isolates it. Empty where the rules decided.
    """

    direction: Direction
    end: End
    allowed: bool
    why: str
    policies: tuple[NetworkPolicy, ...] = ()
    rules: tuple[RuleResult, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """Whether policies let a flow pass, and why: both ends must agree."""

    flow: Flow
    leaving: Side
    entering: Side

    @property
    def allowed(self) -> bool:
        return self.leaving.allowed and self.entering.allowed

    def __bool__(self) -> bool:
        return self.allowed


def judge(state: State, flow: Flow, reading: Reading = DEFAULT) -> Verdict:
    """The verdict of all policies of a state on one flow."""
    return Verdict(
        flow,
        _side(state, flow, "Egress", reading),
        _side(state, flow, "Ingress", reading),
    )


def policy_types(policy: NetworkPolicy) -> tuple[Direction, ...]:
    """The directions that a policy isolates; unset: Ingress, and Egress if it has egress rules."""
    if policy.spec.policy_types:
        return policy.spec.policy_types
    return ("Ingress", "Egress") if policy.spec.egress else ("Ingress",)


def isolating(state: State, pod: Pod, direction: Direction) -> tuple[NetworkPolicy, ...]:
    """The policies that select a pod and have the direction among their types."""
    return tuple(
        policy
        for policy in state.list(NetworkPolicy, pod.namespace)
        if direction in policy_types(policy) and policy.spec.pod_selector.matches(pod.labels)
    )


def _side(state: State, flow: Flow, direction: Direction, reading: Reading) -> Side:
    end, other = flow.source, flow.destination
    if direction == "Ingress":
        end, other = other, end
    if end.pod is None:
        return Side(direction, end, True, "no policy selects it")
    if reading.itself and other.pod is end.pod:
        return Side(direction, end, True, "a pod always reaches itself")
    if reading.hostnet and other.pod is None and other.node and other.node == end.node:
        return Side(direction, end, True, "its own node always reaches it")
    policies = isolating(state, end.pod, direction)
    if not policies:
        return Side(direction, end, True, f"no policy isolates it for {direction.lower()}")
    results = tuple(r for p in policies for r in _results(p, flow, direction, reading))
    return Side(direction, end, any(r.matches for r in results), "", policies, results)


def _results(
    policy: NetworkPolicy, flow: Flow, direction: Direction, reading: Reading
) -> Iterator[RuleResult]:
    if direction == "Ingress":
        rules = [(rule.from_, rule.ports) for rule in policy.spec.ingress or ()]
    else:
        rules = [(rule.to, rule.ports) for rule in policy.spec.egress or ()]
    other = flow.source if direction == "Ingress" else flow.destination
    for number, (peers, ports) in enumerate(rules):
        yield RuleResult(
            policy,
            f".spec.{direction.lower()}[{number}]",
            # An empty or missing list inside a rule is no condition at all.
            not peers or any(peer_matches(policy, p, other, flow, reading) for p in peers),
            not ports or any(port_matches(p, flow, reading) for p in ports),
        )


def peer_matches(
    policy: NetworkPolicy, peer: NetworkPolicyPeer, other: End, flow: Flow, reading: Reading
) -> bool:
    """Whether `other` is one whom a peer describes: all of its parts must hold."""
    if peer.ip_block is not None:
        return _block_matches(peer.ip_block, other, flow, reading)
    if other.pod is None:
        return False
    if peer.namespace_selector is not None:
        if not peer.namespace_selector.matches(other.namespace_labels):
            return False
    elif other.pod.namespace != policy.namespace:
        return False  # a podSelector that stands alone looks into the policy's own namespace
    return peer.pod_selector is None or peer.pod_selector.matches(other.pod.labels)


def _block_matches(block: IPBlock, other: End, flow: Flow, reading: Reading) -> bool:
    pair = flow.addresses()
    if pair is None or (other.pod is not None and not reading.ipblock_pods):
        return False
    return block_contains(block, pair[0] if other is flow.source else pair[1], reading)


def block_contains(block: IPBlock, address: Address, reading: Reading = DEFAULT) -> bool:
    """Whether an address is in a block and in none of its holes."""
    return _within(address, block.cidr, reading) and not any(
        _within(address, hole, reading) for hole in block.except_
    )


def _within(address: Address, cidr: str, reading: Reading) -> bool:
    network = _network(cidr, not reading.hostbits)
    return network is not None and address.version == network.version and address in network


@cache
def _network(cidr: str, strict: bool) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(cidr, strict=strict)
    except ValueError:
        return None


def port_matches(port: NetworkPolicyPort, flow: Flow, reading: Reading) -> bool:
    """Whether a rule's port covers the flow's; a name is looked up in the destination pod."""
    if port.protocol != flow.protocol:
        return False
    if port.port is None:
        return True
    if isinstance(port.port, str):
        return flow.port in named_ports(flow.destination.pod, port.port, port.protocol, reading)
    return port.port <= flow.port <= (port.end_port or port.port)


def named_ports(
    pod: Pod | None, name: str, protocol: PortProtocol, reading: Reading
) -> tuple[int, ...]:
    """The numbers that a pod gives to a port name; empty where there is no pod or no such name."""
    if pod is None:
        return ()
    sidecars = [c for c in pod.spec.init_containers if c.restart_policy == "Always"]
    containers = [*(sidecars if reading.sidecar else ()), *pod.spec.containers]
    return tuple(
        port.container_port
        for container in containers
        for port in container.ports
        if port.name == name and port.protocol == protocol
    )
