"""Every picture says in words what it shows, from the same values."""

from __future__ import annotations

import re

import pytest

from labkit.views import compare, counters, path, topology
from labkit.views.choose import words as choice_words
from labkit.views.figure import ALT
from labkit.views.hops import changes, steps
from labkit.views.stepper import words as stepper_words
from tests.units.views.faulty import REAL
from tests.units.views.made import MADE, cluster_ip, dropped
from tests.units.views.shop import CLUSTERS, small

FIGURES = {
    **{f"path, {name}": lambda make=make: path(make()) for name, make in (MADE | REAL).items()},
    **{f"topology, {name}": lambda make=make: topology(make()) for name, make in CLUSTERS.items()},
    "compare": lambda: compare(cluster_ip(), dropped(), ("before", "after")),
    "compare, equal": lambda: compare(cluster_ip(), cluster_ip()),
    "counters": lambda: counters(small(), cluster_ip()),
}
DRAWN = re.compile(r"[←-⇿─-╿▀-▟●○✕×★→]|->|\n\n")


@pytest.fixture(params=FIGURES.values(), ids=FIGURES)
def make(request):
    return request.param


def test_the_twin_has_no_arrow_no_box_and_no_blank_line(make):
    assert not DRAWN.search(make().twin)


def test_every_line_of_the_twin_ends_as_a_sentence_or_with_a_quoted_row(make):
    bad = [
        x
        for x in make().twin.splitlines()
        if not x.endswith((".", ":")) and "Decided by: " not in x
    ]
    assert not bad


def test_the_alt_text_is_under_200_letters_and_begins_with_the_title(make):
    figure = make()
    assert len(figure.alt) < ALT
    assert figure.alt.startswith(figure.title[:80])


def test_the_text_of_a_figure_is_its_title_and_its_twin(make):
    figure = make()
    assert repr(figure) == f"{figure.title}\n{figure.twin}"


def test_equal_values_give_equal_bytes(make):
    assert make() == make()


@pytest.mark.parametrize("made", (MADE | REAL).values(), ids=MADE | REAL)
def test_the_twin_has_every_place_change_and_row_that_the_table_has(made):
    connection = made()
    twin = path(connection).twin
    for step in steps(connection):
        assert step.title in twin
        assert step.hop.why.replace(" -> ", " to ") in twin
        assert all(f"{c.field} {c.before or c.after}" in twin for c in changes(step.hop))


@pytest.mark.parametrize("made", (MADE | REAL).values(), ids=MADE | REAL)
def test_the_first_line_counts_the_hops_and_names_the_end(made):
    connection = made()
    first = path(connection).twin.splitlines()[0]
    told = [s for s in steps(connection) if s.leg == "request"]
    decided = [hop for hop in connection.request.hops if not hop.quiet]
    assert first.startswith(f"{len(decided)} hop")
    assert told[-1].title in first


def test_tries_that_are_not_drawn_are_told():
    assert path(REAL["too big at first"]()).twin.splitlines()[1] == (
        "Before what is drawn, a packet of 60 bytes opened the connection; "
        "a packet of 1450 bytes came back as too big."
    )


def test_the_twin_of_a_comparison_says_the_first_difference_first():
    first = compare(cluster_ip(), dropped(), ("before", "after")).twin.splitlines()[0]
    assert first == (
        "They part at hop 5. Before: node-1. The frame becomes the load of a UDP packet between "
        "the nodes. After: node-2. The destination is one of node-2's own pods."
    )


def test_the_twin_of_equal_connections_says_that_they_are_equal():
    assert compare(cluster_ip(), cluster_ip()).twin.startswith("Both take the same hops")


def test_the_steppers_words_have_the_bytes_of_every_hop():
    lines = stepper_words(cluster_ip()).splitlines()
    wrap = next(x for x in lines if x.startswith("5. "))
    assert wrap.endswith(
        "Bytes: Ethernet 14, IP 20, UDP 8, VXLAN 8, Ethernet 14, IP 20, TCP 40, payload 0. "
        "IP packet 110 bytes; the link's MTU is 1500: fits."
    )


def test_the_words_of_a_choice_are_those_of_all_its_options():
    options = {"no": path(cluster_ip()), "yes": path(dropped())}
    words = choice_words("drop it", options)
    assert words.splitlines()[0] == (
        'drop it: "no" is answered by backend; '
        '"yes" gets no answer and times out; the packet ends at node-2.'
    )
    assert all(f"drop it: {name}\n{figure!r}" in words for name, figure in options.items())


def test_a_topology_tells_of_the_system_pods_it_leaves_out_and_draws_them_on_wish():
    assert topology(small()).twin.endswith("2 system pods are not drawn.")
    assert "kube-system/coredns-0 10.244.1.8" in topology(small(), system=True).twin


def test_a_topology_tells_the_addresses_of_the_router_and_of_the_outside():
    figure = topology(small())
    assert figure.twin.splitlines()[4] == ("A router at 192.168.7.1 leads outside, to 203.0.113.9.")
    assert "  203.0.113.9</tspan>" in figure.svg


def test_more_than_nine_pods_on_a_machine_are_told_by_workload():
    twin = topology(CLUSTERS["66 pods"]()).twin
    assert "pay/payments x4" in twin
    assert "(1 not ready)" in twin


def test_a_cluster_without_a_tunnel_says_that_nothing_is_wrapped():
    assert "nothing is wrapped" in topology(small("host-gw")).twin.splitlines()[0]
    assert "flannel.1" not in topology(small("host-gw")).svg


def test_counters_tell_which_devices_saw_nothing():
    twin = counters(small(), cluster_ip()).twin
    assert "node-3 eth0: nothing." in twin
    assert "frontend eth0: 0 packets in (0 bytes), 1 packet out (74 bytes)." in twin
