"""The machine `lb` in real namespaces: its NAT, its equal routes, and what a real client hears."""

from __future__ import annotations

from functools import partial

import pytest

from labkit.cluster import Cluster
from tests.kernel.clusters import deployment, network_of, service
from tests.kernel.model import Flow, contradictions, expected
from tests.kernel.real import Real
from tests.kernel.test_service_types import heard

BALANCERS = ("aws-nlb-instance", "aws-nlb-ip", "aws-clb", "gcp-passthrough", "naive")
RANGES = {"everybody": [], "the client": ["203.0.113.0/24"], "others": ["192.0.2.0/24"]}


def lab_with(who: str, policy: str, mode: str, ranges: list[str]) -> Cluster:
    """Three nodes, three pods of which at least two share a node under a balancer."""
    more = {"loadBalancerSourceRanges": ranges} if ranges else {}
    front = service("front", "web", 80, 8080, type="LoadBalancer",
                    externalTrafficPolicy=policy, **more)  # fmt: skip
    pods = deployment("web", 3, "8080/TCP,8080/UDP")
    pods["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{
            "matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In",
                                  "values": ["node-1", "node-2"]}]}]}}}  # fmt: skip
    return Cluster.from_manifests([pods, front], nodes=3, proxy_mode=mode, load_balancer=who)


@pytest.mark.needs("root", "iptables", "nft")
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize("who", BALANCERS)
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_real_clients_meet_the_odds_of_the_model(who, policy, mode):
    network_and_questions(lab_with(who, policy, mode, []))


@pytest.mark.needs("root", "iptables", "nft")
@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
@pytest.mark.parametrize("who", ["aws-nlb-instance", "gcp-passthrough"])
def test_source_ranges_let_in_whom_the_model_lets_in(who, ranges):
    network_and_questions(lab_with(who, "Local", "iptables", ranges))


def network_and_questions(lab: Cluster) -> None:
    network = network_of(lab)
    (address,) = (i.ip for i in lab.get("svc/front").status.load_balancer.ingress)
    asked = [Flow("outside", address, port, p) for port in (80, 81) for p in ("TCP", "UDP")]
    wrong = []
    with Real(network) as real:
        for flow in asked:
            want = expected(network, flow)
            wrong += [
                f"{flow}: {line}" for line in contradictions(want, partial(heard, real, flow, want))
            ]
    assert not wrong, "\n".join(wrong)
