"""Services of every type, in both modes that this kernel has: real clients against exact odds."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import pytest

from labkit.cluster import Cluster
from tests.kernel.clusters import deployment, network_of, service
from tests.kernel.model import Flow, contradictions, expected
from tests.kernel.real import Real

SEEDS, FLOWS, CONNECTIONS = range(40), 24, 20
PATIENCE, MORE_PATIENCE = 0.25, 3.0
VARIANTS = ("iptables-nft", "iptables-legacy", "nftables")
PRIVATE = "10.0.0.0/8", "192.168.0.0/16"


class Variant(Real):
    """The same network, its rules loaded by one of the two programs called iptables."""

    def __init__(self, network, variant: str) -> None:
        super().__init__(network)
        self.flavour = variant.removeprefix("iptables-")

    def run(self, words, stdin=""):
        named = {
            f"{kind}-restore": f"{kind}-{self.flavour}-restore"
            for kind in ("iptables", "ip6tables")
        }
        if self.flavour in ("nft", "legacy"):
            words = tuple(named.get(word, word) for word in words)
        return super().run(words, stdin)


def random_service(dice: random.Random, number: int, apps: list[str]) -> dict:
    """One Service of a random type; some have nobody behind them, some a port that is closed."""
    spec: dict = {"type": dice.choice(["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer"])}
    if spec["type"] != "ClusterIP":
        spec["externalTrafficPolicy"] = dice.choice(["Cluster", "Local"])
    if dice.random() < 0.3:
        spec["internalTrafficPolicy"] = "Local"
    if dice.random() < 0.3:
        spec["externalIPs"] = [f"198.51.100.{number}"]
    if spec["type"] == "LoadBalancer" and dice.random() < 0.5:
        spec["loadBalancerSourceRanges"] = [dice.choice(PRIVATE)]
    target = dice.choice([8080, 8080, 8080, 7777])
    made = service(f"svc{number}", dice.choice([*apps, "nobody"]), 80, target, **spec)
    if spec["type"] == "LoadBalancer":
        mode = dice.choice(["VIP", "VIP", "Proxy"])
        ingress = [{"ip": f"192.0.2.{number + 1}", "ipMode": mode}]
        made["status"] = {"loadBalancer": {"ingress": ingress}}
    return made


def random_lab(seed: int, mode: str) -> Cluster:
    dice = random.Random(seed)
    apps = ["one", "two"]
    pods = [deployment(app, dice.choice([1, 2, 3]), "8080/TCP,8080/UDP") for app in apps]
    services = [random_service(dice, number, apps) for number in range(6)]
    cni = dice.choice(["flannel", "flannel/host-gw"])
    return Cluster.from_manifests([*pods, *services], nodes=2, cni=cni, proxy_mode=mode)


def questions(lab: Cluster, seed: int) -> list[Flow]:
    """To every address of every Service, from pods, nodes and the outside."""
    dice = random.Random(500 + seed)
    inside = [f"pod/default/{pod.name}" for pod in lab.list("pods") if pod.status.pod_ip]
    nodes = {f"node/{n.name}": n.status.addresses[0].address for n in lab.list("nodes")}
    asked = []
    for svc in (s for s in lab.list("services") if s.name.startswith("svc")):
        ingress = [i.ip for i in svc.status.load_balancer.ingress]
        for address in (svc.spec.cluster_ip, *svc.spec.external_ips, *ingress):
            asked += [(address, 80, start) for start in (*inside, *nodes)]
        if node_port := svc.spec.ports[0].node_port:
            starts = [*inside, *nodes, "outside", "outside"]
            asked += [(ip, node_port, start) for ip in nodes.values() for start in starts]
    chosen = dice.sample(asked, min(FLOWS, len(asked)))
    return [Flow(start, str(ip), port, dice.choice(["TCP", "UDP"])) for ip, port, start in chosen]


@pytest.mark.needs("root", "iptables", "nft")
@pytest.mark.parametrize("seed", SEEDS)
def test_real_connections_end_as_the_model_says(seed):
    variant = VARIANTS[seed % len(VARIANTS)]
    lab = random_lab(seed, "nftables" if variant == "nftables" else "iptables")
    network = network_of(lab)
    wrong = []
    with Variant(network, variant) as real:
        for flow in questions(lab, seed):
            want = expected(network, flow)
            wrong += [
                f"{flow}: {line}" for line in contradictions(want, partial(heard, real, flow, want))
            ]
    assert not wrong, "\n".join(wrong)


def heard(real, flow, want) -> Counter:
    got: Counter = Counter()
    silent = ("timed out",)
    for _ in range(CONNECTIONS if len(want) > 1 else 1):
        seen = real.ask(flow.protocol, flow.start, flow.address, flow.port, PATIENCE)
        if seen == silent and silent not in want:
            seen = real.ask(flow.protocol, flow.start, flow.address, flow.port, MORE_PATIENCE)
        got[seen] += 1
    return got
