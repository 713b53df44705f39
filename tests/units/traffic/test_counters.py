"""What devices count: a bridge counts what its machine takes or sends, and no more."""

from __future__ import annotations

import pytest

from labkit import scenario
from labkit.traffic.counters import device_counters

# target -> (packets in, packets out) of cni0 and of eth0 on the client's node
CALLS = {
    "pod/pay/payments:8443": ((0, 0), (0, 0)),  # from plug to plug
    "10.244.1.1:80": ((1, 1), (0, 0)),  # for the node itself
    "pod/backend:8080": ((1, 1), (1, 1)),  # routed to another node
}


@pytest.mark.parametrize("target", CALLS)
def test_cni0_counts_only_what_its_node_takes_or_sends(target):
    lab = scenario("shop", cni="flannel/host-gw")
    rows = {
        row.device: (row.packets_in, row.packets_out)
        for row in device_counters([lab.connect("pod/frontend", target)])
        if row.title == "node-1"
    }
    assert (rows.get("cni0", (0, 0)), rows.get("eth0", (0, 0))) == CALLS[target]
