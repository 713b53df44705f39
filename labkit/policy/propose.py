"""From flows that were seen to policies that allow just these: default deny, and a door for each.

The set is small because doors with equal visitors are joined and selectors are as short as
they can be; that it is the smallest is not promised. Only ingress is written: what nobody may
receive, nobody can send.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

import msgspec

from labkit.api.cluster_policy import ClusterNetworkPolicy
from labkit.api.core import Pod
from labkit.api.meta import Address
from labkit.api.state import State
from labkit.api.yamltext import dump
from labkit.errors import CommandError
from labkit.policy.matcher import Flow

HASHES = ("pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name")
"""Labels that a controller writes, which change from one release to the next."""

LABEL = re.compile("[a-z0-9][a-z0-9-]{0,38}[a-z0-9]")  # goes into an object's name
Port = tuple[str, int]  # protocol, number
Selector = dict[str, Any]


class Kind(msgspec.Struct, frozen=True):
    """Pods with equal labels in one namespace: no policy should tell them apart."""

    namespace: str
    labels: tuple[tuple[str, str], ...]


Visitor = Kind | Address


class Proposal(msgspec.Struct, frozen=True):
    """NetworkPolicies as manifests, ready for `lab.apply`; printed they are YAML.

    `beside` names the ClusterNetworkPolicies that are there, which the proposal takes no heed of.
    """

    policies: tuple[Mapping[str, Any], ...]
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = ", ".join(self.beside)
        head = f"# ClusterNetworkPolicy {names}: not read, and in tier Admin asked first\n"
        return (head if names else "") + "---\n".join(map(dump, self.policies))

    __repr__ = __str__


def propose(state: State, flows: Iterable[Flow]) -> Proposal:
    """Policies under which exactly these flows are open, between all pods of the kinds seen.

    What one replica was seen to do, all its equals may do. Namespaces of which no pod was seen
    are left as they are, and so is what ClusterNetworkPolicies decide.

    Raises:
        CommandError: a flow to something that is no pod, which no policy guards.
    """
    seen = tuple(flows)
    doors: dict[Kind, dict[Port, set[Visitor]]] = {}
    for flow in seen:
        if flow.destination.pod is None:
            raise CommandError(f"{flow.destination.title}: no policy guards it; name flows to pods")
        kind, port = kind_of(flow.destination.pod), (flow.protocol, flow.port)
        doors.setdefault(kind, {}).setdefault(port, set()).add(_visitor(flow))
    kinds = tuple(dict.fromkeys(kind_of(pod) for pod in state.list(Pod)))
    met = {kind_of(end.pod) for flow in seen for end in (flow.source, flow.destination) if end.pod}
    found: list[Mapping[str, Any]] = []
    for space in sorted({kind.namespace for kind in met}):
        found.append(_policy("default-deny-ingress", space, {}, []))
        found += _doors(space, kinds, {k: v for k, v in doors.items() if k.namespace == space})
    return Proposal(tuple(found), tuple(p.name for p in state.list(ClusterNetworkPolicy)))


def kind_of(pod: Pod) -> Kind:
    labels = ((k, v) for k, v in sorted(pod.labels.items()) if k not in HASHES)
    return Kind(pod.namespace, tuple(labels))


def _visitor(flow: Flow) -> Visitor:
    end = flow.source
    return kind_of(end.pod) if end.pod else end.addresses[0]


def _doors(
    space: str, kinds: tuple[Kind, ...], doors: Mapping[Kind, Mapping[Port, set[Visitor]]]
) -> Iterator[Mapping[str, Any]]:
    """One policy for all kinds with the same rules, if one selector takes just these."""
    alike: dict[Rules, set[Kind]] = {}
    for kind, ports in doors.items():
        alike.setdefault(_rules(ports), set()).add(kind)
    here = tuple(kind for kind in kinds if kind.namespace == space)
    number = 0
    for rules, guarded in alike.items():
        for selector in selectors(guarded, here):
            number += 1
            written = [_rule(space, kinds, ports, visitors) for ports, visitors in rules]
            yield _policy(_name(selector, number), space, selector, written)


def _name(selector: Selector, number: int) -> str:
    """`allow-1-backend`: the number keeps names apart, the labels' values make them readable."""
    values = "-".join(selector.get("matchLabels", {}).values())
    return f"allow-{number}" + (f"-{values}" if LABEL.fullmatch(values) else "")


Rules = tuple[tuple[tuple[Port, ...], frozenset[Visitor]], ...]


def _rules(ports: Mapping[Port, set[Visitor]]) -> Rules:
    """Ports with the same visitors together, in order."""
    together: dict[frozenset[Visitor], list[Port]] = {}
    for port in sorted(ports):
        together.setdefault(frozenset(ports[port]), []).append(port)
    return tuple((tuple(group), visitors) for visitors, group in together.items())


def _rule(
    space: str, kinds: tuple[Kind, ...], ports: tuple[Port, ...], visitors: frozenset[Visitor]
) -> Mapping[str, Any]:
    peers: list[Mapping[str, Any]] = []
    pods = {visitor for visitor in visitors if isinstance(visitor, Kind)}
    for name in sorted({kind.namespace for kind in pods}):
        there = tuple(kind for kind in kinds if kind.namespace == name)
        where = {"matchLabels": {"kubernetes.io/metadata.name": name}}
        for selector in selectors(pods & set(there), there):
            peer: dict[str, Any] = {} if name == space else {"namespaceSelector": where}
            peers.append({**peer, "podSelector": selector})
    for address in sorted(v for v in visitors if not isinstance(v, Kind)):
        peers.append({"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}})
    return {"from": peers, "ports": [{"protocol": p, "port": n} for p, n in ports]}


def _policy(
    name: str, space: str, selector: Selector, rules: list[Mapping[str, Any]]
) -> Mapping[str, Any]:
    spec = {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": rules}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": space},
        "spec": spec,
    }


# --- selectors --------------------------------------------------------------------------------


def selectors(chosen: set[Kind], here: tuple[Kind, ...]) -> tuple[Selector, ...]:
    """Selectors that take just the chosen kinds of a namespace: one, if one can."""
    one = _one(chosen, here)
    if one is not None:
        return (one,)
    return tuple(_one({kind}, here) or _exact(kind, here) for kind in here if kind in chosen)


def _one(chosen: set[Kind], here: tuple[Kind, ...]) -> Selector | None:
    """Everybody; else one label or two that all have; else the values of one key."""
    if chosen == set(here):
        return {}
    common = sorted(set.intersection(*(set(kind.labels) for kind in chosen)))
    for count in (1, 2):
        for pairs in combinations(common, count):
            if {kind for kind in here if set(pairs) <= set(kind.labels)} == chosen:
                return {"matchLabels": dict(pairs)}
    for key in sorted(set.intersection(*({k for k, _ in kind.labels} for kind in chosen))):
        values = {dict(kind.labels)[key] for kind in chosen}
        if {kind for kind in here if dict(kind.labels).get(key) in values} == chosen:
            return {"matchExpressions": [_expression(key, "In", sorted(values))]}
    return None


def _exact(kind: Kind, here: tuple[Kind, ...]) -> Selector:
    """All labels of a kind, and none of the keys that others have beside them."""
    mine = dict(kind.labels)
    others = {key for other in here for key, _ in other.labels} - set(mine)
    absent = [{"key": key, "operator": "DoesNotExist"} for key in sorted(others)]
    return {"matchLabels": mine, **({"matchExpressions": absent} if absent else {})}


def _expression(key: str, operator: str, values: list[str]) -> Selector:
    return {"key": key, "operator": operator, "values": values}
