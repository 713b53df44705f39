"""A workload releases what its selector no longer matches, and adopts what nobody owns."""

from __future__ import annotations

import pytest

from labkit.api.objects import encode
from labkit.cluster import Cluster
from labkit.commands.kubectl import kubectl
from labkit.lessons.scenarios import scenario
from tests.units.controllers.worlds import names, node, pod, service, workload


def relabel(lab: Cluster, text: str, **labels: str) -> None:
    manifest = encode(lab.get(text))
    manifest["metadata"]["labels"] = {**manifest["metadata"]["labels"], **labels}
    lab.replace([manifest])


def owner(lab: Cluster, text: str) -> list[str]:
    return [r.name for r in lab.get(text).metadata.owner_references]


def endpoints(lab: Cluster, name: str) -> set[str]:
    slices = lab.list("endpointslices", selector=f"kubernetes.io/service-name={name}")
    return {e.target_ref.name for s in slices for e in s.endpoints}


def test_a_pod_that_is_relabelled_is_set_free_and_replaced():
    lab = scenario("shop")
    (old,) = lab.list("pods", selector="app=backend")
    kubectl(lab, "label pod -l app=backend app=other --overwrite")
    (new,) = lab.list("pods", selector="app=backend")
    assert new.name != old.name
    assert new.status.phase == "Running"
    free = lab.get(f"pod/{old.name}")
    assert (free.status.phase, free.addresses) == ("Running", old.addresses)
    assert free.metadata.owner_references == ()
    assert "ownerReferences" not in encode(free)["metadata"]
    assert endpoints(lab, "backend") == {new.name}
    lab.delete(f"pod/{old.name}")
    assert lab.list("pods", selector="app=other") == ()
    assert lab.list("pods", selector="app=backend") == (lab.get(f"pod/{new.name}"),)


def test_a_pod_that_is_labelled_back_is_adopted_and_the_youngest_goes():
    lab = Cluster.from_manifests([workload("Deployment", "web", 2)], nodes=1)
    before = names(lab)
    relabel(lab, f"pod/{before[0]}", app="other")
    assert len(names(lab)) == 3
    relabel(lab, f"pod/{before[0]}", app="web")
    assert names(lab) == before
    assert owner(lab, f"pod/{before[0]}") == [lab.list("rs")[0].name]


def test_of_a_surplus_the_unready_goes_first():
    lab = Cluster.from_manifests([workload("Deployment", "web", 1)])
    (old,) = names(lab)
    relabel(lab, f"pod/{old}", app="other")
    manifest = encode(lab.get(f"pod/{old}"))
    manifest["metadata"]["annotations"] = {"labkit.dev/ready": "false"}
    lab.replace([manifest])
    relabel(lab, f"pod/{old}", app="web")
    assert old not in names(lab)
    assert len(names(lab)) == 1


def test_undo_takes_a_release_back():
    lab = Cluster.from_manifests([workload("Deployment", "web", 2)])
    before = lab.state
    relabel(lab, f"pod/{names(lab)[0]}", app="other")
    lab.undo()
    assert lab.state is before


def test_a_bare_pod_that_a_bare_set_selects_is_one_of_its_replicas():
    lab = Cluster.from_manifests([pod("web"), workload("ReplicaSet", "web", 2)])
    assert "web" in names(lab)
    assert len(names(lab)) == 2
    assert owner(lab, "pod/web") == ["web"]


def test_a_bare_pod_is_no_deployments_as_it_lacks_the_hash():
    lab = Cluster.from_manifests([pod("web"), workload("Deployment", "web", 1)])
    assert len(names(lab)) == 2
    assert owner(lab, "pod/web") == []


def test_a_daemon_set_replaces_the_pod_that_it_lost_and_prefers_the_older_one():
    lab = Cluster.from_manifests([workload("DaemonSet", "agent"), node("a"), node("b")])
    before = names(lab)
    relabel(lab, f"pod/{before[0]}", app="other")
    assert len(lab.list("pods", selector="app=agent")) == 2
    assert len(names(lab)) == 3
    relabel(lab, f"pod/{before[0]}", app="agent")
    assert names(lab) == before


def test_a_daemon_set_waits_until_the_pod_that_it_adopts_is_placed():
    lab = Cluster.from_manifests([pod("agent"), workload("DaemonSet", "agent"), node("a")])
    assert names(lab) == ["agent"]
    assert owner(lab, "pod/agent") == ["agent"]


def test_a_stateful_set_cannot_replace_a_pod_whose_name_is_still_taken():
    lab = Cluster.from_manifests([workload("StatefulSet", "db", 2, serviceName="db")])
    relabel(lab, "pod/db-0", app="other")
    assert names(lab) == ["db-0", "db-1"]
    assert owner(lab, "pod/db-0") == []
    lab.delete("pod/db-0")
    assert owner(lab, "pod/db-0") == ["db"]
    assert lab.get("pod/db-0").labels["app"] == "db"


def test_a_stateful_set_adopts_only_what_bears_its_name():
    other = pod("other", meta={"labels": {"app": "db"}})
    lab = Cluster.from_manifests([other, workload("StatefulSet", "db", 1, serviceName="db")])
    assert owner(lab, "pod/other") == []
    assert names(lab) == ["db-0", "other"]


def test_a_job_starts_another_pod_for_one_that_lost_its_label():
    lab = Cluster.from_manifests([workload("Job", "sum")])
    (old,) = names(lab)
    relabel(lab, f"pod/{old}", **{"batch.kubernetes.io/controller-uid": "x"})
    assert len(names(lab)) == 2
    assert owner(lab, f"pod/{old}") == []


def test_a_deployment_makes_another_set_for_one_that_lost_its_label():
    lab = Cluster.from_manifests([workload("Deployment", "web", 1)])
    (old,) = lab.list("rs")
    relabel(lab, f"rs/{old.name}", app="other")
    assert owner(lab, f"rs/{old.name}") == []
    assert sorted(rs.spec.replicas for rs in lab.list("rs")) == [1, 1]
    assert lab.get("deploy/web").status.ready_replicas == 1
    assert len(names(lab)) == 2


def test_a_deployment_adopts_a_bare_set_and_counts_it_as_an_old_one():
    older = workload("ReplicaSet", "web", 2, template={"labels": {"app": "web", "v": "1"}})
    older["metadata"] = {"name": "old", "labels": {"app": "web"}}
    lab = Cluster.from_manifests([older, workload("Deployment", "web", 1)])
    assert owner(lab, "rs/old") == ["web"]
    assert lab.get("rs/old").spec.replicas == 0
    assert len(names(lab)) == 1


@pytest.mark.parametrize("kind", ["ReplicaSet", "Deployment"])
def test_what_another_owns_is_not_taken(kind):
    first = workload(kind, "web", 1)
    second = {**workload(kind, "web", 1), "metadata": {"name": "web2"}}
    lab = Cluster.from_manifests([first, second])
    assert len(names(lab)) == 2


def test_a_released_pod_goes_on_serving_whom_it_still_fits():
    lab = Cluster.from_manifests(
        [
            workload("Deployment", "web", 1, template={"labels": {"app": "web", "tier": "x"}}),
            service("tier", selector={"tier": "x"}),
        ]
    )
    (old,) = names(lab)
    relabel(lab, f"pod/{old}", app="debug")
    assert endpoints(lab, "tier") == set(names(lab))
    assert len(names(lab)) == 2
