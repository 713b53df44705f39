"""The port ruler says which numbers meet, where they part, and what the client then sees."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from labkit import scenario
from labkit.errors import CommandError, NotFound
from labkit.views import ports
from labkit.views.figure import ALT
from labkit.views.ruler import ruler
from tests.units.views.test_twins import DRAWN

SERVICE = """apiVersion: v1
kind: Service
metadata: {name: backend}
spec: {selector: {app: %s}, ports: [{%s}]%s}
"""
LOOPBACK = """apiVersion: v1
kind: Pod
metadata:
  name: old
  labels: {app: backend}
  annotations: {labkit.dev/listens: "127.0.0.1:8080,9000"}
spec: {containers: [{name: old, image: old, ports: [{containerPort: 8080}]}]}
"""


def shop(numbers: str = "", app: str = "backend", more: str = ""):
    lab = scenario("shop")
    if numbers:
        lab.apply(SERVICE % (app, numbers, more))
    return lab


def mixed():
    lab = scenario("shop")
    lab.apply(LOOPBACK)
    return lab


CASES = {
    # what it shows: (lab, target, protocol, where the numbers part, what the client sees)
    "the shop": (shop, "svc/backend", "TCP", "", "answered"),
    "targetPort left out": (lambda: shop("port: 80"), "svc/backend", "TCP", "pod", "refused"),
    "a name the pod declares": (
        lambda: shop("port: 80, targetPort: http"), "svc/backend:80", "TCP", "", "answered"),
    "a name no pod declares": (
        lambda: shop("port: 80, targetPort: web"), "svc/backend", "TCP", "service", "refused"),
    "a selector that finds nobody": (
        lambda: shop("port: 80", app="backedn"), "svc/backend", "TCP", "service", "refused"),
    "the pod's number dialled": (shop, "svc/backend:8080", "TCP", "client", "timed out"),
    "another protocol": (
        lambda: shop("port: 80, targetPort: 8080, protocol: UDP"),
        "svc/backend:80", "TCP", "client", "timed out"),
    "a port by its name": (
        lambda: shop("port: 80, name: web, targetPort: 8080"),
        "svc/backend:web", "TCP", "", "answered"),
    "one pod of two listens on loopback": (mixed, "svc/backend", "TCP", "pod", ""),
    "the API server, no pod": (shop, "svc/kubernetes", "TCP", "", "answered"),
    "a name server, over UDP": (shop, "svc/kube-system/kube-dns:53", "UDP", "", "answered"),
}  # fmt: skip
each = pytest.mark.parametrize(
    ("lab", "target", "protocol", "parts", "outcome"), CASES.values(), ids=CASES
)


@each
def test_numbers_part_where_the_packet_ends(lab, target, protocol, parts, outcome):
    found = ruler(lab(), target, "pod/frontend", protocol)
    assert found.parts == parts
    assert found.connection.outcome == (outcome or found.connection.outcome)


@each
def test_the_picture_is_xml_and_marks_a_break_if_there_is_one(
    lab, target, protocol, parts, outcome
):
    figure = ports(lab(), target, protocol=protocol)
    root = ElementTree.fromstring(figure.svg)
    height = float(root.attrib["viewBox"].split()[3])
    bottoms = [
        float(r.attrib["y"]) + float(r.attrib["height"])
        for r in root.iter("{http://www.w3.org/2000/svg}rect")
    ]
    assert max(bottoms) <= height
    assert ("l10 10m0 -10l-10 10" in figure.svg) == bool(parts)
    assert ("stroke-dasharray" in figure.svg) == bool(parts)


@each
def test_the_twin_has_every_number_of_the_picture(lab, target, protocol, parts, outcome):
    figure = ports(lab(), target, protocol=protocol)
    assert not DRAWN.search(figure.twin)
    assert all(row.endswith(".") for row in figure.twin.splitlines())
    assert len(figure.alt) < ALT
    numbers = re.findall(r"<text[^>]*font-size[^>]*>([^<]+)</text>", figure.svg)
    assert numbers
    bare = [number.split("…")[0].partition("/")[0] for number in numbers if number != "–"]
    assert [number for number in bare if number not in figure.twin] == []


def test_a_break_says_so_in_the_first_line():
    first = ports(shop("port: 80"), "svc/backend").twin.splitlines()[0]
    assert first.startswith("Broken at backend: sent to 80, and it listens on 8080/TCP.")


def test_pods_that_answer_and_pods_that_refuse_are_told_with_their_chances():
    twin = ports(mixed(), "svc/backend").twin
    assert "By chance: backend 1/2, refused 1/2." in twin
    assert "127.0.0.1:8080/TCP, 9000/TCP: the program" in twin


def test_equal_pods_share_a_door():
    lab = scenario("shop")
    manifest = lab.get("deployment/backend").manifest
    lab.apply([{**manifest, "spec": {**manifest["spec"], "replicas": 3}}])
    found = ruler(lab, "svc/backend", "pod/frontend", "TCP")
    assert [door.count for door in found.doors] == [3]


def test_a_node_port_is_told_beside_the_port():
    figure = ports(shop("port: 80, targetPort: 8080, nodePort: 30080", more=", type: NodePort"),
                   "svc/backend")  # fmt: skip
    assert "nodePort 30080" in figure.svg
    assert "nodePort 30080 is for clients outside" in figure.twin


def test_a_ruler_leaves_the_lab_as_it_was():
    lab = scenario("shop")
    before = lab.last, lab.conntrack, lab.state
    ports(lab, "svc/backend")
    assert (lab.last, lab.conntrack, lab.state) == before


@pytest.mark.parametrize(
    ("target", "error", "says"),
    [
        ("svc/bakend", NotFound, "did you mean `backend`"),
        ("pod/backend:8080", CommandError, "not a Service; write svc/NAME"),
        ("svc/backend:htp", NotFound, "no TCP port htp"),
        ("svc/kube-system/kube-dns", CommandError, "several ports"),
    ],
)
def test_what_cannot_be_ruled_is_said(target, error, says):
    with pytest.raises(error, match=re.escape(says)):
        ports(scenario("shop"), target)


def test_the_picture_shows_before_the_notebook_is_trusted():
    html = ports(shop("port: 80"), "svc/backend")._repr_html_()
    assert "<svg" not in html
    assert html.count("<img alt=") == 1
