"""Workloads make pods, replace them step by step, and take them along when they go."""

from __future__ import annotations

import re

import pytest

from labkit.cluster import Cluster
from tests.units.controllers.worlds import container, names, node, placed, pod, workload


def replicasets(lab: Cluster) -> dict[str, int]:
    return {rs.name: rs.spec.replicas for rs in lab.list("rs")}


def test_a_deployment_makes_one_set_and_its_pods():
    lab = Cluster.from_manifests([workload("Deployment", "web", 3)])
    (name,) = replicasets(lab)
    letters = "[bcdfghjklmnpqrstvwxz2456789]"
    assert re.fullmatch(f"web-{letters}{{8,10}}", name)
    assert [bool(re.fullmatch(f"{name}-{letters}{{5}}", p)) for p in names(lab)] == [True] * 3
    assert lab.get("deploy/web").status.ready_replicas == 3


def test_names_do_not_depend_on_what_else_is_there():
    alone = Cluster.from_manifests([workload("Deployment", "web", 2)])
    among = Cluster.from_manifests(
        [workload("Deployment", "a", 5), workload("Deployment", "web", 2)]
    )
    assert set(names(alone)) <= set(names(among))


def test_scaling_down_deletes_the_youngest_and_keeps_the_rest():
    lab = Cluster.from_manifests([workload("Deployment", "web", 2)], nodes=1)
    two = set(names(lab))
    lab.apply([workload("Deployment", "web", 4)])
    lab.apply([workload("Deployment", "web", 2)])
    assert set(names(lab)) == two


def test_a_deleted_pod_comes_back_under_another_name_and_address():
    lab = Cluster.from_manifests([workload("Deployment", "web", 1)], nodes=1)
    old = lab.get("pod/web")
    lab.delete(f"pod/{old.name}")
    new = lab.get("pod/web")
    assert new.name != old.name
    assert new.addresses != old.addresses


def rolled(surge: int | str, unavailable: int | str) -> tuple[int, int]:
    """(most pods, fewest ready pods) seen during the rollout of a new image on four replicas."""
    strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    lab = Cluster.from_manifests([workload("Deployment", "web", 4, strategy=strategy)])
    start = len(lab.history)
    newer = {"containers": [container(80, image="c:2")]}
    lab.apply([workload("Deployment", "web", 4, strategy=strategy, pod=newer)])
    seen = [m.state for m in lab.history[start:]]
    pods = [[o for k, o in s.objects.items() if k[:2] == ("Pod", "default")] for s in seen]
    images = {p.spec.containers[0].image for p in lab.list("pods")}
    assert images == {"c:2"}
    return max(map(len, pods)), min(sum(p.ready for p in ps) for ps in pods)


ROLLOUTS = {
    # what it shows: (maxSurge, maxUnavailable, most pods, fewest ready)
    "percentages round the surge up, the gap down": ("25%", "25%", 5, 3),
    "no gap needs a surge": (1, 0, 5, 4),
    "no surge makes a gap": (0, 1, 4, 3),
    "all at once": ("100%", 0, 8, 4),
    "a gap that rounds down to nothing is one pod": (0, "10%", 4, 3),
}


@pytest.mark.parametrize(("surge", "gap", "most", "fewest"), ROLLOUTS.values(), ids=ROLLOUTS)
def test_a_rollout_keeps_its_limits(surge, gap, most, fewest):
    assert rolled(surge, gap) == (most, fewest)


def test_recreate_waits_until_all_old_pods_are_gone():
    lab = Cluster.from_manifests([workload("Deployment", "web", 2, strategy={"type": "Recreate"})])
    start = len(lab.history)
    newer = {"containers": [container(80, image="c:2")]}
    lab.apply([workload("Deployment", "web", 2, strategy={"type": "Recreate"}, pod=newer)])
    for moment in lab.history[start:]:
        pods = [o for k, o in moment.state.objects.items() if k[:2] == ("Pod", "default")]
        assert len({p.spec.containers[0].image for p in pods}) <= 1


def test_a_rollout_that_never_gets_ready_stops_half_way():
    lab = Cluster.from_manifests([workload("Deployment", "web", 4)])
    old = set(names(lab))
    probe = {"httpGet": {"port": 9999}}
    broken = {"containers": [container(80, image="c:2", readinessProbe=probe)]}
    lab.apply([workload("Deployment", "web", 4, pod=broken)])
    assert sorted(replicasets(lab).values()) == [2, 3]
    assert len(old & set(names(lab))) == 3


def test_going_back_revives_the_old_set():
    lab = Cluster.from_manifests([workload("Deployment", "web", 1)])
    (first,) = replicasets(lab)
    lab.apply([workload("Deployment", "web", 1, pod={"containers": [container(80, image="c:2")]})])
    lab.apply([workload("Deployment", "web", 1)])
    assert replicasets(lab)[first] == 1
    assert sorted(replicasets(lab).values()) == [0, 1]
    assert lab.get("deploy/web").annotations["deployment.kubernetes.io/revision"] == "3"


def test_a_change_of_a_field_that_the_lab_does_not_model_rolls_out_too():
    lab = Cluster.from_manifests([workload("Deployment", "web", 1)])
    old = names(lab)
    env = {"containers": [container(80, env=[{"name": "A", "value": "1"}])]}
    lab.apply([workload("Deployment", "web", 1, pod=env)])
    assert names(lab) != old


def test_a_stateful_set_counts_up_and_down():
    lab = Cluster.from_manifests([workload("StatefulSet", "db", 3, serviceName="db")])
    made = [
        e.key.name for e in lab.watch() if e.verb == "created" and e.key[:2] == ("Pod", "default")
    ]
    assert made == ["db-0", "db-1", "db-2"]
    lab.apply([workload("StatefulSet", "db", 1, serviceName="db")])
    assert names(lab) == ["db-0"]
    assert (lab.get("pod/db-0").spec.hostname, lab.get("pod/db-0").spec.subdomain) == ("db-0", "db")


def test_a_stateful_set_waits_for_the_pod_before():
    probe = {"httpGet": {"port": 9999}}
    never = {"containers": [container(80, readinessProbe=probe)]}
    lab = Cluster.from_manifests([workload("StatefulSet", "db", 3, pod=never)])
    assert names(lab) == ["db-0"]
    parallel = workload("StatefulSet", "ab", 3, pod=never, podManagementPolicy="Parallel")
    lab.apply([parallel])
    assert names(lab) == ["ab-0", "ab-1", "ab-2", "db-0"]


def test_a_daemon_set_is_on_every_node_that_takes_it():
    nodes = [
        node("a"),
        node("b", unschedulable=True),
        node("c", taints=[{"key": "gpu", "effect": "NoSchedule"}]),
        node("d", {"disk": "ssd"}),
    ]
    on_all = Cluster.from_manifests([*nodes, workload("DaemonSet", "ds")])
    assert sorted(placed(on_all).values()) == ["a", "b", "d"]
    picky = workload("DaemonSet", "ds", pod={"nodeSelector": {"disk": "ssd"}})
    assert sorted(placed(Cluster.from_manifests([*nodes, picky])).values()) == ["d"]


def test_a_new_node_gets_its_daemons():
    lab = Cluster.from_manifests([workload("DaemonSet", "ds")], nodes=2)
    lab.apply([node("node-3")])
    assert sorted(placed(lab).values()) == ["node-1", "node-2", "node-3"]


def test_a_job_runs_its_pods_side_by_side():
    lab = Cluster.from_manifests([workload("Job", "j", parallelism=2, completions=5)])
    assert len(names(lab)) == 2
    assert lab.get("job/j").status.active == 2


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"])
def test_pods_go_with_their_workload(kind):
    lab = Cluster.from_manifests([workload(kind, "web")])
    assert names(lab)
    lab.delete(f"{kind.lower()}/web")
    assert (names(lab), names(lab, "rs")) == ([], [])


def test_a_workload_that_comes_again_does_not_lose_its_new_pods():
    lab = Cluster.from_manifests([workload("Deployment", "web", 2)])
    old = names(lab)
    lab.delete("deploy/web")
    lab.apply([workload("Deployment", "web", 2)])
    assert len(names(lab)) == 2
    assert not set(old) & set(names(lab))


def test_what_a_dump_leaves_out_takes_nobody_along():
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "gone",
        "uid": "1",
        "controller": True,
    }
    lab = Cluster.from_manifests([pod("p", meta={"ownerReferences": [owner]})])
    assert names(lab) == ["p"]


def test_a_dumps_pods_are_not_doubled_where_only_their_set_is_missing():
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web-75b9c",
        "uid": "1",
        "controller": True,
    }
    labels = {"app": "web", "pod-template-hash": "75b9c"}
    orphan = pod("web-75b9c-xxxxx", meta={"ownerReferences": [owner], "labels": labels})
    lab = Cluster.from_manifests([workload("Deployment", "web", 1), orphan])
    assert names(lab) == ["web-75b9c-xxxxx"]
    assert names(lab, "rs") == ["web-75b9c"]


def test_a_namespace_takes_all_that_is_in_it():
    there = pod("p", meta={"namespace": "pay"})
    lab = Cluster.from_manifests([there])
    lab.delete("ns/pay")
    assert not [key for key in lab.state.objects if key.namespace == "pay"]


def test_a_deleted_nodes_pods_are_made_elsewhere():
    lab = Cluster.from_manifests([workload("Deployment", "web", 2)], nodes=2)
    lab.delete("node/node-1")
    assert set(placed(lab).values()) == {"node-2"}
    assert len(placed(lab)) == 2
