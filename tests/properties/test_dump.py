"""What a cluster prints of itself is the same cluster: load(dump(x)) == x."""

from __future__ import annotations

from hypothesis import given

from labkit import Cluster
from labkit.api.objects import encode
from tests.properties.worlds import timeless, worlds


@given(worlds())
def test_a_dump_of_a_cluster_is_the_same_cluster(manifests):
    lab = Cluster.from_manifests(manifests)
    dump = [encode(obj) for obj in lab.state]
    again = Cluster.from_manifests(dump)
    assert timeless(again.state) == timeless(lab.state)
    assert {e.actor for e in again.watch()} == {"kubectl"}


@given(worlds())
def test_a_dump_keeps_every_uid(manifests):
    lab = Cluster.from_manifests(manifests)
    again = Cluster.from_manifests([encode(obj) for obj in lab.state])
    uids = ({k: o.metadata.uid for k, o in x.state.objects.items()} for x in (lab, again))
    assert next(uids) == next(uids)
