"""Cases of our own for fields of a DNS case that the stored table uses rarely, or never.

Each row is right as it stands and disagrees when its expectation is changed.
"""

from __future__ import annotations

import pytest

from tests.conformance.run import run_case

SOA = "ns.dns.cluster.local. hostmaster.cluster.local. <serial> 7200 1800 86400 5"
PLAIN = ".:53 {\n kubernetes cluster.local\n forward . 192.0.2.53\n}\n"
PATHS = (
    ".:53 {\n autopath @kubernetes\n kubernetes cluster.local {\n  pods verified\n }\n"
    " forward . 192.0.2.53\n}\n"
)
OBJECTS = [
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"clusterIP": "10.96.10.20", "clusterIPs": ["10.96.10.20"],
                 "ports": [{"name": "http", "port": 80}]},
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client", "namespace": "shop"},
        "spec": {"containers": [{"name": "c", "image": "c"}]},
        "status": {"phase": "Running", "podIP": "10.244.1.9", "podIPs": [{"ip": "10.244.1.9"}]},
    },
]  # fmt: skip
SEARCH = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]
WWW = ["www.example.org.", "A", "192.0.2.80"]


def one(name, type_="A", *, expect, corefile=PLAIN, pod=None, **more):
    query = {"qname": name, "qtype": type_, "from_pod": pod}
    return {"kind": "dns", "corefile": corefile, "query": query, "expect": expect, **more}


def typed(name, resolver="glibc", type_="A", *, expect, corefile=PLAIN, conf=None, **more):
    query = {
        "qname": name,
        "qtype": type_,
        "resolver": resolver,
        "from_pod": {"name": "client", "namespace": "shop"},
        "resolv_conf": {"search": SEARCH, "ndots": 5, **(conf or {})},
    }
    given = {"kind": "search_sequence", "corefile": corefile, "query": query, "expect": expect}
    return {**given, **more}


def written(text, *, expect, policy="ClusterFirst"):
    pod = {**OBJECTS[1], "spec": {**OBJECTS[1]["spec"], "dnsPolicy": policy}}
    node = {"resolv_conf": text, "cluster_dns": ["10.96.0.10"], "cluster_domain": "corp.internal"}
    query = {"file": "/etc/resolv.conf", "from_pod": "client"}
    more = {"node": node, "objects": [pod]}
    return {"kind": "resolv_conf", "corefile": PLAIN, "query": query, "expect": expect, **more}


CASES = {
    "a SOA's owner and its words, without the serial": one(
        "nope.shop.svc.cluster.local.",
        expect={"rcode": "NXDOMAIN", "authority_soa": True, "ttl": 5, "aa": True,
                "soa_owner": "cluster.local.", "soa_rdata": SOA}),
    "an answer has no SOA to speak of": one(
        "web.shop.svc.cluster.local.",
        expect={"rcode": "NOERROR", "soa_owner": None, "soa_rdata": None, "ttl": 5,
                "answer": [["web.shop.svc.cluster.local.", "A", "10.96.10.20"]]}),
    "a ttl of null is not compared": one(
        "web.shop.svc.cluster.local.", expect={"rcode": "NOERROR", "ttl": None}),
    "records beside the answer": one(
        "_http._tcp.web.shop.svc.cluster.local.", "SRV",
        expect={"answer": [["_http._tcp.web.shop.svc.cluster.local.", "SRV",
                            "0 100 80 web.shop.svc.cluster.local."]],
                "additional": [["web.shop.svc.cluster.local.", "A", "10.96.10.20"]]}),
    "caches that have not synced": one(
        "web.data.svc.cluster.local.", coredns_synced=False,
        expect={"rcode": "SERVFAIL", "authority_soa": True}),
    "an address on which CoreDNS listens names no server without its Service": one(
        "cluster.local.", "NS", coredns_local_ips=["10.244.0.2"],
        expect={"answer": [["cluster.local.", "NS", "ns.dns.cluster.local."]],
                "additional": [["ns.dns.cluster.local.", "A", "10.244.0.2"]]}),
    "a star stands for every other name": one(
        "a.example.", upstream_answers={"*": ["REFUSED", []]},
        expect={"rcode": "REFUSED", "aa": False, "forwarded_to": "192.0.2.53", "answer": []}),
    "a name that no server outside was told of": one(
        "a.example.", expect={"rcode": "NXDOMAIN", "authority_soa": False}),
    "what came from outside lives thirty seconds": one(
        "www.example.org.", upstream_answers={"WWW.example.org. A": ["NOERROR", [WWW]]},
        expect={"ttl": 30, "aa": False, "answer": [WWW]}),
    "who stays inside leaves to nobody": one(
        "web.shop.svc.cluster.local.", expect={"forwarded_to": None}),
    "the pod that asks, by its address": one(
        "nope.shop.svc.cluster.local.", corefile=PATHS,
        pod={"name": "client", "namespace": "shop", "ip": "10.244.1.9"},
        expect={"rcode": "NXDOMAIN", "forwarded_to": "192.0.2.53"}),
    "the pod that types has the address of its object": typed(
        "www.example.org", corefile=PATHS,
        upstream_answers={"www.example.org. A": ["NOERROR", [WWW]]},
        expect={"wire_names": ["www.example.org.shop.svc.cluster.local."],
                "final": "192.0.2.80"}),
    "one after the other": typed(
        "web", type_="A+AAAA",
        expect={"parallel": False, "final": ["10.96.10.20"],
                "wire_names": ["web.shop.svc.cluster.local."]}),
    "all at once, and what the applet prints": typed(
        "web", "busybox-nslookup", "A+AAAA",
        expect={"parallel": True, "exit_code": 1,
                "wire_names": [f"web.{domain}." for domain in SEARCH],
                "prints_also": ["** server can't find web.cluster.local: NXDOMAIN",
                                "Address: 10.96.10.20"]}),
    "the applet is content with a whole name": typed(
        "web.shop.svc.cluster.local", "busybox-nslookup",
        expect={"exit_code": 0, "prints_also": []}),
    "a name that exists for the other family only": typed(
        "web", type_="AAAA", expect={"final": "no address"}),
    "the same for musl": typed("web", "musl", "AAAA", expect={"final": "EAI_NODATA"}),
    "a name that is nowhere": typed("nope", "musl", expect={"final": "NXDOMAIN"}),
    "no ending at all": typed(
        "web", conf={"search": []}, expect={"wire_names": ["web."], "final": "NXDOMAIN"}),
    "few dots are enough": typed(
        "web.shop", conf={"ndots": 1},
        expect={"wire_names": ["web.shop.", "web.shop.shop.svc.cluster.local.",
                               "web.shop.svc.cluster.local."]}),
    "a file without a remark": written(
        "nameserver 192.0.2.1\n",
        expect={"nameservers": ["10.96.0.10"], "options": ["ndots:5"], "event": None,
                "search": ["shop.svc.corp.internal", "svc.corp.internal", "corp.internal"]}),
    "a node's file that is too long": written(
        "".join(f"nameserver 192.0.2.{n}\n" for n in range(1, 5)), policy="Default",
        expect={"event": "DNSConfigForming",
                "nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"]}),
}  # fmt: skip


def filled(name, case):
    return {"name": name, "objects": OBJECTS, **case}


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES)
def test_the_lab_answers_as_the_case_expects(name, case):
    outcome = run_case("dns", filled(name, case))
    assert outcome.kind == "agree", outcome.text


FIELDS = [
    pytest.param(name, field, id=f"{name}: {field}")
    for name, case in CASES.items()
    for field, value in case["expect"].items()
    if (field, value) != ("ttl", None) and value != []
]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_each_field_can_disagree(name, field):
    case = CASES[name]
    changed = {**case, "expect": {**case["expect"], field: "something else"}}
    if field in ("answer", "additional", "prints_also", "wire_names"):
        changed["expect"][field] = ["something else"]
    outcome = run_case("dns", filled(name, changed))
    assert outcome.kind == "disagree"
    assert f"expected {field}" in outcome.text


@pytest.mark.parametrize("name", ["an answer has no SOA to speak of", "no ending at all"])
def test_a_field_that_nobody_explains_disagrees(name):
    case = CASES[name]
    changed = {**case, "expect": {**case["expect"], "cached": True}}
    assert "unknown expectation cached" in run_case("dns", filled(name, changed)).text


def test_a_kind_that_nobody_explains_disagrees():
    case = {**one("x.", expect={"rcode": "NOERROR"}), "kind": "zone_transfer"}
    assert "unknown kind zone_transfer" in run_case("dns", filled("x", case)).text
