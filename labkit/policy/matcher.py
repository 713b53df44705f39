"""What policies mean: may this end open a connection to that one?

Each end is judged for itself, tier by tier: the Admin tier of ClusterNetworkPolicies, whose
Accept and Deny are final; the NetworkPolicies, final for a pod that one of them isolates; the
Baseline tier; and where nobody has spoken, yes.

Nothing here asks whether anybody listens or a route leads there, and nothing reads a rule of
the data plane: the compiled rules are another road to the same answer.

Source: API reference `NetworkPolicySpec` (networking.k8s.io/v1); the concept page Network
Policies; KEP-2079 (endPort). Points that the API leaves open: `labkit.policy.reading`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from labkit.api.cluster_policy import Action, ClusterNetworkPolicy, ClusterRule
from labkit.api.core import Pod, PortProtocol
from labkit.api.meta import Address
from labkit.api.networking import (
    IPBlock,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyPort,
)
from labkit.api.state import State
from labkit.policy import cluster_rules
from labkit.policy.cluster_rules import Direction as Direction  # a word of verdicts, too
from labkit.policy.cluster_rules import Tier
from labkit.policy.ends import End
from labkit.policy.parts import PolicyRule, rules_of, selects
from labkit.policy.reading import DEFAULT as DEFAULT
from labkit.policy.reading import Reading


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
    """How one rule of one policy saw a flow."""

    rule: PolicyRule
    peer_matches: bool
    port_matches: bool

    @property
    def matches(self) -> bool:
        return self.peer_matches and self.port_matches


class ClusterResult(msgspec.Struct, frozen=True):
    """How one rule of a ClusterNetworkPolicy saw a flow; `peer` is the first that matches.

    `number` counts the direction's rules from 0. `action` is what comes of a match. A rule that
    names something which is not understood fails closed: then it differs from the rule's own,
    and `matches` without any peer.
    """

    policy: ClusterNetworkPolicy
    direction: Direction
    number: int
    rule: ClusterRule
    action: Action
    matches: bool
    peer: int | None = None
    understood: bool = True

    @property
    def at(self) -> str:
        """The rule's field path, such as `.spec.ingress[0]`."""
        return f".spec.{self.direction.lower()}[{self.number}]"


class Step(msgspec.Struct, frozen=True):
    """A tier of ClusterNetworkPolicies: those about the end, and their rules as far as asked."""

    tier: Tier
    policies: tuple[ClusterNetworkPolicy, ...] = ()
    rules: tuple[ClusterResult, ...] = ()

    @property
    def decided(self) -> ClusterResult | None:
        """The rule that matched, the last one asked; None where none did."""
        return self.rules[-1] if self.rules and self.rules[-1].matches else None

    @property
    def says(self) -> Action | None:
        """None and Pass leave the verdict to what follows."""
        return self.decided.action if self.decided else None

    @property
    def final(self) -> bool:
        return self.says in ("Accept", "Deny")


class Side(msgspec.Struct, frozen=True):
    """One direction of a verdict: the policies that isolate the end, and their rules' results.

    `why` names what decided without any rule: an end that no policy can select, its own node,
    itself, or that no policy isolates it. Empty where the rules decided. `admin` and `baseline`
    are the tiers around the NetworkPolicies, None where the verdict did not get that far.
    """

    direction: Direction
    end: End
    allowed: bool
    why: str
    policies: tuple[NetworkPolicy, ...] = ()
    rules: tuple[RuleResult, ...] = ()
    admin: Step | None = None
    baseline: Step | None = None

    @property
    def decider(self) -> Step | None:
        """The tier of ClusterNetworkPolicies that decided; None where none of them did."""
        return next((s for s in (self.admin, self.baseline) if s is not None and s.final), None)


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
        if direction in policy_types(policy) and selects(policy, pod)
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
    return _through_tiers(state, flow, direction, end, other, reading)


def _through_tiers(
    state: State, flow: Flow, direction: Direction, end: End, other: End, reading: Reading
) -> Side:
    assert end.pod is not None
    admin = _step(state, flow, "Admin", direction, reading)
    if admin.final:
        return Side(direction, end, admin.says == "Accept", "", admin=admin)
    if policies := isolating(state, end.pod, direction):
        results = tuple(r for p in policies for r in _results(p, flow, direction, reading))
        allowed = any(r.matches for r in results)
        return Side(direction, end, allowed, "", policies, results, admin)
    baseline = _step(state, flow, "Baseline", direction, reading)
    why = "" if baseline.final else f"no policy isolates it for {direction.lower()}"
    allowed = baseline.says != "Deny"
    return Side(direction, end, allowed, why, admin=admin, baseline=baseline)


def _step(state: State, flow: Flow, tier: Tier, direction: Direction, reading: Reading) -> Step:
    """A tier asked about a flow, up to the first rule that matches."""
    end = flow.destination if direction == "Ingress" else flow.source
    assert end.pod is not None
    about = (end.pod, end.namespace_labels, tier, direction)
    policies = cluster_rules.asked_about(state, *about)
    asked = []
    for result in (r for p in policies for r in _said(state, p, flow, direction, reading)):
        asked.append(result)
        if result.matches:
            break
    return Step(tier, policies, tuple(asked))


def _said(
    state: State,
    policy: ClusterNetworkPolicy,
    flow: Flow,
    direction: Direction,
    reading: Reading,
) -> Iterator[ClusterResult]:
    other, place = (flow.source, 0) if direction == "Ingress" else (flow.destination, 1)
    pair = flow.addresses()
    address = pair[place] if pair else None
    for number, rule in enumerate(cluster_rules.rules_of(policy, direction)):
        one = (policy, direction, number, rule)
        if not cluster_rules.understood(rule, reading):
            accepts = rule.action == "Accept"
            action: Action = "Accept" if accepts else "Deny"
            yield ClusterResult(*one, action, not accepts, None, False)
            continue
        ports = (cluster_rules.as_port(p, flow.protocol) for p in rule.protocols)
        hit = (
            n
            for n, p in enumerate(rule.peers)
            if cluster_rules.peer_matches(state, p, other, address)
        )
        peer = next(hit, None)
        port = not rule.protocols or any(port_matches(p, flow, reading) for p in ports)
        yield ClusterResult(*one, rule.action, peer is not None and port, peer)


def _results(
    policy: NetworkPolicy, flow: Flow, direction: Direction, reading: Reading
) -> Iterator[RuleResult]:
    other = flow.source if direction == "Ingress" else flow.destination
    for rule in rules_of(policy, direction):
        yield RuleResult(
            rule,
            # An empty or missing list inside a rule is no condition at all.
            not rule.peers
            or any(peer_matches(policy, p, other, flow, reading) for p in rule.peers),
            not rule.ports or any(port_matches(p, flow, reading) for p in rule.ports),
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
    if isinstance(port.port, str):
        return flow.port in named_ports(flow.destination.pod, port.port, port.protocol, reading)
    return flow.port in port.numbers


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
