"""What the API server does with a manifest on write: fill in, check against the state, allocate.

Errors are worded as the API server words them, since that is what a learner meets in life.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from hashlib import sha256
from typing import Any

import msgspec

from labkit.api import service_admission
from labkit.api.core import Namespace, Pod
from labkit.api.defaults import with_defaults
from labkit.api.kinds import BY_KIND
from labkit.api.lifecycle import check_times, sleep_fault
from labkit.api.listens import LISTENS, parse_listens
from labkit.api.meta import Custom, Object
from labkit.api.networking import IngressClass
from labkit.api.objects import decode, type_of
from labkit.api.state import Key, State, key_of
from labkit.api.times import stamp
from labkit.errors import Conflict, NotFound

Plain = dict[str, Any]

CLUSTER_SCOPED = {  # kinds that the lab does not model and that have no namespace
    "APIService",
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "BGPConfiguration",
    "BGPPeer",
    "CSIDriver",
    "ClusterInformation",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "FelixConfiguration",
    "GatewayClass",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "IPAddress",
    "IPPool",
    "MutatingWebhookConfiguration",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "ServiceCIDR",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingWebhookConfiguration",
}
GENERATIONS = {  # kinds whose `metadata.generation` counts changes of the spec
    "ClusterNetworkPolicy",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "Ingress",
    "IngressClass",
    "Job",
    "NetworkPolicy",
    "Pod",
    "ReplicaSet",
    "StatefulSet",
}
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes makes random names of
DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"


def safe_name(seed: str, length: int = 5) -> str:
    """Letters as in the tail of a generated name or in a hash, the same ones for the same seed.

    Source: `k8s.io/apimachinery/pkg/util/rand` (`String`, `SafeEncodeString`).
    """
    digest = sha256(seed.encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:length])


def namespaced(manifest: Mapping[str, Any]) -> bool:
    kind = BY_KIND.get(manifest["kind"])
    if kind and type_of(manifest) is not Custom:
        return kind.namespaced
    return manifest["kind"] not in CLUSTER_SCOPED


def admit(
    state: State,
    manifest: Mapping[str, Any],
    *,
    namespace: str = "default",
    wanted: Set[Any] = frozenset(),
) -> Object:
    """The object that a write of `manifest` would store; the state is only looked at.

    Args:
        state: what is there already; an object of the same key makes this an update.
        namespace: what a namespaced object without a namespace gets.
        wanted: ClusterIPs and node ports that other manifests of the same file ask for by
            name; they are not handed out.

    Raises:
        NotFound: the namespace is not there.
        Conflict: a number is taken, a field may not change.
        ManifestError: a modelled field has a value of the wrong type.
    """
    filled = with_defaults(manifest)
    meta = filled["metadata"]
    if not namespaced(filled):
        meta.pop("namespace", None)
    elif not meta.get("namespace"):
        meta["namespace"] = namespace
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"] + safe_name(f"{meta['generateName']}{state.revision}")
    found = type_of(filled)
    draft = decode(filled) if found is Custom else None
    key = key_of(draft) if draft else Key(filled["kind"], meta.get("namespace", ""), meta["name"])
    old = state.objects.get(key)
    if key.namespace and old is None and not state.get(Namespace, key.namespace):
        raise NotFound(f'namespaces "{key.namespace}" not found')
    special = _SPECIAL.get(filled["kind"]) if found is not Custom else None
    if special:
        special(state, filled, old, wanted)
    return _updated(old, filled) if old else decode(filled)


def _updated(old: Object, filled: Plain) -> Object:
    """The object after an update: status is not written this way, it stays as it is."""
    carried = old.manifest.get("status")
    filled.pop("status", None)
    if carried is not None:
        filled["status"] = carried
    new = decode(filled)
    status = getattr(old, "status", None)
    return new if status is None else msgspec.structs.replace(new, status=status)


def stamped(state: State, obj: Object, revision: int) -> Object:
    """The object as it is stored at `revision`: with uid, times, version and generation."""
    key = key_of(obj)
    old = state.objects.get(key)
    meta = obj.metadata
    has_generation = key.kind in GENERATIONS
    if old is None:
        uid = meta.uid or _uid(key, revision)
        created = meta.creation_timestamp or stamp(state.now)
        generation = meta.generation or int(has_generation)
    else:
        uid, created = old.metadata.uid, old.metadata.creation_timestamp
        generation = old.metadata.generation + int(has_generation and _spec(old) != _spec(obj))
    return msgspec.structs.replace(
        obj,
        metadata=msgspec.structs.replace(
            meta,
            uid=uid,
            resource_version=str(revision),
            creation_timestamp=created,
            generation=generation,
        ),
    )


def _spec(obj: Object) -> Any:
    if isinstance(obj, Pod):  # being placed on a node is no change of what was asked for
        return msgspec.structs.replace(obj.spec, node_name="")
    return getattr(obj, "spec", None), obj.manifest.get("spec"), getattr(obj, "endpoints", None)


def _uid(key: Key, revision: int) -> str:
    """A version 4 UUID in form, though nothing about it is random."""
    h = sha256(f"{key} {revision}".encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:32]}"


def invalid(kind: str, name: str, fault: str) -> Conflict:
    """`The Service "web" is invalid: spec...: Invalid value: ...`"""
    return Conflict(f'The {kind} "{name}" is invalid: {fault}')


# --- kinds with rules of their own ------------------------------------------------------------


def _namespace(state: State, filled: Plain, old: Object | None, wanted: Set[Any]) -> None:
    meta = filled["metadata"]
    meta["labels"] = {"kubernetes.io/metadata.name": meta["name"], **meta.get("labels", {})}


def _node(state: State, filled: Plain, old: Object | None, wanted: Set[Any]) -> None:
    meta = filled["metadata"]
    known = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": meta["name"]}
    meta["labels"] = {**known, "kubernetes.io/os": "linux", **meta.get("labels", {})}


def _pod(state: State, filled: Plain, old: Object | None, wanted: Set[Any]) -> None:
    name = filled["metadata"]["name"]
    _programs(filled, filled["metadata"], filled.get("spec", {}), "spec.")
    if isinstance(old, Pod):
        new = decode(filled)
        assert isinstance(new, Pod)
        if _fixed(new) != _fixed(old):
            raise invalid("Pod", name, POD_FIXED)


POD_FIXED = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def _fixed(pod: Pod) -> Any:
    """What of a pod's spec may never change."""
    containers = tuple(
        msgspec.structs.replace(c, image="") for c in pod.spec.init_containers + pod.spec.containers
    )
    return msgspec.structs.replace(
        pod.spec,
        containers=containers,
        init_containers=(),
        tolerations=(),
        node_name="",
        termination_grace_period_seconds=0,
    )


def _programs(filled: Plain, meta: Plain, spec: Plain, path: str) -> None:
    """Checks what a pod, or the template of one, says of its programs."""
    kind, name = filled["kind"], filled["metadata"]["name"]
    notes = meta.get("annotations", {})
    parse_listens(str(notes.get(LISTENS, "")), f"{kind}/{name}")
    check_times(notes, f"{kind}/{name}")
    if fault := sleep_fault(spec):
        raise invalid(kind, name, path + fault)


def _templated(state: State, filled: Plain, old: Object | None, wanted: Set[Any]) -> None:
    meta, spec = filled["metadata"], filled["spec"]
    if "template" not in spec:
        fault = "spec.template.spec.containers: Required value"
        raise invalid(filled["kind"], meta["name"], fault)
    template = spec["template"]
    _programs(filled, template.get("metadata", {}), template.get("spec", {}), "spec.template.spec.")
    if old is None:
        return
    before = old.manifest["spec"].get("selector")
    if before != spec.get("selector"):
        shown = msgspec.json.encode(spec.get("selector")).decode()
        fault = f"spec.selector: Invalid value: {shown}: field is immutable"
        raise invalid(filled["kind"], meta["name"], fault)


def _job(state: State, filled: Plain, old: Object | None, wanted: Set[Any]) -> None:
    meta, spec = filled["metadata"], filled["spec"]
    template = spec["template"] = dict(spec["template"])
    uid = _uid(Key("Job", meta["namespace"], meta["name"]), 0)
    known = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": meta["name"],
    }
    labels = {**known, **template.get("metadata", {}).get("labels", {})}
    template["metadata"] = {**template.get("metadata", {}), "labels": labels}
    first = {"batch.kubernetes.io/controller-uid": uid}
    spec.setdefault("selector", {"matchLabels": first})


def _ingress(state: State, filled: Plain, old: Object | None, wanted: Set[Any]) -> None:
    """A default IngressClass is written into an Ingress that names none."""
    old_way = filled["metadata"].get("annotations", {}).get("kubernetes.io/ingress.class")
    defaults = [c for c in state.list(IngressClass) if c.annotations.get(DEFAULT_CLASS) == "true"]
    if defaults and not old_way and old is None:
        filled.setdefault("spec", {}).setdefault("ingressClassName", defaults[0].name)


Special = Callable[[State, Plain, Object | None, Set[Any]], None]

_SPECIAL: Mapping[str, Special] = {
    "DaemonSet": _templated,
    "Deployment": _templated,
    "Ingress": _ingress,
    "Job": _job,
    "Namespace": _namespace,
    "Node": _node,
    "Pod": _pod,
    "ReplicaSet": _templated,
    "Service": service_admission.admit,
    "StatefulSet": _templated,
}
