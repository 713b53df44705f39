"""What happens to pods as time goes by: they become ready, they leave, others take their place."""

from __future__ import annotations

import pytest

from labkit import kubectl
from labkit.api.core import Endpoints
from labkit.api.discovery import EndpointSlice
from labkit.cluster import Cluster
from labkit.controllers import due
from tests.units.controllers.worlds import container, node, service, workload

PROBE = {"httpGet": {"port": 80}, "periodSeconds": 3}
HOOK = {"preStop": {"sleep": {"seconds": 5}}}


def web(replicas=1, *, kind="Deployment", probe=None, hook=HOOK, starts="0", stops="0", **spec):
    more = {"readinessProbe": probe} if probe else {}
    if "startup" in spec:
        more["startupProbe"] = spec.pop("startup")
    more |= {"lifecycle": hook} if hook else {}
    notes = {"labkit.dev/starts-in": starts, "labkit.dev/stops-in": stops}
    template = {"labels": {"app": "web"}, "annotations": notes}
    pods = {"containers": [container(80, **more)]}
    return workload(kind, "web", replicas, template=template, pod=pods, **spec)


def cluster(*manifests):
    lab = Cluster.from_manifests([node("a"), service("web")])
    lab.apply(list(manifests))
    return lab


def entries(lab):
    """(ready, serving, terminating) of each endpoint of the Service."""
    (found,) = (s for s in lab.state.list(EndpointSlice) if s.name.startswith("web-"))
    told = [e.conditions for e in found.endpoints]
    return [(c.ready, c.serving, c.terminating) for c in told]


READY = {
    # what it shows: (probe, the program's start in seconds, seconds until the pod is ready)
    "without a probe at once, whoever listens": (None, "4", 0),
    "the first probe after the start": (PROBE, "0", 0),
    "the first one that finds the program": (PROBE, "4", 6),
    "none before the initial delay": ({**PROBE, "initialDelaySeconds": 5}, "1", 5),
    "two in a row": ({**PROBE, "successThreshold": 2}, "4", 9),
}


@pytest.mark.parametrize(("probe", "starts", "seconds"), READY.values(), ids=READY)
def test_a_pod_becomes_ready(probe, starts, seconds):
    lab = cluster(web(probe=probe, starts=starts))
    if seconds:
        lab.wait(seconds - 1)
        assert entries(lab) == [(False, False, False)]
        lab.wait(1)
    assert entries(lab) == [(True, True, False)]


def test_a_startup_probe_comes_first():
    lab = cluster(web(startup={**PROBE, "periodSeconds": 5}, probe=PROBE, starts="4"))
    lab.wait(5)
    assert entries(lab) == [(False, False, False)]
    lab.wait(1)
    assert entries(lab) == [(True, True, False)]


def test_ready_without_a_probe_is_not_listening():
    lab = cluster(web(starts="4"))
    assert lab.trace("node/a", "svc/web").outcome == "refused"
    lab.wait(4)
    assert lab.trace("node/a", "svc/web")


def test_a_probe_on_a_wrong_port_never_passes():
    lab = cluster(web(probe={**PROBE, "httpGet": {"port": 81}}))
    lab.wait(600)
    assert entries(lab) == [(False, False, False)]
    assert due(lab.state) is None
    assert str(kubectl(lab, "get endpoints web")).splitlines()[-1].split() == ["web", "10m"]


def test_a_cluster_begins_when_its_pods_are_ready():
    lab = Cluster.from_manifests([node("a"), web(probe=PROBE, starts="4")])
    assert lab.state.now == 6
    assert lab.get("pod/web").ready


def test_a_pod_that_stops_at_once_is_gone_at_once():
    lab = cluster(web(hook=None))
    name = lab.get("pod/web").name
    lab.delete(f"pod/{name}")
    assert name not in [p.name for p in lab.list("pods")]


def test_a_leaving_pod_serves_until_its_program_ends():
    lab = cluster(web(stops="2"))
    lab.delete("deployment/web")
    assert entries(lab) == [(False, True, True)]
    lab.wait(6)
    assert lab.trace("node/a", "svc/web")
    lab.wait(1)
    assert entries(lab) == []
    assert not lab.list("pods")


def test_while_all_are_leaving_endpoints_is_empty_and_the_service_answers():
    lab = cluster(web(2))
    kubectl(lab, "scale deployment web --replicas=0")
    assert lab.state.get(Endpoints, "web", "default").subsets == ()
    assert entries(lab) == [(False, True, True)] * 2
    assert lab.trace("node/a", "svc/web")


def test_who_publishes_unready_addresses_publishes_leaving_ones():
    lab = cluster(web())
    lab.replace([{**service("web", publishNotReadyAddresses=True)}])
    lab.delete("deployment/web")
    assert entries(lab) == [(True, True, True)]
    assert len(lab.state.get(Endpoints, "web", "default").subsets) == 1


def test_a_ready_pod_is_preferred_to_a_leaving_one():
    lab = cluster(web(2))
    lab.delete(f"pod/{lab.list('pods')[0].name}")
    assert sorted(entries(lab)) == [(False, True, True), (True, True, False), (True, True, False)]
    stays = {p.name for p in lab.list("pods") if not p.metadata.deletion_timestamp}
    assert len(lab.outcomes("node/a", "svc/web").ends) == len(stays) == 2


def test_kubectl_shows_who_is_terminating():
    lab = cluster(web())
    name = lab.get("pod/web").name
    said = str(kubectl(lab, f"delete pod {name}"))
    assert said == f'pod "{name}" deleted from default namespace'
    lab.wait(2)
    assert "1/1     Terminating" in str(kubectl(lab, f"get pod {name}"))
    assert "Termination Grace Period:  30s" in str(kubectl(lab, f"describe pod {name}"))
    kubectl(lab, f"delete pod {name} --grace-period=0 --force")
    assert name not in [p.name for p in lab.list("pods")]


def test_a_rollout_takes_the_time_that_its_pods_take():
    rolling = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    slow = {"probe": PROBE, "starts": "4", "strategy": rolling}
    lab = cluster(web(3, **slow))
    lab.wait(10)
    lab.apply([web(3, **slow, minReadySeconds=0, stops="1")])
    counts = []
    for _ in range(4):
        pods = lab.list("pods")
        leaving = sum(bool(p.metadata.deletion_timestamp) for p in pods)
        counts.append((len(pods) - leaving, leaving, sum(e[0] for e in entries(lab))))
        lab.wait(6)
    assert counts == [(4, 0, 3), (4, 1, 3), (4, 1, 3), (3, 1, 3)]


def test_recreate_waits_until_the_old_pods_are_gone():
    lab = cluster(web(2, strategy={"type": "Recreate"}))
    old = {p.name for p in lab.list("pods")}
    lab.apply([web(2, strategy={"type": "Recreate"}, stops="1")])
    lab.wait(4)
    assert {p.name for p in lab.list("pods")} == old
    lab.wait(1)
    assert not old & {p.name for p in lab.list("pods")}


def test_a_statefulset_replaces_one_pod_after_the_other():
    lab = cluster(web(2, kind="StatefulSet", serviceName="web"))
    lab.apply([web(2, kind="StatefulSet", serviceName="web", stops="1")])
    leaving = [[p.name for p in lab.list("pods") if p.metadata.deletion_timestamp]]
    lab.wait(5)
    leaving.append([p.name for p in lab.list("pods") if p.metadata.deletion_timestamp])
    assert leaving == [["web-1"], ["web-0"]]
