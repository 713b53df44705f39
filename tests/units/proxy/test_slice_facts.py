"""Rows of tests/conformance/cases/proxy-facts.jsonl about the slices that the proxy reads."""

from __future__ import annotations

import pytest

from labkit import Cluster

ZONE = "topology.kubernetes.io/zone"


def world(*, ready="true", leaving=False, count=1, annotations=None, **spec):
    """node-a in zone z1 with pods behind the Service `web`."""
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-a", "labels": {ZONE: "z1"}},
        "spec": {"podCIDR": "10.244.0.0/22"},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "annotations": annotations or {}},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec},
    }
    pods = []
    for number in range(count):
        metadata = {
            "name": f"web-{number}",
            "labels": {"app": "web"},
            "annotations": {"labkit.dev/ready": ready},
        }
        if leaving:
            metadata["deletionTimestamp"] = "2026-11-22T10:05:00Z"
            metadata["finalizers"] = ["example.com/wait"]
        container = {"name": "c", "image": "web", "ports": [{"containerPort": 80}]}
        pods.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {"nodeName": "node-a", "containers": [container]},
            }
        )
    lab = Cluster.from_manifests([node, service, *pods])
    return [s for s in lab.list("endpointslices") if s.name.startswith("web")]


HINTS = {
    # trafficDistribution: (zones, nodes) that the endpoint is meant for
    "PreferClose": (["z1"], []),
    "PreferSameZone": (["z1"], []),
    "PreferSameNode": (["z1"], ["node-a"]),
}


@pytest.mark.parametrize("distribution", HINTS)
def test_the_controller_writes_hints(distribution):
    (found,) = world(trafficDistribution=distribution)
    hints = found.endpoints[0].hints
    assert hints is not None
    got = [h.name for h in hints.for_zones], [h.name for h in hints.for_nodes]
    assert got == HINTS[distribution]


def test_without_a_distribution_there_are_no_hints():
    (found,) = world()
    assert found.endpoints[0].hints is None


def test_the_old_annotation_gives_no_hints_where_nodes_do_not_tell_their_cpu():
    """The guard of `Auto`; the lab's nodes tell no allocatable CPU, so it never gives any."""
    (found,) = world(annotations={"service.kubernetes.io/topology-mode": "Auto"})
    assert found.endpoints[0].hints is None


CONDITIONS = {
    # what it shows: (pod, (ready, serving, terminating))
    "a ready pod that leaves serves still": ({"leaving": True}, (False, True, True)),
    "published though not ready": (
        {"ready": "false", "leaving": True, "publishNotReadyAddresses": True},
        (True, False, True),
    ),
}


@pytest.mark.parametrize(("how", "expected"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions_of_a_pod_that_leaves(how, expected):
    (found,) = world(**how)
    told = found.endpoints[0].conditions
    assert (told.ready, told.serving, told.terminating) == expected


def test_a_slice_holds_a_hundred_endpoints():
    assert sorted(len(s.endpoints) for s in world(count=120)) == [20, 100]
