"""Labels that change under the controllers: they come to rest, in any order, and undo holds."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from labkit import Cluster
from labkit.api.apps import ReplicaSet
from labkit.api.core import Pod
from labkit.api.objects import encode
from labkit.api.setup import built
from labkit.api.state import ClusterConfig, State
from labkit.api.store import write
from labkit.controllers import CONTROLLERS, settle, step
from tests.properties.worlds import NAMES, timeless, worlds

labels = st.lists(st.sampled_from([*NAMES, "other"]), min_size=1, max_size=4)


def settled(state: State, controllers=CONTROLLERS) -> State:
    for after, _ in settle(state, controllers):
        state = after
    return state


def relabelled(state: State, values: list[str]) -> State:
    """Some pods and sets of `default` with another `app`, as many as there are values."""
    found = [o for kind in (Pod, ReplicaSet) for o in state.list(kind, "default")]
    step_ = max(1, len(found) // len(values))
    chosen = zip(found[::step_], values, strict=False)
    changed = (
        replace(o, metadata=replace(o.metadata, labels={**o.labels, "app": value}))
        for o, value in chosen
    )
    return write(state, "kubectl", changed)[0]


@given(worlds(), labels, st.randoms(use_true_random=False))
def test_whatever_is_relabelled_ends_the_same_in_any_order(manifests, values, chance):
    assert isinstance(chance, random.Random)
    state = relabelled(settled(built(manifests, 3, ClusterConfig())[0]), values)
    rest = settled(state)
    assert [c.name for c in CONTROLLERS if step(rest, [c])[1]] == []
    shuffled = chance.sample(CONTROLLERS, len(CONTROLLERS))
    assert timeless(settled(state, shuffled)) == timeless(rest)


@given(worlds(), labels)
def test_no_workload_keeps_a_pod_that_it_does_not_select(manifests, values):
    state = settled(relabelled(settled(built(manifests, 3, ClusterConfig())[0]), values))
    for pod in state.list(Pod, "default"):
        for reference in pod.metadata.owner_references:
            owner = next(
                o for k, o in state.objects.items() if k[0::2] == (reference.kind, reference.name)
            )
            assert owner.spec.selector.matches(pod.labels)


@given(worlds(), st.sampled_from(NAMES))
def test_undo_takes_a_relabelling_back(manifests, value):
    lab = Cluster.from_manifests(manifests)
    before, history = lab.state, lab.history
    pods = [encode(pod) for pod in lab.list("pods")]
    for pod in pods:
        pod["metadata"]["labels"] = {"app": value}
    lab.replace(pods)
    if lab.history != history:
        lab.undo()
    assert lab.state is before
    assert lab.history == history
