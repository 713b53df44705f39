"""Small clusters for the tests of controllers: dull manifests, and what became of them."""

from __future__ import annotations

from typing import Any

from labkit.cluster import Cluster

Manifest = dict[str, Any]


def container(*ports: int, name: str = "c", image: str = "c:1", **more: Any) -> Manifest:
    return {
        "name": name,
        "image": image,
        "ports": [{"containerPort": port} for port in ports],
        **more,
    }


def workload(kind: str, name: str, replicas: int | None = None, **spec: Any) -> Manifest:
    """A workload whose pods are labelled `app: NAME`; `pod` goes into the pod's spec."""
    pod = {"containers": [container(80)], **spec.pop("pod", {})}
    meta = {"labels": {"app": name}, **spec.pop("template", {})}
    body = {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": meta, "spec": pod}}
    if replicas is not None:
        body["replicas"] = replicas
    api = "batch/v1" if kind == "Job" else "apps/v1"
    if kind == "Job":
        del body["selector"]
        pod.setdefault("restartPolicy", "Never")
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": {**body, **spec}}


def pod(name: str, *containers: Manifest, meta: Manifest | None = None, **spec: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}, **(meta or {})},
        "spec": {"containers": list(containers) or [container(80)], **spec},
    }


def service(name: str, app: str = "", **spec: Any) -> Manifest:
    body = {"selector": {"app": app or name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


def node(name: str, labels: Manifest | None = None, **spec: Any) -> Manifest:
    meta = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec}


def names(lab: Cluster, kind: str = "pods") -> list[str]:
    return [obj.name for obj in lab.list(kind)]


def placed(lab: Cluster) -> dict[str, str]:
    return {p.name: p.spec.node_name for p in lab.list("pods")}


def slices(lab: Cluster, service: str) -> list[Any]:
    return list(lab.list("endpointslices", selector=f"kubernetes.io/service-name={service}"))


def ready(lab: Cluster, service: str) -> dict[str, bool | None]:
    """pod -> ready, over all slices of a Service."""
    found = (e for s in slices(lab, service) for e in s.endpoints)
    return {e.target_ref.name: e.conditions.ready for e in found}
