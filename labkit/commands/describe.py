"""`kubectl describe`: the account of one object.

Byte for byte as kubectl 1.37.1 for Service, EndpointSlice, Ingress and NetworkPolicy; the
other kinds have its layout.

Source: kubernetes/kubectl `pkg/describe/describe.go`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from labkit.api import apps, core, discovery, networking
from labkit.api.meta import Object
from labkit.api.objects import encode
from labkit.api.state import State
from labkit.commands import describe_network, describe_pods
from labkit.commands.age import age, long_date
from labkit.commands.cells import node_roles
from labkit.commands.columns import tabbed
from labkit.commands.described import NO_EVENTS, Lines, headed, labels, named, notes

Describer = Callable[[Any, State], Lines]


def describe(obj: Object, state: State, *, events: bool = True) -> str:
    """What kubectl prints of the object; without `events` when it describes several."""
    make = DESCRIBERS.get(type(obj), _generic)
    lines = [line for line in make(obj, state) if events or line != NO_EVENTS]
    return tabbed("\n".join(lines)) + "\n"


def _namespace(obj: core.Namespace, state: State) -> Lines:
    yield from headed(obj)
    yield f"Status:\t{'Terminating' if obj.metadata.deletion_timestamp else 'Active'}"
    yield from ("", "No resource quota.", "", "No LimitRange resource.")


def _node(obj: core.Node, state: State) -> Lines:
    """*The lab simplifies*: leases, capacities and what pods ask of them are not modelled."""
    info, spec = obj.status.node_info, obj.spec
    yield f"Name:\t{obj.name}"
    yield f"Roles:\t{node_roles(obj)}"
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    yield f"CreationTimestamp:\t{long_date(obj.metadata.creation_timestamp)}"
    taints = [f"{t.key}{f'={t.value}' if t.value else ''}:{t.effect}" for t in spec.taints]
    for number, taint in enumerate(taints or ["<none>"]):
        yield f"\t{taint}" if number else f"Taints:\t{taint}"
    yield f"Unschedulable:\t{str(spec.unschedulable).lower()}"
    yield from ("Conditions:", "  Type\tStatus\tLastTransitionTime\tReason\tMessage")
    yield "  ----\t------\t------------------\t------\t-------"
    for c in obj.status.conditions:
        since = long_date(c.last_transition_time) if c.last_transition_time else "<unknown>"
        yield f"  {c.type} \t{c.status} \t{since} \t{c.reason} \t{c.message}"
    yield "Addresses:"
    yield from (f"  {a.type}:\t{a.address}" for a in obj.status.addresses)
    yield "System Info:"
    yield f"  Kernel Version:\t{info.kernel_version}"
    yield f"  OS Image:\t{info.os_image}"
    yield f"  Container Runtime Version:\t{info.container_runtime_version}"
    yield f"  Kubelet Version:\t{info.kubelet_version}"
    if spec.pod_cidr:
        yield f"PodCIDR:\t{spec.pod_cidr}"
        yield f"PodCIDRs:\t{','.join(spec.pod_cidrs or (spec.pod_cidr,))}"
    here = [p for p in state.list(core.Pod) if p.spec.node_name == obj.name]
    here = [p for p in here if p.status.phase not in ("Succeeded", "Failed")]
    yield f"Non-terminated Pods:\t({len(here)} in total)"
    yield from ("  Namespace\tName\t\tAge", "  ---------\t----\t\t---")
    for pod in here:
        yield f"  {pod.namespace}\t{pod.name}\t\t{age(pod.metadata.creation_timestamp, state.now)}"
    yield NO_EVENTS


def _config_map(obj: core.ConfigMap, state: State) -> Lines:
    yield from headed(obj)
    yield from ("", "Data", "====")
    for key in sorted(obj.data):
        yield from (f"{key}:", "----", *obj.data[key].split("\n"), "")
    yield from ("", "BinaryData", "====")
    binary = obj.manifest.get("binaryData", {})
    yield from (f"{key}: {len(b64decode(binary[key]))} bytes" for key in sorted(binary))
    yield from ("", NO_EVENTS)


def _secret(obj: core.Secret, state: State) -> Lines:
    """Sizes only: describe never prints what a Secret holds."""
    yield from headed(obj)
    yield from ("", f"Type:\t{obj.type}", "", "Data", "====")
    data = obj.manifest.get("data", {})
    yield from (f"{key}:\t{len(b64decode(data[key]))} bytes" for key in sorted(data))


def _service_account(obj: core.ServiceAccount, state: State) -> Lines:
    yield from headed(obj)
    pulls = [s.get("name", "") for s in obj.manifest.get("imagePullSecrets", ())]
    yield f"Image pull secrets:\t{', '.join(pulls) or '<none>'}"
    yield NO_EVENTS


def _ingress_class(obj: networking.IngressClass, state: State) -> Lines:
    yield from headed(obj)
    yield f"Controller:\t{obj.spec.controller}"
    yield NO_EVENTS


# --- kinds that kubectl knows nothing about ------------------------------------------------------

SHOWN_ABOVE = {"name", "namespace", "labels", "annotations", "managedFields"}


def _generic(obj: Object, state: State) -> Lines:
    shown = encode(obj)
    yield from named(obj)
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    yield f"API Version:\t{shown.pop('apiVersion', '')}"
    yield f"Kind:\t{shown.pop('kind', '')}"
    meta = {k: v for k, v in shown.get("metadata", {}).items() if k not in SHOWN_ABOVE}
    yield from _fields({**shown, "metadata": meta}, "")
    yield NO_EVENTS


def _fields(fields: Mapping[str, Any], indent: str) -> Lines:
    for key in sorted(fields):
        value = fields[key]
        if isinstance(value, Mapping | list):
            yield f"{indent}{_title(key)}:"
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, Mapping):
                    yield from _fields(item, indent + "  ")
                else:
                    yield f"{indent}  {_go(item)}"
        else:
            yield f"{indent}{_title(key)}:\t{_go(value)}"


def _go(value: Any) -> str:
    """A value as Go prints it."""
    return (
        str(value).lower() if isinstance(value, bool) else "<nil>" if value is None else str(value)
    )


def _title(key: str) -> str:
    """`creationTimestamp` -> `Creation Timestamp`, `uid` -> `UID`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z]+", key)
    known = {"API", "URL", "UID", "OSB", "GUID"}
    return " ".join(w.upper() if w.upper() in known else w[:1].upper() + w[1:] for w in words)


DESCRIBERS: dict[type[Object], Describer] = {
    core.Namespace: _namespace,
    core.Node: _node,
    core.ConfigMap: _config_map,
    core.Secret: _secret,
    core.ServiceAccount: _service_account,
    core.Pod: describe_pods.pod,
    core.Service: describe_network.service,
    core.Endpoints: describe_network.endpoints,
    apps.Deployment: describe_pods.deployment,
    apps.ReplicaSet: describe_pods.replica_set,
    apps.StatefulSet: describe_pods.stateful_set,
    apps.DaemonSet: describe_pods.daemon_set,
    apps.Job: describe_pods.job,
    discovery.EndpointSlice: describe_network.endpoint_slice,
    networking.NetworkPolicy: describe_network.network_policy,
    networking.Ingress: describe_network.ingress,
    networking.IngressClass: _ingress_class,
}
