"""What the fields of Services, policies and Ingresses owe each other: one row a type.

Source: Kubernetes `pkg/apis/{core,discovery,networking}/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from labkit.api import syntax
from labkit.api.relations import (
    Faults,
    Rule,
    exactly_one,
    items,
    needed,
    not_empty,
    one_a_family,
    part,
    structs,
    unique,
)
from labkit.api.syntax import quoted


def _service(value: dict[str, Any]) -> Faults:
    spec = part(value, "spec")
    headless, kind = spec.get("clusterIP") == "None", spec.get("type") or "ClusterIP"
    ports = items(spec, "ports")
    if not spec.get("ports") and not headless and kind != "ExternalName":
        at = ".spec" if "spec" in value else ""
        yield at, "`ports` is missing; a Service has at least one, such as `- port: 80`"
    if headless and kind in ("NodePort", "LoadBalancer"):
        yield ".spec.clusterIP", f"`None` does not go with type {kind}; remove one of the two"
    if kind == "ExternalName":
        yield from _external_name(spec)
    if len(ports) > 1:
        for path, port in structs(spec, "ports"):
            if not port.get("name"):
                yield f".spec{path}", "`name` is missing; with several ports each needs one"


def _external_name(spec: dict[str, Any]) -> Faults:
    name = spec.get("externalName")
    if not name:
        yield ".spec", "`externalName` is missing; an ExternalName Service needs it"
    elif isinstance(name, str) and (fault := syntax.dns_subdomain(name.rstrip("."))):
        yield ".spec.externalName", fault
    if spec.get("clusterIP"):
        yield ".spec.clusterIP", "an ExternalName Service has no address; remove it"


def _service_type(value: dict[str, Any]) -> Faults:
    kind = value.get("type") or "ClusterIP"
    if kind in ("ClusterIP", "ExternalName"):
        for path, port in structs(value, "ports"):
            if port.get("nodePort"):
                yield f"{path}.nodePort", f"does not go with type {kind}; use type NodePort"
        if value.get("externalTrafficPolicy") and not items(value, "externalIPs"):
            yield ".externalTrafficPolicy", f"does not go with type {kind}; remove it"
    if kind != "LoadBalancer":
        for name in ("loadBalancerSourceRanges", "loadBalancerClass"):
            if value.get(name):
                yield f".{name}", f"does not go with type {kind}; remove it"
    checked = kind == "LoadBalancer" and value.get("externalTrafficPolicy") == "Local"
    if value.get("healthCheckNodePort") and not checked:
        yield ".healthCheckNodePort", "needs externalTrafficPolicy Local and type LoadBalancer"
    if part(value, "sessionAffinityConfig") and value.get("sessionAffinity") in (None, "None"):
        yield ".sessionAffinityConfig", "needs sessionAffinity ClientIP; add it, or take this away"


def _addresses(value: dict[str, Any]) -> Faults:
    """`clusterIPs`: at most one a family, and the first equals `clusterIP`."""
    several = items(value, "clusterIPs")
    first = value.get("clusterIP")
    if several and first and several[0] != first:
        yield ".clusterIPs[0]", f"must equal clusterIP, which is {quoted(first)}"
    yield from one_a_family(".clusterIPs", several)


def _slice(value: dict[str, Any]) -> Faults:
    family = {"IPv4": 4, "IPv6": 6}.get(str(value.get("addressType")))
    for path, endpoint in structs(value, "endpoints"):
        addresses = items(endpoint, "addresses")
        if endpoint.get("addresses") == []:
            yield f"{path}.addresses", "is empty; an endpoint has at least one address"
        for i, text in enumerate(addresses):
            if not isinstance(text, str) or not family:
                continue
            if fault := syntax.address(text):
                yield f"{path}.addresses[{i}]", fault
            elif ip_address(text).version != family:
                yield f"{path}.addresses[{i}]", f"{quoted(text)} is not of addressType IPv{family}"


# --- NetworkPolicy, Ingress ----------------------------------------------------------------


def _peer(value: dict[str, Any]) -> Faults:
    given = [k for k in ("podSelector", "namespaceSelector", "ipBlock") if value.get(k) is not None]
    if not given:
        yield "", "says nothing; give podSelector, namespaceSelector or ipBlock"
    if "ipBlock" in given and len(given) > 1:
        yield "", f"has ipBlock and {given[0]}; make two items of them"


def _ip_block(value: dict[str, Any]) -> Faults:
    text = value.get("cidr")
    whole = syntax.network(text) if isinstance(text, str) else None
    for i, text in enumerate(items(value, "except")):
        hole = syntax.network(text) if isinstance(text, str) else None
        if not whole or not hole:
            continue
        inside = whole.version == hole.version and hole.subnet_of(whole)  # type: ignore[arg-type]
        if not inside or hole == whole:
            message = f"{quoted(text)} does not lie within {value['cidr']}; only a part of it can"
            yield f".except[{i}]", f"{message} be left out"


def _port_range(value: dict[str, Any]) -> Faults:
    first, last = value.get("port"), value.get("endPort")
    if last is None:
        return
    if not isinstance(first, int):
        what = "has a name" if first else "is missing"
        yield ".endPort", f"needs a number as `port`, which {what}"
    elif isinstance(last, int) and last < first:
        yield ".endPort", f"{last} is less than port {first}; swap them"


def _path(value: dict[str, Any]) -> Faults:
    path, kind = value.get("path"), value.get("pathType")
    if kind in ("Exact", "Prefix") and not path:
        yield "", f"`path` is missing; {kind} needs one, such as `/`"
    elif isinstance(path, str) and path and (fault := syntax.url_path(path)):
        yield ".path", fault


def _ingress(value: dict[str, Any]) -> Faults:
    if not value.get("rules") and not value.get("defaultBackend"):
        yield "", "has neither `rules` nor `defaultBackend`; give one of them"


def _tls_secret(value: dict[str, Any]) -> Faults:
    if value.get("type") == "kubernetes.io/tls":
        given = {**part(value, "data"), **part(value, "stringData")}
        for key in ("tls.crt", "tls.key"):
            if key not in given:
                yield ".data", f"`{key}` is missing; a Secret of type kubernetes.io/tls has it"


TYPES: Mapping[str, tuple[Rule, ...]] = {
    "Service": (_service,),
    "ServiceSpec": (
        _service_type,
        _addresses,
        unique("ports", "name"),
        unique("ports", "port", "protocol"),
        unique("ports", "nodePort", "protocol"),
    ),
    "EndpointSlice": (_slice,),
    "NetworkPolicyPeer": (_peer,),
    "NetworkPolicyPort": (_port_range,),
    "IPBlock": (_ip_block,),
    "IngressSpec": (_ingress,),
    "IngressBackend": (exactly_one("service", "resource"),),
    "IngressServiceBackend": (needed("port", "add `port: {number: …}` or `port: {name: …}`"),),
    "ServiceBackendPort": (exactly_one("number", "name"),),
    "HTTPIngressRuleValue": (not_empty("paths"),),
    "HTTPIngressPath": (_path,),
    "Secret": (_tls_secret,),
}
