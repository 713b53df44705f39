"""The controllers come to rest, stay at rest, and in whatever order they are asked."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from labkit.api.core import Pod
from labkit.api.setup import built
from labkit.api.state import ClusterConfig, State
from labkit.controllers import CONTROLLERS, Controller, settle, step
from labkit.errors import NotSettled
from tests.properties.worlds import timeless, worlds


def started(manifests: list[dict]) -> State:
    return built(manifests, 3, ClusterConfig())[0]


def settled(state: State, controllers=CONTROLLERS) -> State:
    for after, _ in settle(state, controllers):
        state = after
    return state


@given(worlds())
def test_at_rest_no_controller_wants_anything(manifests):
    state = settled(started(manifests))
    assert [c.name for c in CONTROLLERS if step(state, [c])[1]] == []


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_controllers_does_not_matter(manifests, chance: random.Random):
    shuffled = chance.sample(CONTROLLERS, len(CONTROLLERS))
    state = started(manifests)
    assert timeless(settled(state, shuffled)) == timeless(settled(state))


@given(worlds())
def test_revisions_count_writes(manifests):
    state = started(manifests)
    for after, events in settle(state):
        assert [e.revision for e in events] == list(range(state.revision + 1, after.revision + 1))
        assert all(after.objects.get(e.key) == e.after for e in events[-1:])
        state = after


@given(worlds())
def test_no_two_pods_share_an_address_unless_they_share_a_host(manifests):
    pods = [p for p in settled(started(manifests)).list(Pod) if not p.spec.host_network]
    addresses = [a for p in pods for a in p.addresses]
    assert len(addresses) == len(set(addresses))


def flapping(value: str) -> Controller:
    """A controller that wants every pod labelled its way."""

    def run(state: State):
        for pod in state.list(Pod):
            if pod.labels.get("who") != value:
                meta = replace(pod.metadata, labels={**pod.labels, "who": value})
                yield replace(pod, metadata=meta)

    return Controller(value, 9, run)


def test_controllers_that_disagree_are_named():
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}}
    quarrel = [flapping("cat"), flapping("dog")]
    says = r"did not settle in 50 rounds; (cat and dog|dog and cat) keep rewriting .*pod/p"
    with pytest.raises(NotSettled, match=says):
        settled(started([pod]), [*CONTROLLERS, *quarrel])
