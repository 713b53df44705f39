"""`kubectl logs` of a container that ended in an error: what it wrote before."""

from __future__ import annotations

import pytest

from labkit.cluster import Cluster
from labkit.commands.kubectl import kubectl

TWINS = """apiVersion: v1
kind: Pod
metadata: {name: till}
spec:
  containers:
  - {name: app, image: a, ports: [{containerPort: 8080}]}
  - {name: metrics, image: m, ports: [{containerPort: 8080}]}
"""
LAST = "listen tcp :8080: bind: address already in use"


@pytest.mark.parametrize(("container", "crashed"), [("app", False), ("metrics", True)])
def test_only_the_second_to_bind_a_port_complains(container, crashed):
    lab = Cluster.from_manifests(TWINS)
    assert (kubectl(lab, f"logs till -c {container}") == LAST) == crashed


def test_the_second_container_is_warned_of_before_the_result():
    lab = Cluster.from_manifests([])
    assert kubectl(lab, "apply -f -", stdin=TWINS).splitlines() == [
        "Warning: spec.containers[1].ports[0]: duplicate port definition with "
        "spec.containers[0].ports[0]",
        "pod/till created",
    ]


def test_last_words_are_in_the_log_and_not_in_the_status():
    lab = Cluster.from_manifests(TWINS)
    (last,) = [
        s.last_state.terminated
        for s in lab.get("pod/till").status.container_statuses
        if s.last_state.terminated
    ]
    assert (last.exit_code, last.message) == (1, "")
    assert "Message:" not in kubectl(lab, "describe pod till")


def test_a_container_may_ask_for_its_log_as_its_message():
    lab = Cluster.from_manifests(
        TWINS.replace("image: m,", "image: m, terminationMessagePolicy: FallbackToLogsOnError,")
    )
    described = kubectl(lab, "describe pod till")
    assert [x.split(maxsplit=1)[1] for x in described.splitlines() if "Message:" in x] == [LAST]
