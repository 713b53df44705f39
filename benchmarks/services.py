"""What Services cost in each proxy mode: writing the tables, a connection, exact odds."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.timing import best, peak, show
from labkit import Cluster
from labkit.api.state import State
from labkit.proxy import MODES, proxy_parts

MANY, ENDPOINTS = 1000, 3


def slice_and_service(number: int) -> list[dict[str, object]]:
    """A Service with three endpoints that no pod stands behind."""
    name = f"app-{number}"
    ip = f"10.96.{1 + number // 250}.{1 + number % 250}"
    addresses = [f"10.244.{i}.{2 + number % 250}" for i in range(1, ENDPOINTS + 1)]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"clusterIP": ip, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [each]} for each in addresses],
        },
    ]


def wide(count: int) -> list[dict[str, object]]:
    """One Service with `count` pods behind it, and a client."""
    labels = {"app": "wide"}
    container = {"name": "c", "image": "shop.example/x:1", "ports": [{"containerPort": 8080}]}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "wide"},
            "spec": {
                "replicas": count,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "wide"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]


def fresh(state: State) -> Callable[[], object]:
    """Programs all nodes as if the state were new: nothing is kept from the run before."""

    def work() -> object:
        copy = State(state.config, state.objects, state.revision, state.now, state.gone)
        return proxy_parts(copy)

    return work


def measure() -> None:
    many = [each for number in range(MANY) for each in slice_and_service(number)]
    for mode in MODES:
        lab = Cluster.from_manifests([*many, *wide(1)], nodes=3, proxy_mode=mode)
        cost = best(fresh(lab.state), runs=3)
        show(f"{MANY} Services x {ENDPOINTS} on 3 nodes, {mode}", cost * 1e3, "ms", "under 1000")
        show("  and their memory at the peak", peak(fresh(lab.state)), "MB")
        lab.connect("pod/wide", "svc/wide:80")
        once = best(lambda lab=lab: [lab.connect("pod/wide", "svc/wide:80") for _ in range(20)])
        rules = lab.last.request.rules
        show(f"  a connection among them ({rules} rules met)", once / 20 * 1e3, "ms", "under 5")
    for mode in MODES:
        lab = Cluster.from_manifests(wide(100), nodes=3, proxy_mode=mode)
        lab.outcomes("pod/wide", "svc/wide:80")
        cost = best(lambda lab=lab: lab.outcomes("pod/wide", "svc/wide:80"), runs=3)
        show(f"exact odds of 100 endpoints, {mode}", cost * 1e3, "ms", "wanted under 20")
