"""Chances: many real connections against the exact fractions."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from tests.kernel.clusters import Cluster, deployment, network_of, service
from tests.kernel.model import Flow, expected
from tests.kernel.real import Real

CONNECTIONS = 600
# A correct kernel goes past these once in ten thousand times.
CHI_SQUARE = {1: 15.2, 2: 18.5, 3: 21.2, 4: 23.6}


@pytest.mark.parametrize("endpoints", [2, 3, 5])
def test_real_connections_spread_as_the_fractions_say(endpoints):
    lab = Cluster.from_manifests(
        [deployment("web", endpoints, "8080/TCP"), service("web", "web", 80, 8080)], nodes=2
    )
    network = network_of(lab)
    (address,) = (s.spec.cluster_ip for s in lab.list("services") if s.name == "web")
    flow = Flow("node/node-1", address, 80)
    want = expected(network, flow)
    assert sorted(want.values()) == [Fraction(1, endpoints)] * endpoints
    with Real(network) as real:
        got = Counter(real.ask("TCP", flow.start, address, 80) for _ in range(CONNECTIONS))
    assert set(got) <= set(want)
    share = CONNECTIONS / endpoints
    assert sum((got[s] - share) ** 2 / share for s in want) < CHI_SQUARE[endpoints - 1]
