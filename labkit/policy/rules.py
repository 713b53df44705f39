"""The rules of one policy in the words of iptables, and the sets that they name.

A peer that selects pods becomes a set of their addresses, an ipBlock a network; a port's name
becomes a set of addresses with the number that each pod gives to the name.

As Felix of Calico 3.32 does it, the first rule of a chain says whose it is, and a RETURN at the
end, which changes nothing, is left out.

*The lab simplifies*: where a rule denies, Felix marks the packet and drops it by the mark; here
one rule does both. Where a rule lists more ports or networks than one match takes, Felix collects
them by scratch marks; here they are rules of their own. A policy without rules is an empty chain
here, in Felix a row with its comment alone.

Source: Calico 3.32 `libcalico-go/lib/backend/k8s/conversion`, `felix/rules/policy.go`
(ProtoRulesToIptablesRules), `felix/types/policy_id.go`.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from ipaddress import ip_network
from typing import Literal

from msgspec.structs import replace

from labkit.api.cluster_policy import ClusterNetworkPolicy
from labkit.api.core import Namespace, Pod, PortProtocol
from labkit.api.meta import Address
from labkit.api.names import FINISHED
from labkit.api.networking import IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from labkit.api.state import State
from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, Mark, Match, Rule, SetMark, Verdict
from labkit.policy import tier_rules
from labkit.policy.explain import wants
from labkit.policy.matcher import DEFAULT, Direction, named_ports
from labkit.policy.parts import rules_of

Family = Literal["ip", "ip6"]
ACCEPTED, SCRATCH = 0x10000, 0x80000
RETURN = Verdict("RETURN")
IN_BLOCK = Mark(SCRATCH, SCRATCH)
MOST_PORTS = 15  # numbers in one multiport match; a range takes two
LONGEST_SET = 31  # characters of an ipset's name
VERSION = {"ip": 4, "ip6": 6}
Matches = tuple[Match, ...]
Policy = NetworkPolicy | ClusterNetworkPolicy


class Writer:
    """Writes policies for one family, and collects the sets that their rules name."""

    def __init__(self, state: State, family: Family) -> None:
        self.state, self.family = state, family
        self._sets: dict[str, nf.Ipset] = {}
        self._rules: dict[tuple[str, str, Direction], tuple[Rule, ...]] = {}

    def sets(self) -> Mapping[str, nf.Ipset]:
        """Every set that the rules written so far name."""
        return self._sets

    @property
    def version(self) -> int:
        return VERSION[self.family]

    def rules(self, policy: Policy, direction: Direction) -> tuple[Rule, ...]:
        """One direction's rules: a packet that one of them accepts gets the mark and returns."""
        key = (policy.namespace, policy.name, direction)
        if key not in self._rules:
            if isinstance(policy, ClusterNetworkPolicy):
                found = tier_rules.written(self, policy, direction)
            else:
                found = self._written(policy, direction)
            note = f"Kubernetes{type(policy).__name__} {titled(policy)} {direction.lower()}"
            self._rules[key] = _signed(tuple(found), Comment(note))
        return self._rules[key]

    def _written(self, policy: NetworkPolicy, direction: Direction) -> Iterator[Rule]:
        way = "in" if direction == "Ingress" else "out"
        for rule in rules_of(policy, direction):
            says = f"Policy {policy.namespace}/{policy.name}, rule {rule.number + 1} lets it {way}."
            for peer in rule.peers or (None,):
                for before, matches in self._peer(policy, peer, direction):
                    yield from before
                    for listed in self.ports(rule.ports):
                        yield Rule((*matches, *listed), SetMark(ACCEPTED, ACCEPTED), says)
                        yield Rule((Mark(ACCEPTED, ACCEPTED),), RETURN)

    # --- peers

    def _peer(
        self, policy: NetworkPolicy, peer: NetworkPolicyPeer | None, direction: Direction
    ) -> Iterator[tuple[tuple[Rule, ...], Matches]]:
        """Rules to stand in front, and what the deciding rule asks; nothing for another family."""
        if peer is None:
            yield (), ()
        elif peer.ip_block is not None:
            yield from self._block(peer.ip_block, direction)
        else:
            end = "src" if direction == "Ingress" else "dst"
            yield (), (nf.InSet(self.pod_set(policy.namespace, peer), (end,)),)

    def _block(
        self, block: IPBlock, direction: Direction
    ) -> Iterator[tuple[tuple[Rule, ...], Matches]]:
        """A network; with holes by way of a scratch mark, as one rule takes one network only."""
        end = nf.Source if direction == "Ingress" else nf.Destination
        network = ip_network(block.cidr, strict=False)
        if network.version != self.version:
            return
        whole: Matches = (end(network),) if network.prefixlen else ()
        if not block.except_:
            yield (), whole
            return
        holes = (ip_network(hole, strict=False) for hole in block.except_)
        front = (
            Rule((), SetMark(0, SCRATCH)),
            Rule(whole, SetMark(SCRATCH, SCRATCH)),
            *(Rule((end(hole),), SetMark(0, SCRATCH)) for hole in holes),
        )
        yield front, (IN_BLOCK,)

    def pod_set(self, namespace: str, peer: NetworkPolicyPeer) -> str:
        """The set of the addresses of all pods that a peer describes.

        Args:
            namespace: where a podSelector looks that stands alone.
        """
        parts = []
        if peer.namespace_selector is None:
            parts.append(f"namespace == {namespace}")
        else:
            parts.append(f"namespaces with {wants(peer.namespace_selector)}")
        if peer.pod_selector is not None:
            parts.append(wants(peer.pod_selector))
        name = self._name("s", " && ".join(parts))
        if name not in self._sets:
            chosen = (p for p in self._pods() if self._described(namespace, peer, p))
            found = sorted({a for pod in chosen for a in self._addresses(pod)})
            self._sets[name] = nf.Ipset(name, "hash:net", tuple(map(str, found)))
        return name

    def _described(self, namespace: str, peer: NetworkPolicyPeer, pod: Pod) -> bool:
        if peer.namespace_selector is None:
            if pod.namespace != namespace:
                return False
        else:
            space = self.state.get(Namespace, pod.namespace)
            if not peer.namespace_selector.matches(space.labels if space else {}):
                return False
        return peer.pod_selector is None or peer.pod_selector.matches(pod.labels)

    # --- ports

    def ports(self, ports: tuple[NetworkPolicyPort, ...]) -> Iterator[Matches]:
        """What the ports ask, one rule each: any of them is enough."""
        if not ports:
            yield ()
        for protocol in dict.fromkeys(port.protocol for port in ports):
            mine = [port for port in ports if port.protocol == protocol]
            proto = nf.Proto(protocol.lower())
            if any(port.port is None for port in mine):
                yield (proto,)
                continue
            ranges = [(p.port, p.end_port or p.port) for p in mine if isinstance(p.port, int)]
            yield from ((proto, nf.Ports(some)) for some in _portions(ranges))
            for name in dict.fromkeys(p.port for p in mine if isinstance(p.port, str)):
                named = self.port_set(name, protocol)
                yield proto, nf.InSet(named, ("dst", "dst"))

    def port_set(self, port: str, *protocols: PortProtocol) -> str:
        """Each pod's address with the numbers that it gives to a port's name."""
        name = self._name("n", ",".join((*protocols, port)))
        if name not in self._sets:
            found = sorted(
                (address, protocol.lower(), number)
                for protocol in protocols
                for pod in self._pods()
                for number in named_ports(pod, port, protocol, DEFAULT)
                for address in self._addresses(pod)
            )
            members = tuple(dict.fromkeys(f"{a},{p}:{n}" for a, p, n in found))
            self._sets[name] = nf.Ipset(name, "hash:ip,port", members)
        return name

    # --- pods

    def _name(self, kind: str, text: str) -> str:
        """`cali40s:...`: Calico hashes what a set is made from."""
        digits = urlsafe_b64encode(sha256(f"{kind}:{text}".encode()).digest()).decode()
        return f"cali{self.version}0{kind}:{digits}"[:LONGEST_SET]

    def _pods(self) -> Iterator[Pod]:
        """Pods that a selector may mean: those on their node's network are the node."""
        for pod in self.state.list(Pod):
            if not pod.spec.host_network and pod.status.phase not in FINISHED:
                yield pod

    def _addresses(self, pod: Pod) -> Iterator[Address]:
        return (a for a in pod.addresses if a.version == self.version)


def titled(policy: Policy) -> str:
    """`pay/lock`, or `watch` where the kind knows no namespaces."""
    return f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name


def _signed(rules: tuple[Rule, ...], note: Comment) -> tuple[Rule, ...]:
    """The rules of a chain with its note on the first, without a RETURN at the end."""
    while rules and rules[-1].target == RETURN:
        rules = rules[:-1]
    if not rules:
        return ()
    first = rules[0]
    own = tuple(m for m in first.matches if isinstance(m, Comment))
    rest = tuple(m for m in first.matches if not isinstance(m, Comment))
    return (replace(first, matches=(*own, note, *rest)), *rules[1:])


def _portions(ranges: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Ports and ranges, as many at a time as one match takes."""
    some: list[tuple[int, int]] = []
    room = MOST_PORTS
    for first, last in ranges:
        cost = 1 if first == last else 2
        if cost > room:
            yield tuple(some)
            some, room = [], MOST_PORTS
        some.append((first, last))
        room -= cost
    if some:
        yield tuple(some)
