"""Wrong numbers, addresses and names for Services: one line, place, fault, cure; nothing changes.

Where kubectl has words of its own, they stand first; the lab's cure follows behind a semicolon.
"""

from __future__ import annotations

import re

import pytest

from labkit import kubectl, on, scenario
from labkit.errors import LabError

SERVICE = """apiVersion: v1
kind: Service
metadata: {name: %s}
spec: {type: %s, %sselector: {app: backend}, ports: [{port: 80, targetPort: 8080%s}]}
"""
LOCAL = "externalTrafficPolicy: Local, "
PORT = ".spec.ports[0].nodePort:"
TAKEN = "provided port is already allocated; default/held has it: leave it out"


def service(name: str = "web", type: str = "ClusterIP", spec: str = "", port: str = "") -> str:
    return SERVICE % (name, type, spec, port)


HELD = service("held", "NodePort", port=", nodePort: 30001") + "---\n"
HELD += service("front", "LoadBalancer")

APPLIED = {
    # what is wrong: (manifest, place, fault and cure)
    "a node port below the range": (
        service(type="NodePort", port=", nodePort: 80"),
        PORT, "80 is not in the range of node ports; choose from 30000-32767, or leave it out"),
    "a node port above the range": (
        service(type="NodePort", port=", nodePort: 40000"),
        PORT, "40000 is not in the range of node ports; choose from 30000-32767, or leave it out"),
    "a node port that is taken": (
        service(type="NodePort", port=", nodePort: 30001"),
        "spec.ports[0].nodePort:", f"Invalid value: 30001: {TAKEN}"),
    "a node port that is a word": (
        service(type="NodePort", port=", nodePort: http"),
        PORT, "must be a whole number, not the text `http`"),
    "a node port without the type for it": (
        service(port=", nodePort: 30002"),
        PORT, "does not go with type ClusterIP; use type NodePort"),
    "a health check port out of range": (
        service(type="LoadBalancer", spec=f"{LOCAL}healthCheckNodePort: 80, "),
        "spec.healthCheckNodePort:", "The range of valid ports is 30000-32767"),
    "a health check port that is taken": (
        service(type="LoadBalancer", spec=f"{LOCAL}healthCheckNodePort: 30001, "),
        "spec.healthCheckNodePort:", TAKEN),
    "a health check port under the policy Cluster": (
        service(type="LoadBalancer", spec="healthCheckNodePort: 30002, "),
        ".spec.healthCheckNodePort:", "needs externalTrafficPolicy Local and type LoadBalancer"),
    "a clusterIP outside the range": (
        service(spec="clusterIP: 10.0.0.1, "),
        "spec.clusterIPs[0]:", "not in the valid range. The range of valid IPs is 10.96.0.0/12"),
    "a clusterIP that is taken": (
        service(spec="clusterIP: 10.96.1.2, "),
        "spec.clusterIPs[0]:",
        "provided IP is already allocated; default/backend has it: leave clusterIP out"),
    "a clusterIP that is none": (
        service(spec="clusterIP: 10.96.1.2222, "),
        ".spec.clusterIP:", "`10.96.1.2222` is neither an IP address nor `None`"),
    "another clusterIP for a Service that has one": (
        service("backend", spec="clusterIP: 10.96.1.77, "),
        "spec.clusterIPs[0]:",
        "may not change once set; write 10.96.1.2, or delete the Service first"),
    "another class for a Service that has none": (
        service("front", "LoadBalancer", spec="loadBalancerClass: a/b, "),
        "spec.loadBalancerClass:", 'Invalid value: "a/b": may not change once set; delete the'),
    "an unknown type": (
        service(type="NodePrt"), ".spec.type:", "did you mean `NodePort`?"),
    "an unknown policy": (
        service(type="NodePort", spec="externalTrafficPolicy: Locl, "),
        ".spec.externalTrafficPolicy:", "did you mean `Local`?"),
    "source ranges without a balancer": (
        service(type="NodePort", spec="loadBalancerSourceRanges: [10.0.0.0/8], "),
        ".spec.loadBalancerSourceRanges:", "does not go with type NodePort; remove it"),
    "a class without a balancer": (
        service(spec="loadBalancerClass: a/b, "),
        ".spec.loadBalancerClass:", "does not go with type ClusterIP; remove it"),
}  # fmt: skip


@pytest.fixture
def lab():
    shop = scenario("shop")
    shop.apply(HELD)
    return shop


@pytest.mark.parametrize(("manifest", "place", "words"), APPLIED.values(), ids=APPLIED)
def test_kubectl_refuses_in_one_line_and_changes_nothing(lab, tmp_path, manifest, place, words):
    path = tmp_path / "web.yaml"
    path.write_text(manifest, encoding="utf-8")
    before = lab.state
    said = kubectl(lab, f"apply -f {path}")
    assert said.exit_code == 1
    assert len(said.splitlines()) == 1
    assert place in said
    assert words in said
    assert lab.state is before


@pytest.mark.parametrize(("manifest", "place", "words"), APPLIED.values(), ids=APPLIED)
def test_python_refuses_in_one_line_and_changes_nothing(lab, manifest, place, words):
    before = lab.state
    with pytest.raises(LabError, match=re.escape(words)) as refused:
        lab.apply(manifest)
    assert len(str(refused.value).splitlines()) == 1
    assert place in str(refused.value)
    assert lab.state is before


OPTIONS = {
    # what is wrong: (options, the whole line)
    "a mode with a typing error": (
        {"proxy_mode": "iptabels"},
        "proxy_mode: the lab has no `iptabels`; did you mean `iptables`?"),
    "a mode that there is not": (
        {"proxy_mode": "magic"},
        "proxy_mode: the lab has no `magic`; choose one of iptables, nftables, ipvs, ebpf"),
    "a scheduler that there is not": (
        {"proxy_mode": "ipvs", "proxy_options": {"scheduler": "rrr"}},
        "proxy_options scheduler: no `rrr`; choose one of rr, wrr, lc, wlc, sh, dh, sed, nq"),
    "an option with a typing error": (
        {"proxy_options": {"schedular": "rr"}},
        "proxy_options: kube-proxy has no `schedular` here; did you mean `scheduler`?"),
    "a balancer that there is not": (
        {"load_balancer": "metalb-l2"},
        "load_balancer: the lab walks no `metalb-l2`; did you mean `metallb-l2`?"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "line"), OPTIONS.values(), ids=OPTIONS)
def test_an_option_is_refused_with_the_choices(lab, options, line):
    before = lab.state
    for make in (lambda: scenario("shop", **options), lambda: lab.fork(**options)):
        with pytest.raises(LabError) as refused:
            make()
        assert str(refused.value) == line
    assert lab.state is before


PLACES = {
    "svc/backend:81": "svc/backend:81: the Service has no TCP port 81; its ports: 80/TCP",
    "svc/backend:htp": "svc/backend:htp: the Service has no TCP port htp; its ports: 80/TCP",
    "svc/bakend:80": (
        "svc/bakend: there is no Service `bakend` in default; did you mean `backend`?"),
}  # fmt: skip


@pytest.mark.parametrize(("target", "line"), PLACES.items())
@pytest.mark.parametrize("how", ["trace", "connect", "outcomes"])
def test_a_port_that_the_service_lacks_is_said(lab, how, target, line):
    before = lab.state, lab.conntrack, lab.last
    with pytest.raises(LabError) as refused:
        getattr(lab, how)("pod/frontend", target)
    assert str(refused.value) == line
    assert (lab.state, lab.conntrack, lab.last) == before


def test_a_client_is_not_told_about_ports_and_waits(lab):
    said = on(lab, "pod/frontend", "curl -m 1 http://backend:81")
    assert said == "curl: (28) Connection timed out after 1000 milliseconds"


def test_external_ips_are_deprecated_and_said_to_be(lab, tmp_path):
    path = tmp_path / "web.yaml"
    path.write_text(service(spec="externalIPs: [203.0.113.99], "), encoding="utf-8")
    said = kubectl(lab, f"apply -f {path}")
    assert said.splitlines()[0] == "Warning: spec.externalIPs: deprecated in v1.36+"
