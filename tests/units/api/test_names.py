"""What people call a pod, and to which workload it belongs."""

from __future__ import annotations

import pytest

from labkit.api.names import title_of, workload_of, workloads
from tests.clusters import pod, replica_set, state_of

HASHED = {"pod-template-hash": "6f7d"}

WORKLOADS = {
    # what it shows: (pod, other objects, its workload)
    "a pod of its own": (pod("web", None), (), "web"),
    "a Deployment's": (
        pod("web-6f7d-aaaaa", None, owner="ReplicaSet/web-6f7d"),
        (replica_set("web-6f7d", "web"),),
        "web",
    ),
    "a Deployment's whose objects a dump left out": (
        pod("web-6f7d-aaaaa", None, owner="ReplicaSet/web-6f7d", labels=HASHED),
        (),
        "web",
    ),
    "a StatefulSet's": (pod("db-0", None, owner="StatefulSet/db"), (), "db"),
    "a static pod belongs to itself": (
        pod("kube-apiserver-node-1", None, owner="Node/node-1"),
        (),
        "kube-apiserver-node-1",
    ),
}


@pytest.mark.parametrize(("own", "others", "name"), WORKLOADS.values(), ids=WORKLOADS)
def test_workload_of(own, others, name):
    assert workload_of(state_of(own, *others), own) == name


def test_the_only_pod_of_a_workload_has_its_name():
    own = pod("db-0", None, owner="StatefulSet/db")
    assert title_of(state_of(own), own) == "db"


def test_two_pods_of_a_workload_keep_their_names():
    one, two = (pod(f"db-{i}", None, owner="StatefulSet/db") for i in (0, 1))
    assert title_of(state_of(one, two), one) == "db-0"


def test_a_finished_pod_does_not_make_a_second():
    one = pod("db-0", None, owner="StatefulSet/db")
    done = pod("db-1", None, owner="StatefulSet/db", phase="Succeeded")
    assert title_of(state_of(one, done), one) == "db"


def test_a_title_is_never_shared():
    lone = pod("db", None)
    other = pod("db-0", None, owner="StatefulSet/db")
    state = state_of(lone, other)
    assert [title_of(state, p) for p in (lone, other)] == ["db", "db-0"]


def test_other_namespaces_stand_in_front():
    own = pod("db-0", None, owner="StatefulSet/db", namespace="pay")
    assert title_of(state_of(own), own) == "pay/db"
    assert list(workloads(state_of(own))) == [("pay", "db")]
