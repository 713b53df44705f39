"""The views of proxy modes: shares, rows, costs and facts, and their words."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from labkit import kubectl, scenario
from labkit.errors import CommandError, NotFound
from labkit.proxy import MODES
from labkit.traffic.branches import tree
from labkit.views import cost, facts, histograms, modes, outcomes, rules, spread
from labkit.views.facts import known
from labkit.views.figure import ALT

EVIL = "<script>alert(1)</script>"
MORE = """apiVersion: v1
kind: Service
metadata: {name: sticky}
spec: {selector: {app: backend}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {selector: {app: nobody}, ports: [{port: 80, targetPort: 8080}]}
"""
PODS = (0, 1, 3, 10)
CALLS = """a pod calls a Service: pod/frontend -> svc/backend:80
a ping: pod/frontend -> 10.96.1.2 ICMP"""


def shop(pods: int, mode: str = "iptables", **options: str):
    lab = scenario("shop", proxy_mode=mode, proxy_options=options)
    lab.apply(MORE)
    kubectl(lab, f"scale deployment backend --replicas={pods}")
    return lab


LABS = {(mode, pods): shop(pods, mode) for mode in MODES for pods in PODS}
DRAWN = {
    **{f"outcomes, {m} {n}": lambda k=(m, n): outcomes(LABS[k], "svc/backend:80")
       for m, n in LABS if n},
    "least connections": lambda: outcomes(shop(3, "ipvs", scheduler="lc"), "svc/backend:80"),
    "spread": lambda: spread(LABS["ipvs", 3], "svc/backend:80"),
    "spread over ten": lambda: spread(LABS["nftables", 10], "svc/backend:80"),
    "histograms": lambda: histograms({EVIL: {EVIL: 3, "b": 0}, "two": {"a": 1}}),
    "four histograms": lambda: histograms({x: {"one": 240, "two": 360, "slow": 0} for x in "abcd"}),
    **{f"cost, {n}": lambda n=n: cost(n) for n in (1, 10, 1000, 10_000)},
}  # fmt: skip
FIGURES = DRAWN | {
    **{f"nobody, {m}": lambda m=m: outcomes(LABS[m, 0], "svc/backend:80") for m in MODES},
    **{f"rules, {m} {n}": lambda k=(m, n): rules(LABS[k], "svc/backend:80") for m, n in LABS},
    **{f"rules, {m} sticky": lambda m=m: rules(LABS[m, 3], "svc/sticky:80") for m in MODES},
    "modes": lambda: modes(LABS["iptables", 3], CALLS),
    "facts": lambda: facts(*known()),
}


@pytest.fixture(scope="module", params=FIGURES.values(), ids=FIGURES)
def figure(request):
    return request.param()


def test_the_twin_has_no_arrow_and_no_blank_line(figure):
    assert not re.search(r"[←-⇿─-╿→≠…]|->|\n\n", figure.twin)


def test_every_line_of_the_twin_is_a_sentence_or_ends_with_a_row(figure):
    assert not [x for x in figure.twin.splitlines() if not x.endswith(".") and "Row: " not in x]


def test_the_alt_text_is_short_and_the_picture_is_xml(figure):
    assert len(figure.alt) < ALT
    if figure.svg:
        ElementTree.fromstring(figure.svg)


def test_names_show_as_text(figure):
    assert "<script" not in figure._repr_html_()
    assert "<script" not in figure.svg


def test_equal_states_give_equal_bytes():
    for key in (("iptables", 3), ("ebpf", 10)):
        again = shop(key[1], key[0])
        assert outcomes(LABS[key], "svc/backend:80") == outcomes(again, "svc/backend:80")
        assert rules(LABS[key], "svc/backend:80") == rules(again, "svc/backend:80")


def test_each_rule_takes_its_part_of_what_reaches_it():
    lines = outcomes(LABS["iptables", 3], "svc/backend:80").twin.splitlines()
    assert lines[0] == "3 rules, tried in order; each pod is chosen with the chance 1/3."
    assert lines[1].startswith("Rule 1 takes 1/3 of all connections, which is 1/3, to backend-")
    assert lines[2].startswith("Rule 2 takes 1/2 of the 2/3 that reaches it, which is 1/3, to ")
    assert lines[3].startswith("Rule 3 takes the whole rest, 1/3, to backend-")


def test_the_simulated_counts_stand_in_picture_and_twin_and_add_up():
    for lab in (LABS["iptables", 3], LABS["nftables", 3], LABS["ipvs", 3]):
        figure = outcomes(lab, "svc/backend:80", connections=600)
        counts = re.findall(r"(\d+) of 600 simulated", figure.twin)
        assert sum(map(int, counts)) == 600
        assert all(f">{n}</tspan>" in figure.svg for n in counts)


def test_of_many_pods_the_first_two_and_the_last_are_drawn():
    lab = LABS["iptables", 10]
    found = tree(lab.state, lab.network, "svc/backend:80", "node-1")
    first, second, *middle, last = (b.end for b in found.choices)
    svg = re.sub(r"<desc>.*?</desc>", "", outcomes(lab, "svc/backend:80").svg, flags=re.DOTALL)
    assert all(end in svg for end in (first, second, last))
    assert not any(end in svg for end in middle)
    assert "7 more pods" in svg
    assert "7 more rows like these" in rules(lab, "svc/backend:80").twin


def test_a_service_without_pods_has_a_row_that_says_so():
    assert "has no endpoints" in rules(LABS["iptables", 3], "svc/empty:80").twin
    assert "Nobody to choose" in outcomes(LABS["nftables", 3], "svc/empty:80").twin


def test_a_port_that_no_row_speaks_of_is_an_error_with_the_node():
    with pytest.raises(NotFound, match="no row on node-2 speaks of"):
        rules(LABS["iptables", 3], "10.96.1.2:81", node="node-2")


def test_a_table_of_modes_says_where_they_differ():
    first, same, ping = modes(LABS["iptables", 1], CALLS).twin.splitlines()
    assert first == "The modes agree on 1 calls and differ on 1."
    assert same == "a pod calls a Service: backend in all modes."
    assert ping == "a ping: timed out in iptables and ebpf; refused in nftables and ipvs."


def test_ipvs_is_asked_until_it_went_round():
    seen = modes(LABS["iptables", 3], CALLS).below
    assert seen.count("backend-") == 3 * len(MODES)


def test_a_line_that_is_no_call_is_an_error():
    with pytest.raises(CommandError, match="is no call"):
        modes(LABS["iptables", 3], "a ping: pod/frontend")


def test_the_cost_marks_the_reading_asked_for():
    figure = cost(100)
    assert figure.twin.startswith("Among 100 Services iptables makes the first packet meet 119")
    assert "100 Services: 119 rules" in figure.svg
    assert "Measured" in figure.below


def test_every_fact_has_a_source_and_a_date():
    assert {"F02", "F03", "F04", "F05", "F23", "F26"} <= known().keys()
    for fact in known().values():
        assert fact.says.endswith(".")
        assert fact.source
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", fact.date)
        assert all(re.fullmatch(r"1\.\d\d", release) for release in fact.releases)


def test_facts_stand_in_the_order_of_the_releases():
    releases = re.findall(r"^(1\.\d\d): ", facts("F04", "F02").twin, re.MULTILINE)
    assert releases == sorted(releases, key=lambda r: int(r[2:])) != []


def test_a_fact_that_is_not_there_is_an_error():
    with pytest.raises(NotFound, match="F99"):
        facts("F99")
