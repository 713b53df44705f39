"""Pods and NetworkPolicies of any number, from a seed: equal arguments give equal manifests."""

from __future__ import annotations

from random import Random
from typing import Any

APPS = ("web", "api", "cart", "auth", "search", "orders", "mail", "queue", "cache", "db")
TIERS = ("front", "middle", "back")


def pods_and_policies(pods: int, policies: int, seed: int = 1) -> list[dict[str, Any]]:
    """Manifests as a cluster would hold them: replicas share labels, addresses are given."""
    dice = Random(seed)
    spaces = [f"ns-{n}" for n in range(max(2, pods // 25))]
    found = [_namespace(name, dice) for name in spaces]
    labels: dict[str, str] = {}
    space = spaces[0]
    for n in range(pods):
        if n % 3 == 0:
            space = dice.choice(spaces)
            labels = {"app": dice.choice(APPS), "tier": dice.choice(TIERS), "set": str(n // 9)}
        found.append(_pod(n, space, labels))
    return found + [_policy(n, dice, spaces) for n in range(policies)]


def _namespace(name: str, dice: Random) -> dict[str, Any]:
    team = {"team": f"team-{dice.randrange(8)}", "kubernetes.io/metadata.name": name}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": team}}


def _pod(n: int, space: str, labels: dict[str, str]) -> dict[str, Any]:
    address = f"10.{64 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}"
    ports = [{"name": "http", "containerPort": 80}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{n}", "namespace": space, "labels": labels},
        "spec": {
            "nodeName": f"node-{n % 20}",
            "containers": [{"name": "c", "image": "shop.example/x:1", "ports": ports}],
        },
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }


def _policy(n: int, dice: Random, spaces: list[str]) -> dict[str, Any]:
    app = {"matchLabels": {"app": dice.choice(APPS)}}
    team = {"matchLabels": {"team": f"team-{dice.randrange(8)}"}}
    peers: list[list[dict[str, Any]]] = [
        [{"podSelector": app}],
        [{"namespaceSelector": team}],
        [{"namespaceSelector": team, "podSelector": app}],
        [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.64.0.0/20"]}}],
    ]
    ports = dice.choice([[{"port": 80}], [{"port": "http"}], [{"port": 80, "endPort": 90}], []])
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"policy-{n}", "namespace": dice.choice(spaces)},
        "spec": {
            "podSelector": dice.choice([{}, {"matchLabels": {"tier": dice.choice(TIERS)}}]),
            "ingress": [{"from": dice.choice(peers), "ports": ports}],
        },
    }
