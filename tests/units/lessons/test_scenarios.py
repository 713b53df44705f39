"""A scenario on nodes of one's own."""

from __future__ import annotations

import pytest

from labkit import scenario
from labkit.errors import ManifestError

NODE = "apiVersion: v1\nkind: Node\nmetadata: {{name: {}}}\nspec: {{podCIDR: {}}}\n"


def nodes(*cidrs: str) -> str:
    return "---\n".join(NODE.format(f"node-{i}", cidr) for i, cidr in enumerate(cidrs, start=1))


def test_pods_land_where_they_always_do_with_addresses_of_the_given_ranges():
    lab = scenario("shop", nodes=nodes("10.244.9.0/24", "10.244.8.0/24", "10.244.7.0/24"))
    found = {
        pod.metadata.labels["app"]: (pod.spec.node_name, str(pod.status.pod_ip))
        for pod in lab.list("pods")
    }
    assert found == {
        "frontend": ("node-1", "10.244.9.2"),
        "backend": ("node-2", "10.244.8.2"),
        "db": ("node-3", "10.244.7.2"),
    }


def test_a_number_of_nodes_is_made():
    assert len(scenario("shop", nodes=2).list("nodes")) == 2


def test_a_mistake_in_the_nodes_is_found_at_its_line():
    with pytest.raises(ManifestError, match="input:4 Node/node-1"):
        scenario("shop", nodes=nodes("10.244.9"))
