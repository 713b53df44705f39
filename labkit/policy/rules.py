"""The rules of one policy in the words of iptables.

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

from collections.abc import Iterator
from ipaddress import ip_network

from msgspec.structs import replace

from labkit.api.cluster_policy import ClusterNetworkPolicy
from labkit.api.networking import IPBlock, NetworkPolicy, NetworkPolicyPeer
from labkit.api.state import State
from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, Mark, Rule, SetMark, Verdict
from labkit.policy import tier_rules
from labkit.policy.matcher import Direction
from labkit.policy.parts import rules_of
from labkit.policy.sets import Family, Matches, Sets
from labkit.policy.tier_rules import ACCEPTED, SCRATCH

RETURN = Verdict("RETURN")
IN_BLOCK = Mark(SCRATCH, SCRATCH)
Policy = NetworkPolicy | ClusterNetworkPolicy


class Writer(Sets):
    """Writes policies for one family, and collects the sets that their rules name."""

    def __init__(self, state: State, family: Family) -> None:
        super().__init__(state, family)
        self._rules: dict[tuple[str, str, Direction], tuple[Rule, ...]] = {}

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
