"""Where a pod may run: node selector, required node affinity, taints, host ports.

Source: Kubernetes `pkg/scheduler/framework/plugins/{nodeaffinity,tainttoleration,nodeports}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from labkit.api.core import Node, Pod, PodSpec, Taint, Toleration
from labkit.api.meta import Requirement

UNSCHEDULABLE = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


def objection(pod: Pod, node: Node, tolerations: tuple[Toleration, ...] = ()) -> str:
    """Why the pod may not run on the node, in the scheduler's words; empty if it may."""
    tolerated = pod.spec.tolerations + tolerations
    taints = node.spec.taints + ((UNSCHEDULABLE,) if node.spec.unschedulable else ())
    for taint in taints:
        if taint.effect != "PreferNoSchedule" and not any(_tolerates(t, taint) for t in tolerated):
            if taint == UNSCHEDULABLE:
                return "node(s) were unschedulable"
            return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
    if not fits(pod.spec, pod.manifest.get("spec", {}), node):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""


def fits(spec: PodSpec, plain: Mapping[str, Any], node: Node) -> bool:
    """Do the node's labels meet `nodeSelector` and the required node affinity?"""
    labels = node.labels
    if not all(labels.get(k) == v for k, v in spec.node_selector.items()):
        return False
    affinity = plain.get("affinity")
    if not affinity:
        return True
    required = affinity.get("nodeAffinity", {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = (required or {}).get("nodeSelectorTerms", [])
    return not required or any(_term(term, node) for term in terms)


def preference(pod: Pod, node: Node) -> int:
    """The summed weights of the preferred node affinity's terms that the node meets."""
    affinity = pod.manifest.get("spec", {}).get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("preferredDuringSchedulingIgnoredDuringExecution", [])
    return sum(t["weight"] for t in terms if _term(t.get("preference", {}), node))


def _term(term: Mapping[str, Any], node: Node) -> bool:
    fields = {"metadata.name": node.name}
    both = (("matchExpressions", node.labels), ("matchFields", fields))
    return all(_holds(e, values) for key, values in both for e in term.get(key, []))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    operator = expression.get("operator")
    if operator in ("Gt", "Lt"):
        text, bound = labels.get(expression["key"], ""), "".join(expression.get("values", [])[:1])
        if not (text.isdecimal() and bound.isdecimal()):
            return False
        return int(text) > int(bound) if operator == "Gt" else int(text) < int(bound)
    try:
        return msgspec.convert(expression, Requirement).matches(labels)
    except msgspec.ValidationError:  # an operator that there is not matches no node
        return False


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or toleration.value == taint.value


def host_ports(pod: Pod) -> frozenset[tuple[str, int]]:
    """The ports of its node that a pod asks for."""
    containers = pod.spec.containers
    if pod.spec.host_network:
        return frozenset((p.protocol, p.container_port) for c in containers for p in c.ports)
    return frozenset((p.protocol, p.host_port) for c in containers for p in c.ports if p.host_port)
