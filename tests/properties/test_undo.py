"""Whatever is done can be taken back, and leaves no trace."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labkit import Cluster, LabError
from labkit.api.acts import LASTING
from tests.properties.worlds import worlds


@given(worlds(), worlds())
def test_undo_takes_an_apply_back_entirely(before, manifests):
    lab = Cluster.from_manifests(before)
    state, history = lab.state, lab.history
    if did(lab, manifests):
        assert lab.state is not state
        lab.undo()
    assert lab.state is state
    assert lab.history == history


def did(lab: Cluster, manifests: list[dict]) -> bool:
    """Was anything written? A refused apply writes nothing."""
    try:
        return any(line.verb != "unchanged" for line in lab.apply(manifests))
    except LabError:
        return False


@given(worlds(), st.data())
def test_undo_takes_a_delete_back_entirely(before, data):
    lab = Cluster.from_manifests(before)
    state = lab.state
    mortal = (k for k in state.objects if k.kind != "Namespace" or k.name not in LASTING)
    key = data.draw(st.sampled_from(sorted(mortal)))
    place = f"{key.namespace}/{key.name}" if key.namespace else key.name
    lab.delete(f"{key.kind}/{place}")
    assert key not in lab.at(state.revision + 1).state.objects
    lab.undo()
    assert lab.state is state


@given(worlds())
def test_applying_again_changes_nothing(manifests):
    lab = Cluster.from_manifests(manifests)
    state = lab.state
    assert {line.verb for line in lab.apply(manifests)} <= {"unchanged"}
    assert lab.state is state
