"""NodeLocal DNSCache: whose question stays on its node, who remembers, and what breaks it."""

from __future__ import annotations

import pytest

from labkit import scenario
from labkit.dns.nodelocal import filled_in
from labkit.errors import LabError

CLUSTER, OUTSIDE = "backend.default.svc.cluster.local.", "api.stripe.com."


@pytest.fixture
def lab():
    return scenario("shop", node_local_dns=True)


def asked(lab, place, name, seconds=0):
    lab.wait(seconds)
    return lab.resolve(place, name, "A").questions[0]


def test_the_template_is_filled_in_by_the_process_itself(lab):
    pod = next(p for p in lab.list("pods", namespace="kube-system") if "node-local" in p.name)
    text = filled_in(
        lab.get("configmap/kube-system/node-local-dns").data["Corefile"], lab.state, pod
    )
    upstream = lab.get("svc/kube-system/kube-dns-upstream").spec.cluster_ip
    assert f"forward . {upstream} {{" in text
    assert "forward . /etc/resolv.conf" in text
    assert "__PILLAR__" not in text


@pytest.mark.parametrize("proxy_mode", ["iptables", "nftables"])
@pytest.mark.parametrize(
    ("place", "node"), [("pod/frontend", "node-1"), ("pod/db", "node-3"), ("node-2", "node-2")]
)
def test_a_question_to_the_clusters_address_ends_on_its_own_node(proxy_mode, place, node):
    lab = scenario("shop", node_local_dns=True, proxy_mode=proxy_mode)
    question = lab.resolve(place, CLUSTER, "A", server="10.96.0.10").questions[0]
    assert question.server == f"node/{node}"
    assert any(hop.why.endswith("NOTRACK") for hop in question.connection.request.hops)
    assert not any(hop.action == "rewrite" for hop in question.connection.request.hops)


def test_a_miss_goes_to_coredns_by_tcp_and_strangers_go_straight_outside(lab):
    reply = asked(lab, "pod/frontend", CLUSTER).reply
    upstream = lab.get("svc/kube-system/kube-dns-upstream").spec.cluster_ip
    assert reply.upstreams == (upstream,)
    counts = {dict(s.labels).get("proto") for c in lab.names.counts.values() for s in c}
    assert {"udp", "tcp"} <= counts
    assert asked(lab, "pod/frontend", OUTSIDE).reply.upstreams == ("203.0.113.9",)


REMEMBERED = {
    # name: the last second at which the cache still answers
    "a yes of the cluster": (CLUSTER, 29),
    "a no of the cluster": ("late.default.svc.cluster.local.", 4),
    "a yes of outside": (OUTSIDE, 29),
    "a no of outside": ("nobody.example.", 29),
}


@pytest.mark.parametrize(("name", "last"), REMEMBERED.values(), ids=REMEMBERED)
def test_each_node_remembers_for_itself(lab, name, last):
    assert not asked(lab, "pod/frontend", name).reply.cached
    assert asked(lab, "pod/frontend", name, last).reply.cached
    assert not asked(lab, "pod/db", name).reply.cached
    assert not asked(lab, "pod/frontend", name, 1).reply.cached


def test_without_its_pod_a_node_asks_by_the_service_again(lab):
    lab.delete("daemonset/kube-system/node-local-dns")
    question = asked(lab, "pod/frontend", CLUSTER)
    assert question.server.startswith("pod/kube-system/coredns-")
    assert "nodelocaldns" not in {k.name for k in lab.network.namespaces["node/node-1"].links}


def test_without_coredns_the_node_knows_outside_names_only(lab):
    deployment = lab.get("deployment/kube-system/coredns").manifest
    lab.apply([{**deployment, "spec": {**deployment["spec"], "replicas": 0}}])
    assert asked(lab, "pod/frontend", CLUSTER).sent.answer.rcode == "SERVFAIL"
    assert asked(lab, "pod/frontend", OUTSIDE).sent.answer.rcode == "NOERROR"


@pytest.mark.parametrize("proxy_mode", ["ipvs", "ebpf"])
def test_other_modes_hold_the_address_themselves(proxy_mode):
    with pytest.raises(LabError, match=r"node_local_dns: .* not beside"):
        scenario("shop", node_local_dns=True, proxy_mode=proxy_mode)


def test_a_configmap_that_is_gone_leaves_its_file_in_the_pods():
    lab = scenario("shop")
    lab.delete("configmap/kube-system/coredns")
    assert lab.connect("pod/frontend", "svc/kube-system/kube-dns:53")
    assert lab.resolve("pod/frontend", CLUSTER, "A")


def test_a_fork_can_have_the_cache():
    lab = scenario("shop").fork(node_local_dns=True)
    assert asked(lab, "pod/frontend", CLUSTER).server == "node/node-1"
