"""L13: the head of its policies, and the shops that its checks try an answer in."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.cluster import Cluster
from labkit.lessons.doors import NEWCOMERS, Door, renewed, scaled, shop

HEAD = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s-policy}
spec:
  podSelector: {matchLabels: {app: %s}}
"""
ALL = (
    "ops/shell", "pay/frontend", "default/monitoring", "ops/monitoring", "default/db",
    "pay/payments",
)  # fmt: skip


def hidden() -> Iterator[tuple[str, Cluster]]:
    """Shops that the learner has not seen, each with a few words about it."""
    yield "With new pods and their addresses", renewed(shop(*NEWCOMERS))
    yield "With a second backend pod", scaled(shop(*NEWCOMERS), "backend", 2)
    more = (*NEWCOMERS, ("frontend", "ops"), ("monitoring", "stage"), ("backend", "ops"))
    yield "With namesakes in other namespaces", shop(*more)


def namesakes(lab: Cluster, *names: str) -> Iterator[Door]:
    """Closed doors for pods of these names in namespaces that the visible shop lacks them in."""
    for pod in lab.list("pods", namespace="*"):
        title = f"{pod.namespace}/{pod.name}"
        if pod.name in names and title not in (*ALL, "default/frontend"):
            yield Door(title, "backend", 8080)
