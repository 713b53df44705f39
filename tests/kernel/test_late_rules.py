"""A Service scaled to zero, moment by moment: what clients hear while a node's rules are late."""

from __future__ import annotations

import pytest

from labkit import kubectl
from labkit.traffic.program import lagging
from tests.kernel.clusters import Cluster, deployment, service
from tests.kernel.model import Flow, expected
from tests.kernel.real import Real

PAUSE = {"preStop": {"sleep": {"seconds": 5}}}


@pytest.fixture(scope="module", params=["iptables", "nftables"])
def town(request):
    """The states of a scale-down by name, a client on node-1, and the Service's address."""
    web = deployment("web", 2, "8080/TCP")
    web["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = PAUSE
    made = [web, deployment("client", 2, "9090/TCP"), service("web", "web", 80, 8080)]
    lab = Cluster.from_manifests(made, nodes=2, cni="flannel", proxy_mode=request.param)
    states = {"ready": lab.state}
    kubectl(lab, "scale deployment web --replicas=0")
    states["leaving"] = lab.state
    lab.wait(5)
    states["gone"] = lab.state
    client = next(p for p in lab.list("pods") if p.spec.node_name == "node-1")
    return states, f"pod/default/{client.name}", str(lab.get("svc/web").spec.cluster_ip)


CASES = {
    # what it shows: (what is there, what the rules of both nodes know, what a client hears)
    "all are leaving, and serve": ("leaving", "leaving", "answered"),
    "late rules still lead to pods that serve": ("leaving", "ready", "answered"),
    "late rules lead to where nobody is": ("gone", "leaving", "unreachable"),
    "rules that know refuse": ("gone", "gone", "refused"),
}


@pytest.mark.parametrize(("now", "then", "heard"), CASES.values(), ids=CASES)
def test_model_and_kernel_agree_on_late_rules(town, now, then, heard):
    states, client, address = town
    network = lagging(states[now], {"node-1": states[then], "node-2": states[then]})
    flow = Flow(client, address, 80)
    want = expected(network, flow)
    assert {seen[0] for seen in want} == {heard}
    with Real(network) as real:
        for _ in range(8 if heard == "answered" else 1):
            assert real.ask(flow.protocol, flow.start, flow.address, flow.port, 5) in want
