"""A Service on its way into the state: families, addresses, node ports.

Source: Kubernetes `pkg/registry/core/service/storage/alloc.go`, `pkg/apis/core/v1/defaults.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from ipaddress import ip_address
from typing import Any

import msgspec

from labkit.api import allocation
from labkit.api.core import Service
from labkit.api.meta import Object
from labkit.api.state import State
from labkit.errors import Conflict

Plain = dict[str, Any]


def admit(state: State, filled: Plain, old: Object | None, wanted: Set[Any]) -> None:
    """Completes `filled` in place.

    Raises:
        Conflict: an address or a port is taken, out of range, or may not change.
        Exhausted: a range has none left.
    """
    spec = filled["spec"]
    before = old if isinstance(old, Service) else None
    _defaults(spec)
    if before:
        _keep(filled, before)
    if spec["type"] == "ExternalName":
        for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(key, None)
        return
    carried = bool(filled["metadata"].get("uid")) and before is None
    uid = before.metadata.uid if before else ""
    _families(state, filled, carried)
    _addresses(state, filled, wanted, uid, carried)
    _node_ports(state, filled, wanted, uid)


def asked(manifests: tuple[Mapping[str, Any], ...]) -> Set[Any]:
    """The ClusterIPs and node ports that the Services among the manifests name themselves."""
    found: set[Any] = set()
    for manifest in manifests:
        spec = manifest.get("spec")
        if manifest.get("kind") == "Service" and isinstance(spec, Mapping):
            texts = [spec.get("clusterIP"), *(spec.get("clusterIPs") or [])]
            found |= {ip_address(t) for t in texts if t and t != "None"}
            found |= {p.get("nodePort") for p in spec.get("ports") or []}
            found.add(spec.get("healthCheckNodePort"))
    return found - {None}


def refuse(filled: Plain, fault: str, cure: str = "") -> Conflict:
    """The API server's words, and behind a semicolon the lab's own: what to do."""
    words = f'The Service "{filled["metadata"]["name"]}" is invalid: {fault}'
    return Conflict(f"{words}; {cure}" if cure else words)


def _defaults(spec: Plain) -> None:
    headless = spec.get("clusterIP") == "None"
    for port in spec.get("ports", []):
        port.setdefault("targetPort", port["port"])
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
    if spec["type"] != "ExternalName" and not (headless and "selector" not in spec):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer") or spec.get("externalIPs"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _keep(filled: Plain, old: Service) -> None:
    """An update that does not speak of an allocated number keeps it."""
    spec = filled["spec"]
    was = old.spec
    if was.type != "ExternalName" and spec["type"] != "ExternalName" and was.cluster_ip:
        new = spec.setdefault("clusterIP", was.cluster_ip)
        if new != was.cluster_ip:
            value = msgspec.json.encode([new]).decode()
            fault = f"spec.clusterIPs[0]: Invalid value: {value}: may not change once set"
            raise refuse(filled, fault, f"write {was.cluster_ip}, or delete the Service first")
        spec.setdefault("clusterIPs", list(was.cluster_ips))
        spec.setdefault("ipFamilies", list(was.ip_families))
        spec.setdefault("ipFamilyPolicy", was.ip_family_policy)
    if was.type == spec["type"] == "LoadBalancer" and was.load_balancer_class != spec.get(
        "loadBalancerClass"
    ):
        value = msgspec.json.encode(spec.get("loadBalancerClass")).decode()
        fault = f"spec.loadBalancerClass: Invalid value: {value}: may not change once set"
        raise refuse(filled, fault, "delete the Service first")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        known = {(p.protocol, p.port): p.node_port for p in was.ports if p.node_port}
        for port in spec.get("ports", []):
            if (node_port := known.get((port["protocol"], port["port"]))) is not None:
                port.setdefault("nodePort", node_port)
    elif was.type in ("NodePort", "LoadBalancer"):
        # Going back to ClusterIP gives the node ports back, though the manifest still has them.
        for port in spec.get("ports", []):
            port.pop("nodePort", None)
        for key in (
            "externalTrafficPolicy",
            "allocateLoadBalancerNodePorts",
            "healthCheckNodePort",
        ):
            spec.pop(key, None)
    if spec.get("externalTrafficPolicy") != "Local":
        spec.pop("healthCheckNodePort", None)


def _families(state: State, filled: Plain, carried: bool) -> None:
    spec = filled["spec"]
    have = [f"IPv{net.version}" for net in allocation.service_ranges(state)]
    given = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip and ip != "None"]
    named = [f"IPv{ip_address(ip).version}" for ip in given]
    policy = spec.setdefault(
        "ipFamilyPolicy",
        "SingleStack" if len(spec.get("ipFamilies") or named) < 2 else "PreferDualStack",
    )
    families = list(spec.get("ipFamilies") or named or have[:1])
    for i, family in enumerate(families):
        if family not in have and not carried:
            fault = (
                f'spec.ipFamilies[{i}]: Invalid value: "{family}": not configured on this cluster'
            )
            raise refuse(filled, fault)
    if policy == "RequireDualStack" and len(have) < 2 and not carried:
        raise refuse(
            filled,
            'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not '
            "configured for dual-stack services",
        )
    if policy != "SingleStack":
        families += [family for family in have if family not in families]
    spec["ipFamilies"] = families


def _addresses(state: State, filled: Plain, wanted: Set[Any], uid: str, carried: bool) -> None:
    spec = filled["spec"]
    given = list(spec.get("clusterIPs") or [ip for ip in [spec.get("clusterIP")] if ip])
    if given[:1] == ["None"]:
        spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
        return
    taken = allocation.taken_addresses(state, uid)
    ranges = {f"IPv{net.version}": net for net in allocation.service_ranges(state)}
    for i, text in enumerate(given):
        if not carried:
            _check_address(state, filled, i, text, taken, ranges)
    closed = taken | allocation.reserved_addresses(state) | wanted
    have = {f"IPv{ip_address(text).version}" for text in given}
    for family in spec["ipFamilies"]:
        if family not in have and family in ranges:
            given.append(str(allocation.free_address(ranges[family], closed)))
    order = {family: i for i, family in enumerate(spec["ipFamilies"])}
    given.sort(key=lambda text: order.get(f"IPv{ip_address(text).version}", 2))
    spec["clusterIP"], spec["clusterIPs"] = given[0], given


def _check_address(
    state: State, filled: Plain, i: int, text: str, taken: Set[Any], ranges: Mapping[str, Any]
) -> None:
    address = ip_address(text)
    where = f'spec.clusterIPs[{i}]: Invalid value: "{text}"'
    network = ranges.get(f"IPv{address.version}")
    if network is None or address not in network:
        span = network or ", ".join(map(str, ranges.values()))
        raise refuse(
            filled,
            f"{where}: failed to allocate IP {text}: the provided IP ({text}) is not in the valid "
            f"range. The range of valid IPs is {span}",
        )
    if address in taken:
        owner = allocation.owner(state, text)
        cure = f"{owner} has it: leave clusterIP out, and one is found"
        raise refuse(filled, f"{where}: provided IP is already allocated", cure)


def _node_ports(state: State, filled: Plain, wanted: Set[Any], uid: str) -> None:
    spec = filled["spec"]
    if spec["type"] not in ("NodePort", "LoadBalancer"):
        return
    taken = set(allocation.taken_ports(state, uid))
    mine: dict[str, set[int]] = {}  # one number may serve TCP and UDP of the same Service
    for i, port in enumerate(spec.get("ports", [])):
        if number := port.get("nodePort"):
            _check_port(state, filled, f"spec.ports[{i}].nodePort", number, taken)
            mine.setdefault(port["protocol"], set()).add(number)
    closed = taken | wanted | {number for numbers in mine.values() for number in numbers}
    if spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True):
        for port in spec.get("ports", []):
            if not port.get("nodePort"):
                port["nodePort"] = allocation.free_port(state, closed)
                closed.add(port["nodePort"])
    if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        if number := spec.get("healthCheckNodePort"):
            _check_port(state, filled, "spec.healthCheckNodePort", number, taken)
        else:
            spec["healthCheckNodePort"] = allocation.free_port(state, closed)


def _check_port(state: State, filled: Plain, where: str, number: int, taken: Set[int]) -> None:
    low, high = state.config.node_port_range
    if not low <= number <= high:
        raise refuse(
            filled,
            f"{where}: Invalid value: {number}: provided port is not in the valid range. "
            f"The range of valid ports is {low}-{high}",
        )
    if number in taken:
        fault = f"{where}: Invalid value: {number}: provided port is already allocated"
        cure = f"{allocation.owner(state, number)} has it: leave it out, and one is found"
        raise refuse(filled, fault, cure)
