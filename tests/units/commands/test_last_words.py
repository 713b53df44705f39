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
