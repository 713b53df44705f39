"""What a trace tells of policies: who let the packet through, and who dropped it."""

from __future__ import annotations

import re

import pytest

from labkit.lessons.scenarios import scenario
from labkit.proxy import MODES

HEAD = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: backend-policy}
spec:
  podSelector: {matchLabels: {app: backend}}
"""
FROM_FRONTEND = (
    "  ingress: [{from: [{podSelector: {matchLabels: {app: frontend}}}], ports: [{port: %s}]}]"
)


@pytest.fixture
def lab():
    return scenario("shop", cni="calico")


def told(connection) -> list[str]:
    """The rows of FORWARD, with the names of pods' chains cut short."""
    rows = [row for row in str(connection).splitlines() if " FORWARD " in row]
    return [re.sub(r"-cali[0-9a-f]{11}", "-…", " ".join(row.split()[1:])) for row in rows]


KNOWN = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
END = '"End of tier default. Drop if no policies passed packet"'


def test_pods_that_no_policy_selects_are_not_isolated(lab):
    assert told(lab.connect("pod/frontend", "svc/backend:80")) == [
        "node-1 FORWARD accept default/frontend is not isolated for egress",
        "node-2 FORWARD accept default/backend is not isolated for ingress",
        f"node-2 FORWARD accept -A cali-fw-… … {KNOWN}",
        f"node-1 FORWARD accept -A cali-tw-… … {KNOWN}",
    ]


def test_a_policy_that_asks_for_the_services_port_drops_in_front_of_the_pod(lab):
    lab.apply(HEAD + FROM_FRONTEND % 80)
    trace = lab.trace("pod/frontend", "svc/backend:80")
    assert trace.outcome == "timed out"
    assert told(trace) == [
        "node-1 FORWARD accept default/frontend is not isolated for egress",
        f"node-2 FORWARD drop -A cali-tw-… … {END} … -j DROP",
    ]
    assert lab.trace("pod/frontend", "pod/backend:80").outcome == "refused"


def test_the_rule_that_lets_a_packet_in_is_named(lab):
    lab.apply(HEAD + FROM_FRONTEND % "http")
    trace = lab.trace("pod/frontend", "svc/backend:80")
    assert trace
    assert (
        told(trace)[1] == "node-2 FORWARD accept Policy default/backend-policy, rule 1 lets it in"
    )
    (hop,) = (h for h in trace.hops if "rule 1" in h.says)
    assert "backend-policy ingress" in hop.why


def test_a_reply_needs_no_rule(lab):
    lab.apply(HEAD.replace("backend", "frontend") + "  ingress: []")
    assert lab.connect("pod/frontend", "svc/backend:80")
    assert not lab.connect("pod/backend", "svc/frontend:8080")


def test_both_ends_on_one_node_are_asked_on_it(lab):
    assert told(lab.trace("pod/frontend", "svc/pay/payments:8443")) == [
        "node-1 FORWARD accept default/frontend is not isolated for egress",
        "node-1 FORWARD accept pay/payments is not isolated for ingress",
    ]


def test_its_own_node_always_reaches_a_pod_and_other_nodes_do_not(lab):
    lab.apply(HEAD + "  ingress: []\n  policyTypes: [Ingress, Egress]")
    assert lab.connect("node/node-2", "pod/backend:8080")
    assert not lab.connect("node/node-1", "pod/backend:8080")
    assert lab.connect("pod/backend", "node/node-2:10250")
    assert not lab.connect("pod/backend", "node/node-1:10250")


def test_under_flannel_the_same_policy_stops_nothing(lab):
    other = lab.fork(cni="flannel")
    for each in (lab, other):
        each.apply(HEAD + "  ingress: []")
    assert not lab.connect("pod/frontend", "svc/backend:80")
    assert other.connect("pod/frontend", "svc/backend:80")
    assert lab.allowed("pod/frontend", "pod/backend:8080").enforced
    assert not other.allowed("pod/frontend", "pod/backend:8080").enforced


def test_another_plugin_brings_its_own_range_unless_one_is_given():
    flannel = scenario("shop")
    assert flannel.fork(cni="calico").config.pod_cidrs == ("192.168.0.0/16",)
    assert flannel.fork(cni="calico").fork(cni="flannel").config.pod_cidrs == ("10.244.0.0/16",)
    given = flannel.fork(cni="calico", pod_cidrs="10.50.0.0/16")
    assert given.config.pod_cidrs == ("10.50.0.0/16",)
    assert str(given.get("pod/frontend").status.pod_ip).startswith("10.50.")


EGRESS = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: frontend-policy}
spec:
  podSelector: {matchLabels: {app: frontend}}
  policyTypes: [Egress]
"""
TO_PAYMENTS = """  egress:
  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: payments}}}]
"""


@pytest.mark.parametrize("cni", ["calico", "calico/vxlan"])
@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_service_is_no_way_around_a_policy(mode, cni):
    """payments is on the frontend's own node, backend on another."""
    lab = scenario("shop", cni=cni, proxy_mode=mode)
    services = ("svc/pay/payments:8443", "svc/backend:80")
    assert [bool(lab.connect("pod/frontend", s)) for s in services] == [True, True]
    lab.apply(EGRESS + TO_PAYMENTS)
    assert [bool(lab.connect("pod/frontend", s)) for s in services] == [True, False]
    lab.apply(EGRESS)
    assert [bool(lab.connect("pod/frontend", s)) for s in services] == [False, False]
    lab.delete("networkpolicy/frontend-policy")
    closed = HEAD.replace("backend", "payments").replace("{name: ", "{namespace: pay, name: ")
    lab.apply(closed + "  ingress: []")
    assert [bool(lab.connect("pod/frontend", s)) for s in services] == [False, True]
