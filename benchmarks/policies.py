"""What policies cost: pods and policies of any number, from a seed, and all pairs of them."""

from __future__ import annotations

from random import Random
from typing import Any

import yaml
from msgspec.structs import replace

from benchmarks.timing import best, peak, show
from labkit import Cluster
from labkit.api.networking import NetworkPolicy
from labkit.api.objects import decode
from labkit.api.state import ClusterConfig, State, key_of
from labkit.policy.reach import reachability

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


def tiers(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """ClusterNetworkPolicies of both tiers; each is about all pods and has three rules."""
    dice = Random(seed)
    return [_cluster_policy(n, dice) for n in range(count)]


def _cluster_policy(n: int, dice: Random) -> dict[str, Any]:
    team = {"namespaces": {"matchLabels": {"team": f"team-{dice.randrange(8)}"}}}
    app = {"pods": {"podSelector": {"matchLabels": {"app": dice.choice(APPS)}}}}
    ports = [{"tcp": {"destinationPort": {"range": {"start": 80, "end": 90}}}}]
    spec = {
        "tier": dice.choice(["Admin", "Baseline"]),
        "priority": n,
        "subject": {"namespaces": {}},
        "ingress": [
            {"action": "Accept", "from": [team], "protocols": ports},
            {"action": "Deny", "from": [app]},
        ],
        "egress": [{"action": "Pass", "to": [{"networks": ["10.64.0.0/20"]}]}],
    }
    return {
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": f"tier-{n}"},
        "spec": spec,
    }


def _state(manifests: list[dict[str, Any]]) -> State:
    return State(ClusterConfig(), {key_of(o): o for o in map(decode, manifests)})


def measure() -> None:
    for pods, count, wanted in ((1000, 100, 100), (3000, 300, 300), (10_000, 1000, 2000)):
        state = _state(pods_and_policies(pods, count))
        took = best(lambda s=state: reachability(s, 80), runs=3)  # type: ignore[misc]
        what = f"all pairs of {pods} pods under {count} policies"
        show(what, took * 1e3, "ms", f"under {wanted}")
    memory = peak(lambda: reachability(State(state.config, state.objects), 80))
    show("  and their memory at the peak", memory, "MB", "under 100")
    show("one of 100 policies changed, 1000 pods", _changed() * 1e3, "ms", "under 30")
    layered = _state([*pods_and_policies(1000, 100), *tiers(50)])
    took = best(lambda: reachability(State(layered.config, layered.objects), 80), runs=3)
    show("  with 50 ClusterNetworkPolicies around them", took * 1e3, "ms", "under 100")
    text = "---\n".join(map(yaml.safe_dump, pods_and_policies(1000, 100)))
    took = best(lambda: Cluster.from_manifests(text, cni="calico").port_map(), runs=2)
    show("1000 pods from YAML to the map of all ports", took, "s", "under 5")


def _changed() -> float:
    """Seconds to answer anew for a state that differs in one policy."""
    state = _state(pods_and_policies(1000, 100))
    first = state.list(NetworkPolicy)[0]
    closed = replace(first, spec=replace(first.spec, ingress=()))
    return best(lambda: reachability(state.put_all([(key_of(closed), closed)]), 80))
