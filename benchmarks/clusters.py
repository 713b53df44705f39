"""Clusters of any size for the measurements: equal arguments give equal manifests."""

from __future__ import annotations

from typing import Any


def workload(name: str, replicas: int, port: int) -> list[dict[str, Any]]:
    """A Deployment and its Service, as a mapping each."""
    labels = {"app": name}
    container = {"name": name, "image": "shop.example/x:1", "ports": [{"containerPort": port}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": port}]},
    }
    return [deployment, service]


def workloads(count: int, replicas: int) -> list[dict[str, Any]]:
    """`count` Deployments of `replicas` pods, each with a Service: `2 * count` objects."""
    return [m for n in range(count) for m in workload(f"app-{n}", replicas, 8000 + n % 1000)]
