"""Exact chances, held to the slow way: every way of a packet walked from its first step."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from labkit.kernel import netfilter as nf
from labkit.kernel.journey import Connect, End, Journey
from labkit.kernel.netns import Netns, Network
from labkit.kernel.outcomes import Explorer, outcomes
from labkit.kernel.walk import advance, ended
from labkit.proxy import MODES
from labkit.traffic.connect import asked
from labkit.traffic.program import program
from tests.clusters import state_of
from tests.properties.test_modes import clusters
from tests.properties.test_walk_ends import networks, packets, short_lived


def slowly(network, start, packet):
    """Nothing is kept of a way but its decisions: the next one starts again with other ones."""
    found, waiting = [], [(Fraction(1), ())]
    while waiting:
        chance, decisions = waiting.pop()
        explorer = Explorer(decisions)
        journey, step = Journey(network, explorer, {}, 0.0), Connect(start, packet)
        while not isinstance(step, End):
            step = advance(journey, step)
        found.append((chance * explorer.chance, ended(journey, step)))
        waiting += [(chance * other, decisions) for other, decisions in explorer.others]
    return tuple(found)


@given(networks(), packets().map(short_lived))
def test_ways_that_part_late_are_the_same_as_from_the_start(network, packet):
    assert outcomes(network, "m0", packet) == slowly(network, "m0", packet)


@settings(max_examples=30)
@given(clusters(), st.sampled_from([*MODES]))
def test_so_they_are_in_every_proxy_mode(drawn, mode):
    objects, answered, refused = drawn
    state = state_of(*objects, proxy_mode=mode)
    network = program(state)
    for source, target in answered + refused:
        question = asked(state, network, source, target)
        start, packet = question.spot.netns, question.packet
        assert outcomes(network, start, packet) == slowly(network, start, packet)


COUNTS = nf.Rule()  # matches everything and does nothing


def counting(netns: Netns) -> Netns:
    """Every chain without rules gets one that does nothing."""
    tables = tuple(
        replace(
            table,
            chains={
                name: chain if chain.rules else replace(chain, rules=(COUNTS,))
                for name, chain in table.chains.items()
            },
        )
        for table in netns.ruleset.tables
    )
    return replace(netns, ruleset=replace(netns.ruleset, tables=tables))


@given(networks(), packets().map(short_lived))
def test_a_chain_without_rules_is_as_good_as_one_that_does_nothing(network, packet):
    other = Network({name: counting(netns) for name, netns in network.namespaces.items()})
    found, wanted = (outcomes(each, "m0", packet) for each in (network, other))
    uncounted = [(chance, replace(trace, rules=found[i][1].rules))
                 for i, (chance, trace) in enumerate(wanted)]  # fmt: skip
    assert list(found) == uncounted
