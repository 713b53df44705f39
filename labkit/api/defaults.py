"""What the API server fills in on every write: `data/defaults.json`, and what is no constant.

Source: Kubernetes `pkg/apis/{core,apps,batch,networking,discovery}/v1/defaults.go`, and the
admission plugins ServiceAccount and DefaultTolerationSeconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from labkit.api.datafiles import data_file
from labkit.api.kinds import BY_KIND

Plain = dict[str, Any]

_TOLERATED = (  # how long a pod stays on a node that is gone
    {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists"},
    {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists"},
)
_TEMPLATED = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = msgspec.json.decode(data_file("defaults.json").read_bytes())
    return table


def with_defaults(manifest: Mapping[str, Any]) -> Plain:
    """The manifest with nulls gone and defaults in; what was written stays as it is."""
    kind = manifest.get("kind", "")
    filled: Plain = without_nulls(manifest)
    filled.setdefault("metadata", {})
    known = BY_KIND.get(kind)
    if known is None or known.api_version != manifest.get("apiVersion"):
        return filled  # nobody knows what a foreign kind would get
    filled = fill(filled, _table().get(kind, {}))
    if "spec" in filled:
        filled["spec"] = dict(filled["spec"] or {})
        if kind in _TEMPLATED and "template" in filled["spec"]:
            template = dict(filled["spec"]["template"])
            filled["spec"]["template"] = {**template, "spec": pod_spec(template.get("spec") or {})}
    if kind == "Pod":
        filled["spec"] = running_pod_spec(pod_spec(filled.get("spec") or {}))
    _strategy(filled)
    return filled


def without_nulls(value: Any) -> Any:
    """A copy in which a field that is null is not there: the API sees no difference."""
    if isinstance(value, Mapping):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value]
    return value


def fill(value: Any, defaults: Mapping[str, Any]) -> Any:
    """`value` with the defaults that it lacks; a default for `key[]` is for a list's items."""
    if not isinstance(value, Mapping):
        return value
    filled = dict(value)
    for key, default in defaults.items():
        name = key.removesuffix("[]")
        if name != key:
            if name in filled:
                filled[name] = [fill(item, default) for item in filled[name]]
        elif isinstance(default, Mapping) and default:
            filled[name] = fill(filled.get(name) or {}, default)
        elif name not in filled:
            filled[name] = without_nulls(default)
    return filled


def pod_spec(spec: Mapping[str, Any]) -> Plain:
    """The spec of a pod or of a template with its defaults."""
    filled: Plain = fill(spec, _table()["PodSpec"])
    for group in ("initContainers", "containers"):
        if group in filled:
            filled[group] = [_container(c, filled) for c in filled[group]]
    if "serviceAccountName" in filled:
        filled.setdefault("serviceAccount", filled["serviceAccountName"])
    return filled


def _container(container: Mapping[str, Any], spec: Plain) -> Plain:
    tag = str(container.get("image", "")).rpartition("/")[2].partition(":")[2]
    newest = {} if tag not in ("", "latest") else {"imagePullPolicy": "Always"}
    filled: Plain = fill({**newest, **container}, _table()["Container"])
    if spec.get("hostNetwork"):
        # A port of a pod that shares its node's namespace is a port of the node.
        ports = filled.get("ports", [])
        filled["ports"] = [{"hostPort": p.get("containerPort"), **p} for p in ports]
        if not ports:
            del filled["ports"]
    return filled


def running_pod_spec(spec: Mapping[str, Any]) -> Plain:
    """What the admission plugins add to a pod itself, though not to a template."""
    filled = {"enableServiceLinks": True, "serviceAccountName": "default", **spec}
    filled.setdefault("serviceAccount", filled["serviceAccountName"])
    tolerations = list(filled.get("tolerations", []))
    keys = {t.get("key") for t in tolerations if t.get("effect", "NoExecute") == "NoExecute"}
    if None not in keys:
        missing = (t for t in _TOLERATED if t["key"] not in keys)
        tolerations += [{**t, "tolerationSeconds": 300} for t in missing]
    filled["tolerations"] = tolerations
    return filled


def _strategy(manifest: Plain) -> None:
    spec: Plain = manifest.get("spec") or {}
    kind = manifest.get("kind")
    if kind == "Deployment" and spec["strategy"].get("type") == "RollingUpdate":
        half = {"maxSurge": "25%", "maxUnavailable": "25%"}
        spec["strategy"] = {**spec["strategy"]}
        spec["strategy"]["rollingUpdate"] = {**half, **spec["strategy"].get("rollingUpdate", {})}
    if kind == "NetworkPolicy" and "policyTypes" not in spec:
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
