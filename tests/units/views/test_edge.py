"""The way in: shares are exact, the grey node says so, and silence has its sign."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from labkit import kubectl, scenario, views
from labkit.errors import CommandError
from labkit.views.edge import edge
from labkit.views.figure import ALT
from labkit.views.front import front, placed
from tests.units.views.test_figures import EVIL
from tests.units.views.test_twins import DRAWN

SERVICE = """apiVersion: v1
kind: Service
metadata: {name: frontend}
spec:
  type: LoadBalancer
  selector: {app: frontend}
  ports: [{port: 80, targetPort: 8080}]
"""
CROSS = "l10 10m0 -10l-10 10"


def shop(who: str = "aws-nlb-instance"):
    lab = scenario("shop", load_balancer=who)
    lab.apply(SERVICE)
    return lab


CASES = {
    # what it shows: (balancer, policy, pods on each node, how the twin begins)
    "Cluster shares alike": (
        "aws-nlb-instance", "Cluster", (2, 1, 0),
        "Cluster: frontend-1 1/3, frontend-2 1/3, frontend-3 1/3; all requests are answered;"
        " pods see a node."),
    "Local shares by nodes": (
        "aws-nlb-instance", "Local", (2, 1, 0),
        "Local: frontend-1 1/4, frontend-2 1/4, frontend-3 1/2; all requests are answered;"
        " pods see the client."),
    "nobody is asked for health": (
        "naive", "Local", (1, 0, 0),
        "Local: frontend-1 1/3; 2/3 of the requests time out; pods see the client."),
    "a proxy is what pods see": (
        "aws-clb", "Local", (2, 2, 2),
        "Local: each of 6 pods 1/6; all requests are answered; pods see the balancer."),
    "no pod at all": (
        "aws-nlb-instance", "Local", (0, 0, 0),
        "Local: no pod anything; all requests are refused; no pod sees anybody."),
    "a packet that stays as it was": (
        "gcp-passthrough", "Local", (4, 1, 0),
        "Local: frontend-1 1/8, frontend-2 1/8, frontend-3 1/8, frontend-4 1/8, frontend-5 1/2;"
        " all requests are answered; pods see the client."),
    "no machine": (
        "metallb-l2", "Local", (1, 2, 0),
        "Local: frontend-1 1; all requests are answered; pods see the client."),
}  # fmt: skip


def pictured(who: str, policy: str, counts: tuple[int, ...]):
    return edge(placed(shop(who), "svc/frontend", counts, policy), "svc/frontend")


each = pytest.mark.parametrize(("who", "policy", "counts", "first"), CASES.values(), ids=CASES)


@each
def test_the_twin_begins_with_shares_loss_and_sight(who, policy, counts, first):
    figure = pictured(who, policy, counts)
    assert figure.twin.splitlines()[0] == first
    assert not DRAWN.search(figure.twin)
    assert all(row.endswith(".") for row in figure.twin.splitlines())
    assert len(figure.alt) < ALT


@each
def test_every_word_and_number_of_the_picture_is_in_the_twin(who, policy, counts, first):
    figure = pictured(who, policy, counts)
    root = ElementTree.fromstring(figure.svg)
    words = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
    known = (*("client", "load balancer", "nodes, as doors", "pods, and their share"),
             *("lb", "no machine", "outside", "no pod here", "0", "1"))  # fmt: skip
    missing = [w for w in words if w not in known and w.replace(": ", " ") not in figure.twin]
    assert [w for w in missing if w not in figure.twin] == []
    assert (CROSS in figure.svg) == ("time out" in first or "refused" in first)


@each
def test_the_shares_and_the_losses_add_up_to_one(who, policy, counts, first):
    found = front(placed(shop(who), "svc/frontend", counts, policy), "svc/frontend")
    assert sum(pod.share for pod in found.pods) + sum(found.lost.values()) == 1
    assert sum(door.share for door in found.doors) == 1


def test_the_shares_are_those_of_outcomes():
    lab = placed(shop(), "svc/frontend", (2, 1, 0), "Local")
    found = front(lab, "svc/frontend")
    ends = lab.outcomes("outside", f"{found.rotation.address}:80").ends
    assert {pod.title: pod.share for pod in found.pods} == dict(ends)


def test_a_node_that_fails_its_check_is_grey_and_says_so():
    figure = pictured("aws-nlb-instance", "Local", (1, 0, 0))
    assert figure.svg.count("unhealthy: left out") == 2 + figure.twin.count("unhealthy: left out")
    assert "node-2: unhealthy: left out; no request comes in by it." in figure.twin


def test_equal_values_give_equal_bytes_and_the_lab_stays_as_it_was():
    lab = shop()
    before = lab.state, lab.conntrack, lab.last
    assert edge(lab, "svc/frontend") == edge(lab, "svc/frontend")
    assert (lab.state, lab.conntrack, lab.last) == before


def test_placements_show_both_policies_for_each_count():
    widget = views.placements(shop(), "svc/frontend", ["1 0 0", "1 1 1"])
    assert widget.moves["value"] == (
        "Cluster, 1 0 0", "Cluster, 1 1 1", "Local, 1 0 0", "Local, 1 1 1")  # fmt: skip
    assert '"Local, 1 0 0" gives frontend-1 1; all requests are answered' in repr(widget)


def test_names_are_text():
    lab = shop()
    lab.namespace = "default"
    figure = views.products()
    assert EVIL not in figure.html
    kubectl(lab, "label pod -l app=frontend note=x")
    assert "<script>" not in edge(lab, "svc/frontend").html


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: edge(scenario("shop"), "svc/frontend"), "it has no load balancer; give it type"),
        (lambda: placed(shop(), "svc/frontend", (1, 1), "Local"), "a placement has 3 numbers"),
    ],
)
def test_what_cannot_be_drawn_is_said(make, says):
    with pytest.raises(CommandError, match=re.escape(says)):
        make()


def test_the_products_twin_has_every_cell_of_the_table():
    figure = views.products()
    assert "AWS Network Load Balancer, instance targets." in figure.twin
    for says in re.findall(r"<small>(.+?)</small>", figure.below.replace("<wbr>", "")):
        assert says.replace("&#x27;", "'") in figure.twin
    assert figure.twin.count("not found") == figure.below.count("not found")
