"""A request in two halves: the alias is followed on the left, and heard by nobody on the right."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest

from labkit import scenario
from labkit.views import spoken
from labkit.views.figure import ALT
from labkit.views.spoken import chain, said
from tests.needs import ROOT
from tests.units.views.test_twins import DRAWN

EVIL = "<script>alert(1)</script>\x07"
CARD = ("typed", "completed", "CNAME", "A")
CASES = {
    # a URL: (what the twin begins with, how each link of the look-up came about, what is said)
    "https://card/": ("Not trusted. The client asked for card;", CARD, ("card", "api.stripe.com")),
    "http://card/": ("404. The server heard card; it", CARD, ("card", "api.stripe.com")),
    "https://api.stripe.com/": (
        "200. From outside", ("typed", "A"), ("api.stripe.com", "api.stripe.com")),
    "http://cashier/": ("Timed out. Nothing was said", CARD, ()),
    "http://cashier:8443/": ("200. From pay/payments", CARD, ("cashier:8443", "any name")),
    "http://backend:81/": ("Timed out.", ("typed", "completed", "A"), ()),
    "http://db:5432/": ("200. From db", ("typed", "completed", "A"), ("db:5432", "any name")),
    "http://nope/": ("No address.", ("typed",), ()),
    "http://10.244.2.2:80/": ("Refused.", ("typed",), ()),
    "http://localhost:8080/": (
        "200. From frontend", ("typed", "an address"), ("localhost:8080", "any name")),
}  # fmt: skip
cases = pytest.mark.parametrize(("url", "begins", "links", "talk"),
                                [(url, *row) for url, row in CASES.items()], ids=CASES)  # fmt: skip


def asked(url):
    lab = scenario("shop")
    lab.apply(ROOT / "notebooks/lessons/L09-aliases.yaml")
    return lab.request("pod/frontend", url)


@cases
def test_each_half_says_how_its_names_came_about(url, begins, links, talk):
    found = asked(url)
    assert tuple(how for _, how in chain(found)) == links
    assert tuple(name for name, _ in said(found)) == talk
    assert spoken(found).twin.startswith(begins)


@cases
def test_a_request_keeps_the_promises_of_a_picture(url, begins, links, talk):
    shown = spoken(asked(url))
    assert shown == spoken(asked(url))
    assert not DRAWN.search(shown.twin)
    assert all(line.endswith(".") for line in shown.twin.splitlines())
    assert len(shown.alt) < ALT
    assert ElementTree.fromstring(shown.svg).attrib["width"] == "720"


def test_markup_in_a_name_is_shown_as_text():
    found = msgspec.structs.replace(asked("http://card/"), url=EVIL, host=EVIL, site=(EVIL,))
    assert "<script" not in spoken(found).svg
    assert "<script" not in spoken(found).html
    assert "\x07" not in spoken(found).svg
