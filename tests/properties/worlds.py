"""Random small clusters as manifests; and what of an object does not tell when it was made."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from labkit.api.objects import encode
from labkit.api.state import State

Manifest = dict[str, Any]
NAMES = ("web", "db", "cache")
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")

ports = st.lists(st.sampled_from([80, 53, 8080]), max_size=2, unique=True)


@st.composite
def workloads(draw: st.DrawFn) -> Manifest:
    kind, name = draw(st.sampled_from(KINDS)), draw(st.sampled_from(NAMES))
    on_host = draw(st.booleans())
    containers = [
        {
            "name": f"c{i}",
            "image": draw(st.sampled_from(["a:1", "a:2"])),
            "ports": [{"containerPort": port} for port in draw(ports)],
            "readinessProbe": {"tcpSocket": {"port": draw(st.sampled_from([80, 8080]))}},
        }
        # On the host, two containers may not even declare the same port.
        for i in range(1 if on_host else draw(st.integers(1, 2)))
    ]
    spec: Manifest = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": containers, "hostNetwork": on_host},
        },
    }
    if kind != "DaemonSet":
        spec["replicas"] = draw(st.integers(0, 4))
    meta = {"name": f"{kind.lower()}-{name}"}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec}


@st.composite
def services(draw: st.DrawFn) -> Manifest:
    name = draw(st.sampled_from(NAMES))
    spec = {
        "type": draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"])),
        "selector": {"app": draw(st.sampled_from(NAMES))},
        "ports": [{"port": 80, "targetPort": draw(st.sampled_from([80, 8080]))}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@st.composite
def pods(draw: st.DrawFn) -> Manifest:
    name = draw(st.sampled_from(NAMES))
    spec = {
        "containers": [{"name": "c", "image": "c:1"}],
        "nodeSelector": draw(st.sampled_from([{}, {"zone": "nowhere"}])),
    }
    meta = {"name": f"pod-{name}", "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


@st.composite
def worlds(draw: st.DrawFn, most: int = 5) -> list[Manifest]:
    """Manifests of a cluster, no name twice."""
    found = draw(st.lists(st.one_of(workloads(), services(), pods()), max_size=most))
    return list({(m["kind"], m["metadata"]["name"]): m for m in found}.values())


def timeless(state: State) -> dict[str, Any]:
    """The objects as they are printed, without stamps that count writes."""
    return {str(key): _bare(encode(obj)) for key, obj in state.objects.items()}


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        stamps = ("uid", "resourceVersion")
        return {k: _bare(v) for k, v in value.items() if k not in stamps}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return _without_uid(value)


def _without_uid(value: Any) -> Any:
    # A message about a crash names the pod with its uid in brackets.
    return value.partition("(")[0] if isinstance(value, str) and "back-off" in value else value
