"""The rules of one ClusterNetworkPolicy in the words of iptables.

Calico puts the tier Admin into its own tier `kube-admin` and Baseline into `kube-baseline`. A
rule that accepts sets one mark, one that passes another, and the pod's chain goes by them.

Source: Calico 3.32 `libcalico-go/lib/backend/k8s/conversion/clusternetworkpolicy.go` and
`libcalico-go/lib/names`; `felix/rules/policy.go` (CombineMatchAndActionsForProtoRule); ports by
name: pull request 12227, in the release notes of 3.32.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import get_args

from msgspec.structs import replace

from labkit.api.cluster_policy import Action, ClusterNetworkPolicy, ClusterPeer, ClusterRule
from labkit.api.core import PortProtocol
from labkit.api.networking import NetworkPolicyPeer
from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, Mark, Match, Rule, SetMark, Verdict
from labkit.policy.cluster_rules import Direction, Tier, as_port, chosen, rules_of, understood
from labkit.policy.reading import DEFAULT
from labkit.policy.sets import Sets

ACCEPTED, PASSED, SCRATCH = 0x10000, 0x20000, 0x80000
MARKS: Mapping[Action, int] = {"Accept": ACCEPTED, "Pass": PASSED}
TIERS: Mapping[Tier, str] = {"Admin": "kube-admin", "Baseline": "kube-baseline"}
SAYS: Mapping[Action, str] = {
    "Accept": "accepts it",
    "Deny": "denies it",
    "Pass": "passes it to the next tier",
}
PROTOCOLS: tuple[PortProtocol, ...] = get_args(PortProtocol)
DROP = Verdict("DROP")
Asked = tuple[tuple[Rule, ...], tuple[Match, ...]]


def written(sets: Sets, policy: ClusterNetworkPolicy, direction: Direction) -> Iterator[Rule]:
    """One direction's rules in order: the first that matches has the last word of the tier."""
    for number, rule in enumerate(rules_of(policy, direction), start=1):
        what = f"ClusterNetworkPolicy {policy.name}, rule {number}"
        if not understood(rule, DEFAULT):
            if rule.action != "Accept":
                yield Rule((), DROP, f"{what} is not understood and so denies everything.")
            continue
        name = (Comment(f"name={rule.name}"),) if rule.name else ()
        for before, matches in _asked(sets, rule, direction):
            does = _does(matches, rule.action, f"{what} {SAYS[rule.action]}.")
            yield from (replace(r, matches=(*name, *r.matches)) for r in (*before, *does))


def _does(matches: tuple[Match, ...], action: Action, says: str) -> Iterator[Rule]:
    if action == "Deny":
        yield Rule(matches, DROP, says)
        return
    mark = MARKS[action]
    yield Rule(matches, SetMark(mark, mark), says)
    yield Rule((Mark(mark, mark),), Verdict("RETURN"))


def _asked(sets: Sets, rule: ClusterRule, direction: Direction) -> Iterator[Asked]:
    """What stands in front of a rule, and what it asks: of the protocol, then of the peer."""
    for listed in _ports(sets, rule):
        for peer in rule.peers:
            for before, matches in _peer(sets, peer, direction):
                yield before, (*matches, *listed)


def _ports(sets: Sets, rule: ClusterRule) -> Iterator[tuple[Match, ...]]:
    """Names first: a name asks of no protocol, as its set holds each pod's."""
    names = dict.fromkeys(p.destination_named_port for p in rule.protocols)
    for name in filter(None, names):
        yield (nf.InSet(sets.port_set(name, *PROTOCOLS), ("dst", "dst")),)
    numbers = [as_port(p, "TCP") for p in rule.protocols if not p.destination_named_port]
    if numbers or not rule.protocols:
        yield from sets.ports(tuple(sorted(numbers, key=lambda port: port.protocol)))


def _peer(sets: Sets, peer: ClusterPeer, direction: Direction) -> Iterator[Asked]:
    selectors = chosen(peer.namespaces, peer.pods)
    if selectors is None:
        yield from _networks(sets, peer.networks)
        return
    described = NetworkPolicyPeer(namespace_selector=selectors[0], pod_selector=selectors[1])
    end = "src" if direction == "Ingress" else "dst"
    yield (), (nf.InSet(sets.pod_set("", described), (end,)),)


def _networks(sets: Sets, texts: tuple[str, ...]) -> Iterator[Asked]:
    """Destinations; several by way of a scratch mark, as one rule takes one network only."""
    found = [ip_network(text, strict=False) for text in texts]
    mine = [n for n in found if n.version == sets.version]
    if len(mine) == 1:
        yield (), (nf.Destination(mine[0]),) if mine[0].prefixlen else ()
    elif mine:
        front = [Rule((), SetMark(0, SCRATCH))]
        for network in mine:
            whole = (nf.Destination(network),) if network.prefixlen else ()
            front.append(Rule(whole, SetMark(SCRATCH, SCRATCH)))
        yield tuple(front), (Mark(SCRATCH, SCRATCH),)
