"""Random clusters by seed: manifests as a user would write them."""

from __future__ import annotations

import random

from labkit.cluster import Cluster
from labkit.kernel.netns import Network
from labkit.traffic.program import program
from tests.kernel.model import Flow

SEEDS = range(20)


def deployment(name: str, replicas: int, ports: str) -> dict:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {"labkit.dev/listens": ports}},
                "spec": {"containers": [{"name": "c", "image": "web"}]},
            },
        },
    }


def service(name: str, app: str, port: int, target: int, **spec) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": app},
            "ports": [
                {"name": "a", "port": port, "targetPort": target},
                {"name": "b", "port": port, "targetPort": target, "protocol": "UDP"},
            ],
            **spec,
        },
    }


def random_cluster(seed: int) -> Cluster:
    """Two or three nodes, a few Deployments, and Services of every kind over them."""
    dice = random.Random(seed)
    apps = [f"app{i}" for i in range(dice.randint(2, 3))]
    manifests = [
        deployment(app, dice.choice([1, 2, 3]), "8080/TCP,8080/UDP,9090/TCP") for app in apps
    ]
    for i in range(4):
        more: dict = {}
        if dice.random() < 0.6:
            more["type"] = "NodePort"
            more["externalTrafficPolicy"] = dice.choice(["Cluster", "Local"])
        if dice.random() < 0.25:
            more["internalTrafficPolicy"] = "Local"
        app = dice.choice([*apps, "nobody"])
        port = dice.choice([80, 443])
        target = dice.choice([8080, 8080, 8080, 7777])
        manifests.append(service(f"svc{i}", app, port, target, **more))
    return Cluster.from_manifests(
        manifests,
        nodes=dice.choice([2, 3]),
        cni=dice.choice(["flannel", "flannel/host-gw", "calico", "calico/vxlan"]),
        proxy_mode=dice.choice(["iptables", "nftables"]),
    )


def network_of(lab: Cluster) -> Network:
    return program(lab.state)


def flows(lab: Cluster, seed: int, count: int) -> list[Flow]:
    """Random questions to Services, NodePorts, pods and nodes, from everywhere."""
    dice = random.Random(1000 + seed)
    pods = [pod for pod in lab.list("pods") if pod.status.pod_ip]
    names = [f"pod/default/{pod.name}" for pod in pods]
    nodes = {f"node/{n.name}": str(n.status.addresses[0].address) for n in lab.list("nodes")}
    targets = []
    for svc in lab.list("services"):
        for port in svc.spec.ports:
            protocol = port.protocol
            targets.append((str(svc.spec.cluster_ip), port.port, protocol, "inside"))
            if port.node_port:
                targets += [(ip, port.node_port, protocol, "node") for ip in nodes.values()]
    targets += [(str(pod.status.pod_ip), 8080, "TCP", "inside") for pod in pods]
    targets += [(ip, dice.choice([10250, 4]), "TCP", "node") for ip in nodes.values()]
    found = []
    while len(found) < count:
        address, port, protocol, where = dice.choice(targets)
        starts = [*names, *nodes] + (["outside"] if where == "node" else [])
        found.append(Flow(dice.choice(starts), address, port, protocol))
    return found
