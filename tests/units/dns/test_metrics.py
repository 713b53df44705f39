"""What `prometheus` counts, and the page that it serves.

Source: README of the plugins metrics, cache and forward of CoreDNS.
"""

from __future__ import annotations

import pytest

from labkit import scenario
from labkit.commands.node import on
from labkit.dns.metrics import added, exposition, series
from tests.units.dns.servers import KUBERNETES, asked, corefile

WEB, NO, OUT = "web.shop.svc.cluster.local.", "no.shop.svc.cluster.local.", "example.com."
DEFAULT = ("prometheus :9153", KUBERNETES, "forward . 192.0.2.53", "cache 30", "loadbalance")

ANSWERED = {
    # which question, through which plugins: (lines, name, labels of the answer)
    "the shuffler hands over what others know": (DEFAULT, WEB, ("loadbalance", "NOERROR")),
    "without it the cache does": (DEFAULT[:-1], OUT, ("cache", "NOERROR")),
    "without both the one who knew": (DEFAULT[:-2], NO, ("kubernetes", "NXDOMAIN")),
    "the server itself writes failures": (("prometheus", "errors"), OUT, ("", "SERVFAIL")),
}


@pytest.mark.parametrize(("lines", "name", "wanted"), ANSWERED.values(), ids=ANSWERED)
def test_an_answer_is_counted_with_who_handed_it_over(lines, name, wanted):
    counts = asked(corefile(*lines), name).counts
    (labels,) = [dict(s.labels) for s in counts if s.name == "coredns_dns_responses_total"]
    assert (labels["plugin"], labels["rcode"]) == wanted
    assert (labels["server"], labels["zone"]) == ("dns://:53", ".")


def test_without_the_plugin_no_question_is_counted():
    names = {s.name for s in asked(corefile(*DEFAULT[1:]), WEB).counts}
    assert not any(name.startswith("coredns_dns_") for name in names)


def test_a_block_that_is_bound_is_named_with_the_address_asked():
    text = corefile("bind 192.0.2.1", "prometheus", "forward . 192.0.2.53")
    counts = asked(text, OUT, at="192.0.2.1").counts
    assert {dict(s.labels).get("server", "dns://192.0.2.1:53") for s in counts} == {
        "dns://192.0.2.1:53"
    }


def test_the_page_is_sorted_and_escaped():
    one, two = series("coredns_cache_hits_total", zones='a"\\'), series("coredns_cache_hits_total")
    page = exposition(added({}, (one, two, one)))
    assert page.splitlines() == [
        "# HELP coredns_cache_hits_total The count of cache hits.",
        "# TYPE coredns_cache_hits_total counter",
        "coredns_cache_hits_total{} 1",
        'coredns_cache_hits_total{zones="a\\"\\\\"} 2',
    ]


# --- in the cluster ----------------------------------------------------------------------------

LOOKED_UP = {
    "api.stripe.com": (6, 2),  # three domains of the search list, A and AAAA, and the name itself
    "api.stripe.com.": (0, 2),
    "backend": (0, 2),
    "payments.pay": (2, 2),
}


@pytest.mark.parametrize(("name", "wanted"), LOOKED_UP.items(), ids=LOOKED_UP)
def test_a_pod_reads_how_often_the_answer_was_no(name, wanted):
    lab = scenario("shop")
    lab.resolve("pod/frontend", name)
    pages = [
        on(lab, "pod/ops/monitoring", f"curl -s http://{pod.addresses[0]}:9153/metrics")
        for pod in lab.list("pods", namespace="kube-system", selector="k8s-app=kube-dns")
    ]
    rows = [row for page in pages for row in page.grep("dns_responses_total{").splitlines()]
    counted = [
        sum(int(row.rpartition(" ")[2]) for row in rows if f'rcode="{rcode}"' in row)
        for rcode in ("NXDOMAIN", "NOERROR")
    ]
    assert tuple(counted) == wanted


def test_a_cache_on_a_node_has_counters_of_its_own():
    lab = scenario("shop", node_local_dns=True)
    lab.resolve("pod/frontend", "example.com.", "A")
    lab.resolve("pod/frontend", "example.com.", "A")
    page = on(lab, "pod/frontend", "curl -s http://192.168.7.11:9253/metrics")
    hits = 'coredns_cache_hits_total{server="dns://10.96.0.10:53",type="success"'
    assert page.grep(hits).endswith('zones="."} 1')
    assert on(lab, "pod/frontend", "curl -s http://192.168.7.12:9253/metrics") == (
        "# nothing was asked yet"
    )
