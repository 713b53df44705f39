"""A second reader for NetworkPolicies: what in them has no effect, or another than was meant.

Nothing here is an error; the API server takes all of it. Each finding names the place, the
fault and a cure, and is computed from the pods that are there now.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from labkit.api.cluster_policy import ClusterNetworkPolicy
from labkit.api.core import Pod, Service
from labkit.api.listens import declared
from labkit.api.names import SYSTEM
from labkit.api.networking import NetworkPolicy, NetworkPolicyPort
from labkit.api.state import State, key_of
from labkit.policy.ends import End, pod_end
from labkit.policy.explain import Lines, wants
from labkit.policy.idle import idle_rules, meets
from labkit.policy.matcher import DEFAULT, Flow, judge, named_ports, policy_types
from labkit.policy.parts import PolicyRule, all_rules, selects
from labkit.policy.reading import Reading

Fault = Literal[
    "selects nothing",
    "describes nobody",
    "adds nothing",
    "a port that no pod has",
    "the Service's port",
    "forgets DNS",
]


FIRST = "Where the tier Admin decides, no NetworkPolicy is asked."


class Finding(msgspec.Struct, frozen=True):
    """One place of one policy that does not do what it seems to.

    `at` is the field's path; `line` its line in the text that the policy came from, 0 where
    it came from none.
    """

    policy: str  # namespace/name
    at: str
    line: int
    fault: Fault
    says: str

    def __str__(self) -> str:
        where = f"{self.policy}:{self.line}" if self.line else f"{self.policy} {self.at}"
        return f"{where}: {self.fault}: {self.says}"


class Review(msgspec.Struct, frozen=True):
    """All findings, by policy and place; empty where every line has its effect.

    `beside` names the ClusterNetworkPolicies that are there: their own lines are not reviewed.
    """

    findings: tuple[Finding, ...]
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = [str(finding) for finding in self.findings]
        if not told:
            told = ["Nothing found: every line concerns some pod that is there."]
        if self.beside:
            told.insert(0, f"Not reviewed: ClusterNetworkPolicy {', '.join(self.beside)}. {FIRST}")
        return "\n".join(told)

    __repr__ = __str__


def review(state: State, lines: Lines, reading: Reading = DEFAULT) -> Review:
    """What is found in all NetworkPolicies outside the system's namespaces.

    Tiers of ClusterNetworkPolicies make no finding untrue: a rule that others repeat can go under
    any tier, and pods whose names a tier opens, or closes, are not held against a NetworkPolicy.
    """
    policies = tuple(p for p in state.list(NetworkPolicy) if p.namespace not in SYSTEM)
    reader = _Reader(state, lines, reading)
    found = [finding for policy in policies for finding in reader.read(policy)]
    for rule in idle_rules(state, policies, reading):
        says = "other rules already allow all that this one does; it can go"
        found.append(reader.finding(rule.policy, rule.at, "adds nothing", says))
    beside = tuple(sorted(policy.name for policy in state.list(ClusterNetworkPolicy)))
    return Review(tuple(sorted(found, key=lambda f: (f.policy, f.line, f.at))), beside)


class _Reader:
    """Reads one policy after the other, with the cluster beside it."""

    def __init__(self, state: State, lines: Lines, reading: Reading) -> None:
        self.state, self.lines, self.reading = state, lines, reading
        self.ends = tuple(pod_end(state, pod, reading) for pod in state.list(Pod) if pod.addresses)

    def finding(self, policy: NetworkPolicy, at: str, fault: Fault, says: str) -> Finding:
        line = self.lines.get(key_of(policy), {}).get(at, 0)
        return Finding(f"{policy.namespace}/{policy.name}", at, line, fault, says)

    def read(self, policy: NetworkPolicy) -> Iterator[Finding]:
        guarded = tuple(end for end in self.ends if end.pod and selects(policy, end.pod))
        if not guarded:
            says = f"no pod of namespace {policy.namespace} has {wants(policy.spec.pod_selector)}"
            yield self.finding(policy, ".spec.podSelector", "selects nothing", says)
            return
        for rule in all_rules(policy):
            yield from self._peers(rule, guarded)
            yield from self._ports(rule, guarded)
        yield from self._names(policy, guarded)

    def _peers(self, rule: PolicyRule, guarded: tuple[End, ...]) -> Iterator[Finding]:
        """Peers that describe pods where no such pod is."""
        for number, peer in enumerate(rule.peers):
            alone = msgspec.structs.replace(rule, peers=(peer,))
            if peer.ip_block is None and not self._met(alone, guarded):
                at = f"{rule.peers_at}[{number}]"
                where = "its own namespace" if peer.namespace_selector is None else "any namespace"
                says = f"no pod of {where} fits; compare labels and namespace"
                yield self.finding(rule.policy, at, "describes nobody", says)

    def _met(self, rule: PolicyRule, guarded: tuple[End, ...]) -> tuple[End, ...]:
        met = (e for e in self.ends if meets(rule, guarded[0], e, self.reading))
        return tuple(end for end in met if end.pod)

    def _ports(self, rule: PolicyRule, guarded: tuple[End, ...]) -> Iterator[Finding]:
        """Ports on which none of the receivers listens. Who is outside may listen anywhere."""
        blocks = any(peer.ip_block for peer in rule.peers)
        if rule.direction == "Egress" and (blocks or not rule.peers):
            return
        receivers = guarded if rule.direction == "Ingress" else self._met(rule, guarded)
        pods = tuple(end.pod for end in receivers if end.pod)
        for number, port in enumerate(rule.ports):
            if port.port is None or not pods or any(self._has(pod, port) for pod in pods):
                continue
            at = f"{rule.at}.ports[{number}].port"
            yield self._port(rule.policy, at, port, pods)

    def _has(self, pod: Pod, port: NetworkPolicyPort) -> bool:
        if isinstance(port.port, str):
            return bool(named_ports(pod, port.port, port.protocol, self.reading))
        assert port.port is not None, "a port without a number covers all"
        last = port.end_port or port.port
        return any(
            x.protocol == port.protocol and port.port <= x.port <= last for x in declared(pod)
        )

    def _port(
        self, policy: NetworkPolicy, at: str, port: NetworkPolicyPort, pods: tuple[Pod, ...]
    ) -> Finding:
        wanted = f"{port.protocol} {port.port}" + (f"-{port.end_port}" if port.end_port else "")
        real = sorted({f"{x.protocol} {x.port}" for pod in pods for x in declared(pod)})
        have = f"the pods listen on {', '.join(real)}" if real else "the pods listen nowhere"
        service = next((s for s in self._services(pods) if _has_port(s, port)), None)
        if service is None:
            return self.finding(policy, at, "a port that no pod has", f"{wanted}; {have}")
        says = f"{wanted} is the port of svc/{service.name}; a policy judges the pod's: {have}"
        return self.finding(policy, at, "the Service's port", says)

    def _services(self, pods: tuple[Pod, ...]) -> Iterator[Service]:
        """The Services whose selector takes one of the pods."""
        for service in self.state.list(Service, pods[0].namespace):
            if any(service.spec.selects(pod.labels) for pod in pods):
                yield service

    def _names(self, policy: NetworkPolicy, guarded: tuple[End, ...]) -> Iterator[Finding]:
        """Pods that can ask no name, though nobody said that they should not."""
        servers = [end for end in self.ends if end.pod and end.pod.labels.get("k8s-app") == DNS]
        if "Egress" not in policy_types(policy) or not policy.spec.egress or not servers:
            return  # a policy without egress rules shuts the door on purpose
        mute = [end for end in guarded if not any(self._asks(end, to) for to in servers)]
        if mute:
            says = f"{_some(mute)} cannot reach the cluster's DNS pods on UDP 53: names time out"
            yield self.finding(policy, ".spec.egress", "forgets DNS", says)

    def _asks(self, end: End, server: End) -> bool:
        """Whether the NetworkPolicies let it, or were not asked as the tier Admin had decided."""
        side = judge(self.state, Flow(end, server, "UDP", 53), self.reading).leaving
        return side.allowed or side.decider is not None


DNS = "kube-dns"  # the label that CoreDNS's pods carry, too


def _has_port(service: Service, port: NetworkPolicyPort) -> bool:
    same = (x for x in service.spec.ports if x.protocol == port.protocol)
    return any(port.port in (x.port, x.name) for x in same)


def _some(ends: list[End]) -> str:
    more = len(ends) - 1
    return ends[0].title + (f" and {more} more" if more else "")
