"""A cluster does not differ from itself, and a difference has no favourite side."""

from __future__ import annotations

from hypothesis import given, settings

from labkit import Cluster, diff
from tests.properties.worlds import worlds

MIRROR = {"only in a": "only in b", "only in b": "only in a", "changed": "changed"}


@given(worlds())
@settings(max_examples=30)
def test_a_cluster_does_not_differ_from_itself(manifests):
    lab = Cluster.from_manifests(manifests)
    assert not diff(lab, lab)
    assert not diff(lab, lab.fork())
    assert not diff(lab, Cluster.from_manifests(manifests))


@given(worlds(3), worlds(3))
@settings(max_examples=30)
def test_a_difference_seen_from_the_other_side_is_mirrored(one, other):
    a, b = Cluster.from_manifests(one), Cluster.from_manifests(other)
    there, back = diff(a, b), diff(b, a)
    assert {c.key: MIRROR[c.kind] for c in there.objects} == {c.key: c.kind for c in back.objects}
    assert {(t.netns, t.command, t.only_b, t.only_a) for t in there.tables} == {
        (t.netns, t.command, t.only_a, t.only_b) for t in back.tables
    }
    assert {(c.source, c.target, c.b, c.a) for c in there.reachability} == {
        (c.source, c.target, c.a, c.b) for c in back.reachability
    }
