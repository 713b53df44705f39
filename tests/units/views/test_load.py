"""The table of requests in time: what stands in it, in the words beside it, and in a widget."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from labkit import views
from labkit.errors import LabError
from labkit.traffic.load import SPANS, Demand, Load
from labkit.views.figure import ALT
from tests.units.views.test_figures import EVIL, QUOTE
from tests.units.views.test_twins import DRAWN

NEVER = Demand(clients=4, rate=1.0)


def run(demand: Demand = NEVER, **pods: tuple[int, int, int]) -> Load:
    """Each pod with the same requests in each span: how many, from which second, until which."""
    rows = tuple(pods.values())
    span = demand.seconds / SPANS
    counts = tuple(
        tuple(n if since <= span * k < until else 0 for k in range(SPANS))
        for n, since, until in rows
    )
    return Load(
        source="pod/frontend",
        target="svc/backend:80",
        demand=demand,
        ends=tuple(pods),
        requests=counts,
        opened=tuple(1 + n // 10 for n, _, _ in rows),
        since=tuple(since for _, since, _ in rows),
        until=tuple(until for _, _, until in rows),
        changes=tuple(sorted({x for _, *span in rows for x in span} - {0, 60})),
    )


GROWN = {"a": (30, 0, 60), "b": (10, 0, 60), "c": (0, 30, 60), "d": (0, 30, 60)}
CASES = {
    "even": lambda: run(a=(10, 0, 60), b=(10, 0, 60)),
    "grown": lambda: run(**GROWN),
    "shrunk": lambda: run(a=(10, 0, 60), b=(10, 0, 45)),
    "refused": lambda: run(a=(10, 0, 60), refused=(25, 5, 10)),
    "nobody": lambda: run(refused=(25, 0, 60)),
    "no requests": lambda: run(a=(0, 0, 60)),
    "many": lambda: run(**{f"backend-nhrrn42kln-{i:05}": (i, 0, 60) for i in range(40)}),
    "large numbers": lambda: run(Demand(clients=123456, rate=1e3), a=(1_234_567, 0, 60)),
    "changes side by side": lambda: run(a=(9, 0, 60), b=(9, 15, 60), c=(9, 20, 60), d=(9, 0, 55)),
}
each_case = pytest.mark.parametrize("make", CASES.values(), ids=CASES)
FIRST = {
    "even": "2 of 2 pods got requests; the busiest has 0 % more than the mean.",
    "grown": "2 of 4 pods got requests; the busiest has 200 % more than the mean since second 30.",
    "nobody": "No pod got a request. 300 requests got no answer.",
    "no requests": "No pod got a request.",
}


@pytest.mark.parametrize("case", FIRST)
def test_the_first_line_is_the_result(case):
    assert views.load(CASES[case]()).twin.splitlines()[0] == FIRST[case]


def test_each_pod_and_each_change_has_its_line():
    assert views.load(run(**GROWN)).twin.splitlines()[1:] == [
        "60 seconds in 12 spans of 5.",
        "At second 30: 2 pods come.",
        f"a: 75 % of the requests, 4 connections; {', '.join(['30'] * 12)}.",
        f"b: 25 % of the requests, 2 connections; {', '.join(['10'] * 12)}.",
        f"c: 0 % of the requests, 1 connection; from second 30 {', '.join('0' * 6)}.",
        f"d: 0 % of the requests, 1 connection; from second 30 {', '.join('0' * 6)}.",
    ]


@each_case
def test_the_same_run_is_drawn_by_the_same_bytes(make):
    assert views.load(make()) == views.load(make())


@each_case
def test_the_picture_is_a_picture_with_its_words(make):
    found = views.load(make())
    svg = ElementTree.fromstring(found.svg)
    assert svg.findtext("{*}desc") == found.twin
    assert len(found.alt) <= ALT
    assert not DRAWN.search(found.twin)


@each_case
def test_every_number_of_the_picture_is_in_the_twin(make):
    found = views.load(make())
    svg = ElementTree.fromstring(found.svg)
    boxes = [
        t.text for t in svg.iter("{http://www.w3.org/2000/svg}text") if "mid" in t.get("class", "")
    ]
    exact = [t for t in boxes if t.isdigit()]
    words = set(re.findall(r"\d+", found.twin))
    assert set(exact) <= words


def test_names_are_text_wherever_they_stand():
    spoiled = run(**{f"{EVIL}{QUOTE}": (1, 0, 60)})
    html = views.load(spoiled)._repr_html_()
    assert "<script>" not in html
    assert "<img src=x" not in html
    ElementTree.fromstring(views.load(spoiled).svg)


# --- sliders -----------------------------------------------------------------------------------


def two() -> object:
    figures = {
        (n, who): views.load(run(Demand(clients=n, chooses=who), a=(n, 0, 60)))
        for n in (1, 2, 3)
        for who in ("node", "proxy")
    }
    return views.sliders(("clients", "who chooses"), figures)


def test_every_combination_can_be_moved_to_and_no_other():
    widget = two()
    assert widget.moves["value"][:3] == ("1, node", "1, proxy", "2, node")
    assert len(widget.moves["value"]) == 6
    with pytest.raises(Exception, match="no option `4, node`"):
        widget.value = "4, node"


def test_numbers_make_a_slider_and_words_a_select():
    assert two().axes == [
        ["clients", ["1", "2", "3"], "range"],
        ["who chooses", ["node", "proxy"], "select"],
    ]


def test_the_words_of_sliders_tell_every_combination():
    lines = repr(two()).splitlines()
    assert lines[0] == "clients, who chooses: 6 combinations."
    assert lines[1] == ('"1, node" brings requests to 1 of 1 pods, the busiest 0 % over the mean.')
    assert "clients, who chooses: 1, node" in lines


def test_a_combination_that_is_missing_is_a_mistake():
    figures = {(1, 2): views.load(run(a=(1, 0, 60))), (2, 1): views.load(run(a=(2, 0, 60)))}
    with pytest.raises(LabError, match=r"no figure for \(1, 1\)"):
        views.sliders(("x", "y"), figures)
