"""The tree of names says what was asked, in which order, and what was never asked."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest

from labkit import scenario
from labkit.views import lookup, names, who_asks
from labkit.views.figure import ALT
from labkit.views.names import tree
from tests.units.views.test_twins import DRAWN

EVIL = "<script>alert(1)</script>\x07"
SERVICES = """apiVersion: v1
kind: Service
metadata: {name: partner}
spec: {type: ExternalName, externalName: www.shop.example}
---
apiVersion: v1
kind: Service
metadata: {name: short}
spec: {type: ExternalName, externalName: backend.default}
"""


def shop():
    made = scenario("shop")
    made.apply(SERVICES)
    return made


lab = pytest.fixture(scope="module")(shop)


def named(place, name, type_="A+AAAA"):
    return shop().resolve(place, name, type_)


def asking():
    """A lab, and look-ups in three of its pods."""
    made = shop()
    places = ("pod/frontend", "pod/pay/payments", "pod/ops/monitoring")
    return made, [made.resolve(p, n) for p in places for n in ("backend", "api.stripe.com")]


def silent():
    """A shop without DNS."""
    made = scenario("shop")
    made.delete("deployment/kube-system/coredns")
    return made


CASES = {
    # what it shows: (place, name, type, (asked, all names), words of the first line)
    "the first name answers": (
        "pod/frontend", "backend", "A+AAAA", (1, 4),
        "backend is found as backend.default.svc.cluster.local. with 2 questions: 10.96.1.2."),
    "another namespace": ("pod/pay/payments", "backend", "A+AAAA", (4, 4), "no such name"),
    "the namespace said": (
        "pod/pay/payments", "backend.default", "A+AAAA", (2, 4), "with 4 questions"),
    "a dot at the end": ("pod/frontend", "kubernetes.io.", "A", (1, 1), "as kubernetes.io. with 1"),
    "a name of a name": ("pod/frontend", "partner", "A", (1, 4), "with 1 question: 203.0.113.9."),
    "a short name behind a name": (
        "pod/frontend", "short", "A", (4, 4), "the name is there, an address is not"),
    "an address": ("pod/frontend", "10.96.1.2", "PTR", (1, 1), "2.1.96.10.in-addr.arpa."),
    "a port's name": ("pod/frontend", "_x._tcp.db", "SRV", (4, 4), "no such name"),
    "the pod's own file": ("pod/frontend", "localhost", "A", (0, 0), "without a question"),
    "an address to connect to": ("pod/frontend", "10.0.0.1", "A", (0, 0), "without a question"),
}  # fmt: skip
cases = pytest.mark.parametrize(
    ("place", "name", "type_", "counts", "says"), CASES.values(), ids=CASES
)


@cases
def test_a_tree_tells_names_asked_and_names_spared(lab, place, name, type_, counts, says):
    found = lab.fork().resolve(place, name, type_)
    tried = tree(found)
    assert (sum(bool(one.questions) for one in tried), len(tried)) == counts
    assert sum(one.answers for one in tried) == bool(found and tried)
    shown = names(found)
    assert says in shown.twin.splitlines()[0]
    assert shown.twin.count("never asked") == counts[1] - counts[0]


@cases
def test_a_tree_keeps_the_promises_of_a_picture(lab, place, name, type_, counts, says):
    shown = names(lab.fork().resolve(place, name, type_))
    assert shown == names(lab.fork().resolve(place, name, type_))
    assert not DRAWN.search(shown.twin)
    assert all(line.endswith(".") for line in shown.twin.splitlines())
    assert len(shown.alt) < ALT
    assert ElementTree.fromstring(shown.svg).attrib["width"] == "720"


def test_a_chain_of_names_is_told_link_by_link(lab):
    twin = names(lab.fork().resolve("pod/frontend", "partner", "A")).twin
    way = "A 203.0.113.9 by way of www.shop.example. and shop.example. (CoreDNS asked 203.0.113.9)"
    assert f"1. partner.default.svc.cluster.local.: {way}. This name answers." in twin


def test_silence_is_told_with_its_tries():
    twin = names(silent().resolve("pod/frontend", "backend")).twin
    assert "no server gives an answer" in twin
    assert "A refused, 2 times; AAAA refused, 2 times" in twin


def test_each_resolver_has_its_own_order(lab):
    musl = lab.fork().resolve("pod/frontend", "a.b.c.d.e.f", resolver="musl")
    assert "comes first, and nothing else" in names(musl).twin
    busybox = lab.fork().resolve("pod/frontend", "backend", resolver="busybox-nslookup")
    assert names(busybox).twin.count("A NXDOMAIN; AAAA NXDOMAIN") == 2


def test_markup_in_a_name_is_shown_as_text(lab):
    found = lab.fork().resolve("pod/frontend", "backend", "A")
    evil = msgspec.structs.replace(
        found, source=EVIL, lookup=msgspec.structs.replace(found.lookup, name=EVIL)
    )
    for shown in (names(evil), who_asks(lab, [evil])):
        assert "<script" not in shown.svg
        assert "\x07" not in shown.svg
        assert "<script" not in shown.html


# --- who asks whom -------------------------------------------------------------------------


def test_every_question_goes_along_one_line_of_each_kind(lab):
    fork = lab.fork()
    found = [
        fork.resolve(place, name)
        for place in ("pod/frontend", "pod/pay/payments")
        for name in ("backend", "api.stripe.com")
    ]
    shown = who_asks(fork, found)
    count = sum(len(one.questions) for one in found)
    assert shown.twin.startswith(f"{count} questions from 2 places; ")
    assert "default/frontend sends 10 questions to 10.96.0.10 (kube-system/kube-dns)." in shown.twin
    assert "on to 203.0.113.9." in shown.twin
    assert not DRAWN.search(shown.twin)
    assert shown == who_asks(fork, found)


def test_questions_that_nobody_takes_lead_to_nobody():
    lost = silent()
    shown = who_asks(lost, [lost.resolve("pod/frontend", "backend", "A")])
    assert "leads 2 questions to nobody." in shown.twin
    assert who_asks(lost, []).twin == "Nobody was asked."


# --- the widget ------------------------------------------------------------------------------


def test_a_look_up_answers_what_is_typed_and_leaves_no_trace(lab):
    before = (lab.names, lab.conntrack)
    widget = lookup(lab, ["backend", "payments.pay"], ["pod/frontend", "pod/pay/payments"])
    widget.name = "db"
    assert widget.says == (
        "default/frontend looks up db. "
        "db is found as db.default.svc.cluster.local. with 2 questions: 10.96.1.3."
    )
    widget.place = "pod/pay/payments"
    assert widget.says.startswith("pay/payments looks up db. db is not found")
    assert (lab.names, lab.conntrack) == before


@pytest.mark.parametrize("text", ["", "a b", "x..y", "a" * 64, "<b>", "-" * 300])
def test_what_is_no_name_is_told_so(lab, text):
    widget = lookup(lab, ["backend"], ["pod/frontend"])
    widget.name = text
    assert "looks nothing up" in widget.says
    widget.name = "backend"
    assert "is found" in widget.says


def test_a_look_ups_words_have_every_name_in_every_place(lab):
    typed, places = ["backend", "payments"], ["pod/frontend", "pod/pay/payments"]
    widget = lookup(lab, typed, places)
    assert repr(widget).count("backend is ") == repr(widget).count("payments is ") + 1 == 3
    assert widget.moves == {"name": tuple(typed), "place": tuple(places)}
