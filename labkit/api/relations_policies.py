"""What the fields of ClusterNetworkPolicies owe each other: one row a type.

Source: the `kubebuilder:validation` marks in kubernetes-sigs/network-policy-api
`apis/v1alpha2/clusternetworkpolicy_types.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.api.relations import Faults, Rule, exactly_one, items, structs

MOST = 25  # items of a list
KIND = "ClusterNetworkPolicy"
NAMELESS = ("networks", "nodes", "domainNames")  # peers that name no port


def _sizes(*keys: str) -> Rule:
    """A rule: these lists, where they are given, have between 1 and 25 items."""

    def rule(value: dict[str, Any]) -> Faults:
        for key in keys:
            if value.get(key) == []:
                yield f".{key}", "is empty; it has at least one item"
            elif len(items(value, key)) > MOST:
                yield f".{key}", f"has {len(items(value, key))} items; at most {MOST}"

    return rule


def _rules(value: dict[str, Any]) -> Faults:
    for key in ("ingress", "egress"):
        if len(items(value, key)) > MOST:
            yield f".{key}", f"has {len(items(value, key))} rules; at most {MOST}"


def _named_ports(value: dict[str, Any]) -> Faults:
    """A port's name is looked up in a pod: other peers have none."""
    named = any(p.get("destinationNamedPort") for _, p in structs(value, "protocols"))
    for path, peer in structs(value, "to"):
        for key in NAMELESS:
            if named and peer.get(key) is not None:
                yield path, f"`{key}` does not go with destinationNamedPort; give the number"


def _domains(value: dict[str, Any]) -> Faults:
    for path, peer in structs(value, "to"):
        if peer.get("domainNames") is not None and value.get("action") != "Accept":
            yield (
                path,
                "`domainNames` goes with action Accept only; deny the rest by a rule below",
            )


def _name(value: dict[str, Any]) -> Faults:
    if isinstance(value.get("name"), str) and len(value["name"]) > 100:
        yield ".name", f"has {len(value['name'])} characters; at most 100"


def _range(value: dict[str, Any]) -> Faults:
    start, end = value.get("start"), value.get("end")
    if isinstance(start, int) and isinstance(end, int) and start >= end:
        yield ".end", f"{end} is not more than start {start}; give the larger one, or a `number`"


TYPES: Mapping[str, tuple[Rule, ...]] = {
    f"{KIND}Spec": (_rules,),
    f"{KIND}Subject": (exactly_one("namespaces", "pods"),),
    f"{KIND}IngressRule": (_name, _sizes("from", "protocols")),
    f"{KIND}EgressRule": (_name, _sizes("to", "protocols"), _named_ports, _domains),
    f"{KIND}IngressPeer": (exactly_one("namespaces", "pods"),),
    f"{KIND}EgressPeer": (
        exactly_one("namespaces", "pods", "nodes", "networks", "domainNames"),
        _sizes("networks", "domainNames"),
    ),
    f"{KIND}Protocol": (exactly_one("tcp", "udp", "sctp", "destinationNamedPort"),),
    f"{KIND}L4": (exactly_one("destinationPort"),),
    f"{KIND}Port": (exactly_one("number", "range"),),
    f"{KIND}PortRange": (_range,),
}
