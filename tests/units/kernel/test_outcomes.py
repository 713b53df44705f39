"""Exact chances of everything that may happen."""

from __future__ import annotations

from fractions import Fraction

import pytest

from labkit.kernel.dice import SeededDice
from labkit.kernel.outcomes import outcomes
from labkit.kernel.walk import walk
from tests.units.kernel.networks import Plan, packet

HEAD = (
    "*nat\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\n:SVC -\n-A PREROUTING -d 10.96.0.10/32 -j SVC\n"
)


def service(*endpoints: str) -> str:
    """The rules of a Service as kube-proxy writes them: 1/n, 1/(n-1), ..., the rest."""
    rows = []
    for left, endpoint in zip(range(len(endpoints), 0, -1), endpoints, strict=True):
        chance = f"-m statistic --mode random --probability {1 / left:.11f} " if left > 1 else ""
        rows.append(f"-A SVC -p tcp -m tcp {chance}-j DNAT --to-destination {endpoint}:8080")
    return HEAD + "\n".join(rows) + "\nCOMMIT"


def found(rules: str):
    net = Plan({"node-1": ["a", "b"], "node-2": ["c"]}, rules={"": rules}).network()
    return net, outcomes(net, "pod/default/a", packet("10.244.1.2", "10.96.0.10"))


def ends(ways):
    return [(chance, way.end.rpartition("/")[2], way.outcome) for chance, way in ways]


def test_one_endpoint_is_certain():
    assert ends(found(service("10.244.1.3"))[1]) == [(1, "b", "delivered")]


def test_three_endpoints_get_a_third_each_in_the_order_of_the_rules():
    third = Fraction(1, 3)
    assert ends(found(service("10.244.2.2", "10.244.1.3", "10.244.2.9"))[1]) == [
        (third, "c", "delivered"),
        (third, "b", "delivered"),
        (third, "node-2", "unreachable"),
    ]


def test_the_same_chance_for_each_is_not_fair():
    rules = service("10.244.2.2", "10.244.1.3", "10.244.2.2").replace("0.50000000000", "0.33333333")
    chances = [chance for chance, _, _ in ends(found(rules)[1])]
    assert chances == [Fraction(1, 3), Fraction(2, 9), Fraction(4, 9)]


def test_ways_that_end_alike_are_not_merged():
    assert (
        ends(found(service("10.244.1.3", "10.244.1.3"))[1])
        == [(Fraction(1, 2), "b", "delivered")] * 2
    )


@pytest.mark.parametrize("count", [100, 1200])
def test_many_endpoints_are_no_deeper_than_few(count):
    ways = found(service(*["10.244.1.3"] * count))[1]
    assert [chance for chance, _ in ways] == [Fraction(1, count)] * count


def test_chances_of_several_chains_multiply():
    rules = service("10.244.2.2", "10.244.1.3") + (
        "\n*filter\n:FORWARD ACCEPT\n"
        "-A FORWARD -m statistic --mode random --probability 0.25 -j DROP\nCOMMIT"
    )
    # Across nodes both nodes' FORWARD chains are met, on a node its own once.
    assert ends(found(rules)[1]) == [
        (Fraction(1, 8), "node-1", "dropped"),
        (Fraction(3, 32), "node-2", "dropped"),
        (Fraction(9, 32), "c", "delivered"),
        (Fraction(1, 8), "node-1", "dropped"),
        (Fraction(3, 8), "b", "delivered"),
    ]


def test_dice_choose_among_the_outcomes():
    net, ways = found(service("10.244.2.2", "10.244.1.3"))
    what = packet("10.244.1.2", "10.96.0.10")
    picked = {walk(net, "pod/default/a", what, SeededDice(seed)).end for seed in range(20)}
    assert picked == {way.end for _, way in ways}
