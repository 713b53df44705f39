"""The tree of a Service's rows is that of the tables, and its shares are those of packets."""

from __future__ import annotations

from fractions import Fraction

import pytest

from labkit import kubectl, on, scenario
from labkit.proxy import MODES
from labkit.traffic.branches import tree
from labkit.traffic.cost import rules_met
from labkit.traffic.spread import spread

PRINTED = {
    "iptables": ("iptables-save",),
    "nftables": ("nft list ruleset",),
    "ipvs": ("ipvsadm -Ln",),
    "ebpf": ("cilium-dbg service list",),
}
STICKY = """apiVersion: v1
kind: Service
metadata: {name: backend}
spec: {selector: {app: backend}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8080}]}
"""


def shop(mode="iptables", pods=3, sticky=False, **options):
    lab = scenario("shop", proxy_mode=mode, proxy_options=options)
    kubectl(lab, f"scale deployment backend --replicas={pods}")
    if sticky:
        lab.apply(STICKY)
    return lab


def tree_of(lab, node="node-1"):
    return tree(lab.state, lab.network, "svc/backend:80", node)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sticky", [False, True])
def test_every_row_is_one_that_the_tool_prints(mode, sticky):
    lab = shop(mode, sticky=sticky)
    printed = " ".join("\n".join(on(lab, "node-1", c) for c in PRINTED[mode]).split())
    for _, branch in tree_of(lab).root.walk():
        assert " ".join(branch.row.split()) in printed


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ebpf"])
@pytest.mark.parametrize("pods", [1, 2, 3, 7, 12])
def test_shares_are_those_that_packets_have(mode, pods):
    lab = shop(mode, pods)
    found = tree_of(lab)
    shares = {found.title(b): b.share for b in found.choices}
    assert shares == lab.outcomes("pod/frontend", "svc/backend:80").ends
    assert sum(shares.values()) == 1


def test_rule_k_of_n_takes_one_of_those_that_are_left():
    chances = [b.chance for b in tree_of(shop(pods=5)).choices]
    assert chances == [Fraction(1, n) for n in (5, 4, 3, 2, 1)]


@pytest.mark.parametrize("mode", MODES)
def test_counts_of_many_connections_are_near_the_shares(mode):
    for count in spread(tree_of(shop(mode)), 3000).values():
        assert abs(count - 1000) < 120


def test_only_turns_are_exact_and_they_are_those_of_packets():
    lab = shop("ipvs")
    assert sorted(spread(tree_of(lab), 7).values()) == [2, 2, 3]
    made = [lab.connect("pod/frontend", "svc/backend:80") for _ in range(7)]
    ends = [c.places[c.request.end].title for c in made]
    assert {end: ends.count(end) for end in ends} == spread(tree_of(lab), 7)


def test_least_connections_spares_the_slow_pod():
    found = tree_of(shop("ipvs", scheduler="lc"))
    fast, fast_too, slow = (found.title(b) for b in found.choices)
    counts = spread(found, 600, slow={slow})
    assert counts[slow] < 0.4 * min(counts[fast], counts[fast_too])


@pytest.mark.parametrize("mode", MODES)
def test_a_sticky_client_has_one_pod(mode):
    counts = spread(tree_of(shop(mode, sticky=True)), 50)
    assert sorted(counts.values()) == [0, 0, 50]


def test_iptables_pays_for_every_service_and_nobody_else_does():
    few, more, many = ({m: rules_met(m, n) for m in MODES} for n in (1, 30, 301))
    assert more["iptables"] - few["iptables"] == 29
    assert many["iptables"] - few["iptables"] == 300
    del few["iptables"], more["iptables"], many["iptables"]
    assert few == more == many
