"""What `kubectl apply` makes of the old object and the new manifest."""

from __future__ import annotations

from labkit.api.objects import encode
from labkit.cluster import Cluster
from tests.units.controllers.worlds import node, workload


def test_another_strategy_takes_the_fields_of_the_old_one_away():
    lab = Cluster.from_manifests([node("a"), workload("Deployment", "web", 1)])
    assert encode(lab.get("deployment/web"))["spec"]["strategy"]["rollingUpdate"]
    lab.apply([workload("Deployment", "web", 1, strategy={"type": "Recreate"})])
    assert encode(lab.get("deployment/web"))["spec"]["strategy"] == {"type": "Recreate"}
