"""A name in a pod: which packets it becomes, who answers, and what breaks it."""

from __future__ import annotations

import pytest

from labkit import scenario
from labkit.controllers.kubelet import last_words
from labkit.errors import CommandError
from labkit.traffic.sites import certificate, covers


@pytest.fixture
def lab():
    return scenario("shop")


@pytest.fixture(scope="module")
def corefile():
    return scenario("shop").get("configmap/kube-system/coredns").data["Corefile"]


def put(lab, text):
    meta = {"name": "coredns", "namespace": "kube-system"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    lab.apply([{**manifest, "data": {"Corefile": text}}])


def scale(lab, replicas):
    deployment = lab.get("deployment/kube-system/coredns").manifest
    lab.apply([{**deployment, "spec": {**deployment["spec"], "replicas": replicas}}])


def test_a_question_travels_through_the_service_to_a_coredns_pod(lab):
    found = lab.resolve("pod/frontend", "backend")
    (first, second) = found.questions
    assert str(found.addresses[0]) == lab.get("svc/backend").spec.cluster_ip
    assert first.server.startswith("pod/kube-system/coredns-")
    assert first.connection.outcome == "answered"
    assert any("kube-dns" in hop.why or "KUBE-SEP" in hop.why for hop in first.connection.hops)
    assert (first.sent.query.type, second.sent.query.type) == ("A", "AAAA")


EXTERNAL = "api.stripe.com"


def test_an_outside_name_costs_eight_questions_and_with_a_dot_two(lab):
    assert len(lab.resolve("pod/frontend", EXTERNAL).questions) == 8
    assert len(lab.resolve("pod/frontend", f"{EXTERNAL}.").questions) == 2


def test_the_server_asks_outside_once_and_then_remembers(lab):
    dot = f"{EXTERNAL}."
    replies = [lab.resolve("pod/frontend", dot, "A").questions[0].reply for _ in range(6)]
    assert replies[0].upstreams == ("203.0.113.9",)
    # Two CoreDNS pods keep a cache each.
    assert sum(bool(reply.upstreams) for reply in replies) <= 2
    assert replies[-1].cached
    lab.wait(31)
    assert not lab.resolve("pod/frontend", dot, "A").questions[0].reply.cached


def test_a_node_asks_its_own_server_and_knows_no_services(lab):
    found = lab.resolve("node/node-1", "backend.default.svc.cluster.local")
    assert (found.lookup.problem, found.questions[0].server) == ("NXDOMAIN", "outside")


def test_hosts_and_addresses_are_not_asked_for(lab):
    assert lab.resolve("pod/frontend", "localhost").questions == ()
    own = lab.get("pod/frontend").name
    assert lab.resolve("pod/frontend", own).file == "/etc/hosts"
    assert str(lab.resolve("pod/frontend", "10.96.0.10").addresses[0]) == "10.96.0.10"


def test_without_coredns_pods_questions_are_refused(lab):
    scale(lab, 0)
    found = lab.resolve("pod/frontend", "backend")
    assert found.lookup.problem == "AGAIN"
    assert {question.sent.fault for question in found.questions} == {"refused"}


def test_a_broken_corefile_leaves_the_older_one_serving(lab, corefile):
    put(lab, corefile.replace("ttl 30", "ttl 60"))
    put(lab, corefile.replace("ready", "redy"))
    reply = lab.resolve("pod/frontend", "backend").questions[0].reply
    assert reply.answer.answer[0].ttl == 30  # 60, cut by the cache's own 30
    put(lab, corefile.replace("ttl 30", "ttl 7"))
    reply = lab.resolve("pod/frontend", "backend").questions[0].reply
    assert reply.answer.answer[0].ttl == 7


def test_a_pod_that_starts_with_a_broken_corefile_never_runs(lab, corefile):
    scale(lab, 0)
    put(lab, corefile.replace("ready", "redy"))
    scale(lab, 1)
    (pod,) = lab.list("pods", namespace="kube-system", selector="k8s-app=kube-dns")
    status = pod.status.container_statuses[0]
    assert status.state.waiting.reason == "CrashLoopBackOff"
    assert status.last_state.terminated.exit_code == 1
    assert (
        "Corefile:6 - Error during parsing: Unknown directive 'redy'"
        in last_words(lab.state, pod)[status.name]
    )
    assert lab.resolve("pod/frontend", "backend").lookup.problem == "AGAIN"
    put(lab, corefile)
    assert lab.resolve("pod/frontend", "backend")


def test_a_loop_ends_coredns(lab, corefile):
    put(lab, corefile.replace("/etc/resolv.conf", "127.0.0.53"))
    pods = lab.list("pods", namespace="kube-system", selector="k8s-app=kube-dns")
    status = pods[0].status.container_statuses[0]
    assert status.last_state.terminated.exit_code == 1
    words = last_words(lab.state, pods[0])[status.name]
    assert "[FATAL] plugin/loop: Loop (127.0.0.1:" in words
    assert not lab.resolve("pod/frontend", "backend")


def test_a_stub_resolver_on_the_node_is_a_loop_too(lab):
    for node in lab.list("nodes"):
        meta = {
            "name": node.name,
            "annotations": {"labkit.dev/resolv-conf": "nameserver 127.0.0.53"},
        }
        lab.apply([{"apiVersion": "v1", "kind": "Node", "metadata": meta}])
    assert not lab.resolve("pod/frontend", "backend")


PLAIN = (
    "cache 30 {\n       disable success cluster.local\n       disable denial cluster.local\n    }"
)


@pytest.mark.parametrize(("cache", "late"), [("cache 30", False), (PLAIN, True)])
def test_a_service_asked_for_too_early_stays_missing_under_the_older_corefile(
    lab, corefile, cache, late
):
    put(lab, corefile.replace(PLAIN, cache))
    scale(lab, 1)
    assert not lab.resolve("pod/frontend", "late")
    meta = {"name": "late"}
    spec = {"ports": [{"port": 80}]}
    lab.apply([{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}])
    assert bool(lab.resolve("pod/frontend", "late")) is late
    lab.wait(31)
    assert lab.resolve("pod/frontend", "late")


# --- request -----------------------------------------------------------------------------------


def test_a_request_is_a_name_an_address_and_a_connection(lab):
    found = lab.request("pod/frontend", "http://backend/cart")
    assert (found.status, found.served_by) == (200, "backend")
    assert lab.last is found.connection
    assert str(found).startswith("http://backend/cart: 200 from backend")


def test_a_request_ends_where_it_fails(lab):
    assert lab.request("pod/frontend", "http://nope/").connection is None
    refused = lab.request("pod/frontend", "http://10.244.1.2:99/")
    assert (refused.status, refused.connection.outcome) == (None, "refused")
    with pytest.raises(CommandError, match="not a URL"):
        lab.request("pod/frontend", "http://")


ALIASES = """apiVersion: v1
kind: Service
metadata: {name: card}
spec: {type: ExternalName, externalName: api.stripe.com, ports: [{port: 80, targetPort: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: cashier}
spec: {type: ExternalName, externalName: payments.pay.svc.cluster.local}
"""
SPOKEN = {
    # what is asked for: (URL, status, Host, TLS server name, certificate)
    "an alias, in the clear": ("http://card/", 404, "card", "", ()),
    "an alias over TLS": ("https://card/", None, "card", "card", ("api.stripe.com",)),
    "the site's own name": (
        "https://api.stripe.com/v1", 200, "api.stripe.com", "api.stripe.com", ("api.stripe.com",)),
    "a name with a last dot": ("http://api.stripe.com.", 200, "api.stripe.com.", "", ()),
    "a port of one's own": ("http://cashier:8443", 200, "cashier:8443", "", ()),
    "an alias inside, over TLS": ("https://cashier:8443", 200, "cashier:8443", "cashier", ()),
    "an address": ("https://203.0.113.9", 200, "203.0.113.9", "", ()),
}  # fmt: skip


@pytest.mark.parametrize(("url", "status", "host", "sni", "shown"), SPOKEN.values(), ids=SPOKEN)
def test_a_server_hears_the_name_that_the_client_wrote(lab, url, status, host, sni, shown):
    lab.apply(ALIASES)
    found = lab.request("pod/frontend", url)
    assert (found.status, found.host) == (status, host)
    assert (found.server_name, found.certificate) == (sni, shown)
    assert found.mismatch == ("not trusted" in str(found))


def test_an_alias_carries_no_traffic_and_changes_no_port(lab):
    lab.apply(ALIASES)
    alias, real = (
        lab.trace("pod/frontend", f"{lab.resolve('pod/frontend', name).addresses[0]}:80")
        for name in ("card", "api.stripe.com.")
    )
    assert [hop.why for hop in alias.hops] == [hop.why for hop in real.hops]
    assert not any("KUBE-" in hop.why for hop in alias.hops)
    assert lab.request("pod/frontend", "http://cashier:80").connection.outcome == "timed out"


WILDCARD = {
    # a host: does a certificate for *.shop.example and shop.example speak for it?
    "shop.example": True, "WWW.shop.example.": True, "a.b.shop.example": False,
    "example": False, "203.0.113.9": False, "shop": False,
}  # fmt: skip


@pytest.mark.parametrize(("host", "spoken_for"), WILDCARD.items())
def test_a_star_stands_for_one_label(host, spoken_for):
    assert covers(certificate("outside", "www.shop.example."), host) is spoken_for
