"""A packet to one of the sender's own addresses quotes a row of `ip route show table local`."""

from __future__ import annotations

import pytest

from labkit.lessons.scenarios import scenario

ROWS = {
    "127.0.0.1:8080": "local 127.0.0.1 dev lo proto kernel scope host src 127.0.0.1",
    "10.244.2.2:8080": "local 10.244.2.2 dev eth0 proto kernel scope host src 10.244.2.2",
}


@pytest.mark.parametrize("target", ROWS)
def test_an_own_address_is_a_local_row_of_scope_host(target):
    shop = scenario("shop", cni="flannel", proxy_mode="iptables")
    assert shop.trace("pod/backend", target).request.hops[0].why == ROWS[target]
