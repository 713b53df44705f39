"""Both directions of all NetworkPolicies, on classes of equal pods: what `reachability` adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from operator import or_

from labkit.api.core import Pod, PortProtocol
from labkit.api.networking import (
    IPBlock,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyPort,
)
from labkit.api.state import State
from labkit.policy import tiers_named
from labkit.policy.cluster_rules import Direction
from labkit.policy.index import Bits, Index, bits
from labkit.policy.matcher import block_contains, named_ports, policy_types
from labkit.policy.parts import PolicyRule, all_rules, rules_of
from labkit.policy.reading import Reading

Admitted = tuple[dict[int, Bits], Bits]
"""The peers that each guarded class admits, and which classes are guarded."""


class Sides:
    """One run over all policies: what each class may send to, and receive from.

    With `hostnet` the pods on their node's network are ends that no selector matches; they
    are kept out of every selection by the bits in `plain`.
    """

    def __init__(
        self, state: State, pods: list[Pod], port: int, protocol: PortProtocol, reading: Reading
    ) -> None:
        self.state, self.port, self.protocol, self.reading = state, port, protocol, reading
        self.policies = state.list(NetworkPolicy)
        self._blocks: dict[IPBlock, Bits] = {}
        self._of_port: dict[NetworkPolicyPort, Bits] = {}
        rules = tuple(rule for policy in self.policies for rule in all_rules(policy))
        self.blocks = tuple(dict.fromkeys(_blocks(rules)))
        self.of_network: dict[str, Bits] = {}
        self.networks = tiers_named.networks(state)
        self.port_names = sorted(_port_names(rules) | tiers_named.port_names(state))
        self.some_on_host = any(pod.spec.host_network for pod in pods)
        self.index = Index(state, pods, self._distinction)
        self.everyone: Bits = (1 << len(self.index.classes)) - 1
        self.plain = self.holding(lambda pod: self._is_pod(pod))
        self.on_nodes = self.holding(lambda pod: pod.spec.host_network)

    def rows(self, leaving: Admitted, entering: Admitted) -> tuple[Bits, ...]:
        """For each class the classes that it may open connections to: both ends must agree."""
        sends, bound = leaving
        receives, guarded = entering
        count = len(self.index.classes)
        admitted = [self.everyone & ~guarded] * count
        for senders, receivers in _grouped(receives).items():
            for sender in bits(senders):
                admitted[sender] |= receivers
        return tuple(
            admitted[n] & (sends.get(n, 0) if bound >> n & 1 else self.everyone) | self._own_node(n)
            for n in range(count)
        )

    def _own_node(self, number: int) -> Bits:
        """The classes that are the node of this one, or whose node this one is."""
        if not self.some_on_host:
            return 0
        mine = self.index.classes[number].pods[0]
        here = self.holding(lambda pod: pod.spec.node_name == mine.spec.node_name)
        return here & ~self.plain if self.plain >> number & 1 else here

    def side(self, direction: Direction) -> Admitted:
        """What the NetworkPolicies admit in one direction, and whom they isolate."""
        admitted: dict[int, Bits] = {}
        isolated: Bits = 0
        for policy in self.policies:
            if direction not in policy_types(policy):
                continue
            mine = self.index.in_namespace(policy.namespace) & self.plain
            chosen = mine & self.index.select(policy.spec.pod_selector)
            isolated |= chosen
            for rule in rules_of(policy, direction):
                others = self._peers(policy, rule.peers)
                self._admit(direction, chosen, others, rule.ports, admitted)
        return admitted, isolated

    def _admit(
        self,
        direction: Direction,
        chosen: Bits,
        others: Bits,
        ports: tuple[NetworkPolicyPort, ...],
        admitted: dict[int, Bits],
    ) -> None:
        """Add one rule: a port's name is looked up in the receiver, so it narrows that end."""
        listening = self.covering(ports)
        if direction == "Ingress":
            chosen &= listening
        else:
            others &= listening
        if others:
            for number in bits(chosen):
                admitted[number] = admitted.get(number, 0) | others

    def _peers(self, policy: NetworkPolicy, peers: tuple[NetworkPolicyPeer, ...]) -> Bits:
        """The classes that a rule's list of peers describes; an empty list asks for nothing."""
        if not peers:
            return self.everyone
        return reduce(or_, (self._peer(policy, peer) for peer in peers), 0)

    def _peer(self, policy: NetworkPolicy, peer: NetworkPolicyPeer) -> Bits:
        if peer.ip_block is not None:
            return self._block(peer.ip_block)
        where = (
            self.index.in_namespace(policy.namespace)
            if peer.namespace_selector is None
            else self.index.in_namespaces(peer.namespace_selector)
        )
        which = self.everyone if peer.pod_selector is None else self.index.select(peer.pod_selector)
        return where & which & self.plain

    def _block(self, block: IPBlock) -> Bits:
        if block not in self._blocks:
            self._blocks[block] = self.holding(lambda pod: self._in_block(pod, block))
        return self._blocks[block]

    def covering(self, ports: tuple[NetworkPolicyPort, ...]) -> Bits:
        """The classes of receivers for which a rule's ports cover the asked one."""
        if not ports:
            return self.everyone
        return reduce(or_, (self._covered(port) for port in ports), 0)

    def _covered(self, port: NetworkPolicyPort) -> Bits:
        if port not in self._of_port:
            self._of_port[port] = self._listening(port)
        return self._of_port[port]

    def _listening(self, port: NetworkPolicyPort) -> Bits:
        if port.protocol != self.protocol:
            return 0
        if not isinstance(port.port, str):
            return self.everyone if self.port in port.numbers else 0
        name = port.port
        return self.holding(lambda pod: self._is_pod(pod) and self.port in self._numbers(pod, name))

    def _numbers(self, pod: Pod, name: str) -> tuple[int, ...]:
        return named_ports(pod, name, self.protocol, self.reading)

    def _is_pod(self, pod: Pod) -> bool:
        return not (pod.spec.host_network and self.reading.hostnet)

    def _in_block(self, pod: Pod, block: IPBlock) -> bool:
        if self._is_pod(pod) and not self.reading.ipblock_pods:
            return False
        return any(block_contains(block, a, self.reading) for a in pod.addresses[:1])

    def holding(self, holds: Callable[[Pod], bool]) -> Bits:
        """The classes whose first pod, and so whose every pod, has a property."""
        found: Bits = 0
        for number, group in enumerate(self.index.classes):
            if holds(group.pods[0]):
                found |= 1 << number
        return found

    def _distinction(self, pod: Pod) -> object:
        """What tells pods with equal labels apart: their blocks and the numbers of port names."""
        return (
            pod.spec.node_name if self.some_on_host else "",
            pod.spec.host_network,
            tuple(self._in_block(pod, block) for block in self.blocks),
            tuple(tiers_named.in_network(pod, network) for network in self.networks),
            tuple(self.port in self._numbers(pod, name) for name in self.port_names),
        )


def _grouped(admitted: Mapping[int, Bits]) -> dict[Bits, Bits]:
    """Equal sets of peers -> the classes that admit them: each set is spread only once."""
    found: dict[Bits, Bits] = {}
    for number, peers in admitted.items():
        found[peers] = found.get(peers, 0) | 1 << number
    return found


def _blocks(rules: Iterable[PolicyRule]) -> Iterator[IPBlock]:
    for rule in rules:
        yield from (peer.ip_block for peer in rule.peers if peer.ip_block is not None)


def _port_names(rules: Iterable[PolicyRule]) -> set[str]:
    return {p.port for rule in rules for p in rule.ports if isinstance(p.port, str)}
