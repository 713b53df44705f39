"""`kubectl get`: one row of data a kind, and the tables made of it.

Source: Kubernetes `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from labkit.api import apps, cluster_policy, core, discovery, networking
from labkit.api.acts import resource_of
from labkit.api.meta import Custom, Object
from labkit.api.objects import encode
from labkit.api.times import seconds
from labkit.commands import cells
from labkit.commands.age import age, human
from labkit.commands.cells import NONE
from labkit.commands.columns import table

Cells = Callable[[Any, "Look"], Sequence[object]]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How a table is wanted; `now` is the cluster's time in seconds."""

    now: float
    wide: bool = False
    namespaces: bool = False
    labels: bool = False
    kinds: bool = False  # names as `service/web`
    headers: bool = True


def _age(obj: Object, look: Look) -> str:
    return age(obj.metadata.creation_timestamp, look.now)


def _pod(pod: core.Pod, look: Look) -> Sequence[object]:
    gates = encode(pod).get("spec", {}).get("readinessGates", []) if look.wide else []
    met = {c.type for c in pod.status.conditions if c.status == "True"}
    done = sum(gate.get("conditionType") in met for gate in gates)
    return (
        pod.name,
        cells.pod_ready(pod),
        cells.pod_status(pod),
        cells.pod_restarts(pod, look.now),
        _age(pod, look),
        pod.addresses[0] if pod.addresses else NONE,
        pod.spec.node_name or NONE,
        NONE,
        f"{done}/{len(gates)}" if gates else NONE,
    )


def _service(service: core.Service, look: Look) -> Sequence[object]:
    return (
        service.name,
        service.spec.type,
        cells.cluster_ip(service),
        cells.external_ip(service, look.wide),
        cells.service_ports(service),
        _age(service, look),
        cells.labels_text(service.spec.selector),
    )


def _node(node: core.Node, look: Look) -> Sequence[object]:
    info = node.status.node_info
    return (
        node.name,
        cells.node_status(node),
        cells.node_roles(node),
        _age(node, look),
        info.kubelet_version,
        cells.node_address(node, "InternalIP"),
        cells.node_address(node, "ExternalIP"),
        info.os_image or "<unknown>",
        info.kernel_version or "<unknown>",
        info.container_runtime_version or "<unknown>",
    )


def _namespace(obj: Object, look: Look) -> Sequence[object]:
    phase = "Terminating" if obj.metadata.deletion_timestamp else "Active"
    return obj.name, phase, _age(obj, look)


def _template(template: apps.PodTemplate) -> tuple[str, str]:
    """Names and images of the containers."""
    containers = template.spec.containers
    return ",".join(c.name for c in containers), ",".join(c.image for c in containers)


def _deployment(obj: apps.Deployment, look: Look) -> Sequence[object]:
    spec, status = obj.spec, obj.status
    ready = f"{status.ready_replicas}/{spec.replicas}"
    counts = (ready, status.updated_replicas, status.available_replicas)
    wide = (*_template(spec.template), cells.selector_text(spec.selector))
    return obj.name, *counts, _age(obj, look), *wide


def _replica_set(obj: apps.ReplicaSet, look: Look) -> Sequence[object]:
    counts = (obj.spec.replicas, obj.status.replicas, obj.status.ready_replicas)
    wide = (*_template(obj.spec.template), cells.selector_text(obj.spec.selector))
    return obj.name, *counts, _age(obj, look), *wide


def _stateful_set(obj: apps.StatefulSet, look: Look) -> Sequence[object]:
    ready = f"{obj.status.ready_replicas}/{obj.spec.replicas}"
    return obj.name, ready, _age(obj, look), *_template(obj.spec.template)


def _daemon_set(obj: apps.DaemonSet, look: Look) -> Sequence[object]:
    status, spec = obj.status, obj.spec
    return (
        obj.name,
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_ready,
        status.updated_number_scheduled,
        status.number_available,
        cells.labels_text(spec.template.spec.node_selector),
        _age(obj, look),
        *_template(spec.template),
        cells.selector_text(spec.selector),
    )


def _job(obj: apps.Job, look: Look) -> Sequence[object]:
    want = obj.spec.completions
    done = obj.status.succeeded >= (want or 1)
    times = obj.manifest.get("status", {})
    begin, end = times.get("startTime", ""), times.get("completionTime", "")
    last = seconds(end) if end else look.now
    return (
        obj.name,
        "Complete" if done else "Running",
        f"{obj.status.succeeded}/{want or 1}",
        human(last - seconds(begin)) if begin else "",
        _age(obj, look),
        *_template(obj.spec.template),
        cells.selector_text(obj.spec.selector),
    )


def _ingress(obj: networking.Ingress, look: Look) -> Sequence[object]:
    return (
        obj.name,
        obj.spec.ingress_class_name or NONE,
        cells.ingress_hosts(obj),
        cells.ingress_address(obj, look.wide),
        "80, 443" if obj.spec.tls else "80",
        _age(obj, look),
    )


def _slice(obj: discovery.EndpointSlice, look: Look) -> Sequence[object]:
    ports, ends = cells.slice_ports(obj), cells.slice_endpoints(obj)
    return obj.name, obj.address_type, ports, ends, _age(obj, look)


def _endpoints(obj: core.Endpoints, look: Look) -> Sequence[object]:
    return obj.name, cells.endpoints_text(obj), _age(obj, look)


def _policy(obj: networking.NetworkPolicy, look: Look) -> Sequence[object]:
    return obj.name, cells.selector_text(obj.spec.pod_selector), _age(obj, look)


def _cluster_policy(obj: cluster_policy.ClusterNetworkPolicy, look: Look) -> Sequence[object]:
    return obj.name, obj.spec.tier, obj.spec.priority, _age(obj, look)


def _class(obj: networking.IngressClass, look: Look) -> Sequence[object]:
    return obj.name, obj.spec.controller, NONE, _age(obj, look)


def _config_map(obj: core.ConfigMap, look: Look) -> Sequence[object]:
    return obj.name, len(obj.data) + len(obj.manifest.get("binaryData", ())), _age(obj, look)


def _secret(obj: core.Secret, look: Look) -> Sequence[object]:
    return obj.name, obj.type, len(obj.manifest.get("data", ())), _age(obj, look)


def _account(obj: core.ServiceAccount, look: Look) -> Sequence[object]:
    return obj.name, len(obj.manifest.get("secrets", ())), _age(obj, look)


def _plain(obj: Object, look: Look) -> Sequence[object]:
    return obj.name, _age(obj, look)


WORKLOAD = "CONTAINERS IMAGES SELECTOR"
TABLES: dict[type[Object], tuple[str, str, Cells]] = {
    # type: (columns, columns that -o wide adds, cells); `_` stands for a blank
    core.Pod: ("NAME READY STATUS RESTARTS AGE", "IP NODE NOMINATED_NODE READINESS_GATES", _pod),
    core.Service: ("NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE", "SELECTOR", _service),
    core.Node: (
        "NAME STATUS ROLES AGE VERSION",
        "INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME",
        _node,
    ),
    core.Namespace: ("NAME STATUS AGE", "", _namespace),
    core.ConfigMap: ("NAME DATA AGE", "", _config_map),
    core.Secret: ("NAME TYPE DATA AGE", "", _secret),
    core.ServiceAccount: ("NAME SECRETS AGE", "", _account),
    core.Endpoints: ("NAME ENDPOINTS AGE", "", _endpoints),
    apps.Deployment: ("NAME READY UP-TO-DATE AVAILABLE AGE", WORKLOAD, _deployment),
    apps.ReplicaSet: ("NAME DESIRED CURRENT READY AGE", WORKLOAD, _replica_set),
    apps.StatefulSet: ("NAME READY AGE", "CONTAINERS IMAGES", _stateful_set),
    apps.DaemonSet: (
        "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE_SELECTOR AGE",
        WORKLOAD,
        _daemon_set,
    ),
    apps.Job: ("NAME STATUS COMPLETIONS DURATION AGE", WORKLOAD, _job),
    discovery.EndpointSlice: ("NAME ADDRESSTYPE PORTS ENDPOINTS AGE", "", _slice),
    networking.NetworkPolicy: ("NAME POD-SELECTOR AGE", "", _policy),
    cluster_policy.ClusterNetworkPolicy: ("NAME TIER PRIORITY AGE", "", _cluster_policy),
    networking.Ingress: ("NAME CLASS HOSTS ADDRESS PORTS AGE", "", _ingress),
    networking.IngressClass: ("NAME CONTROLLER PARAMETERS AGE", "", _class),
    Custom: ("NAME AGE", "", _plain),
}


def objects_table(objects: Sequence[Object], look: Look) -> str:
    """The table of objects of one type, in the order given; there must be at least one."""
    usual, wide, make = TABLES[type(objects[0])]
    count = len(usual.split()) + (len(wide.split()) if look.wide else 0)
    names = [name.replace("_", " ") for name in (usual + " " + wide).split()[:count]]
    header = _framed(names, "NAMESPACE", "LABELS", look)
    rows = []
    for obj in objects:
        row = [str(cell) for cell in make(obj, look)][:count]
        if look.kinds:
            row[0] = f"{resource_of(obj)}/{obj.name}"
        rows.append(_framed(row, obj.namespace, cells.labels_text(obj.labels), look))
    return table(header if look.headers else (), rows)


def _framed(row: list[str], namespace: str, labels: str, look: Look) -> list[str]:
    first = [namespace] if look.namespaces else []
    return first + row + ([labels] if look.labels else [])
