"""What `ip -d link` and `bridge fdb` print of a network, and what the lab says they print."""

from __future__ import annotations

import pytest

from labkit.kernel.rows import device_row, port_row
from labkit.kernel.text import bridge_fdb
from labkit.lessons.scenarios import scenario
from tests.kernel.real import Real

NODE = "node/node-1"


@pytest.fixture(scope="module")
def network():
    return scenario("shop").network


@pytest.fixture(scope="module")
def real(network):
    with Real(network, listen=False) as real:
        yield real


@pytest.mark.parametrize("kind", ["vxlan", "veth", "bridge"])
def test_a_device_is_described_in_the_same_words(network, real, kind):
    link = next(k for k in network.namespaces[NODE].links if k.kind == kind)
    shown = real.ip(NODE, "-d", "link", "show", link.name)
    # The script lets bridges forward at once.
    said = device_row(link).replace("forward_delay 1500", "forward_delay 0")
    assert any(line.startswith(f"    {said} ") for line in shown.splitlines()), shown


def test_a_port_of_a_bridge_is_described_in_the_same_words(network, real):
    link = next(k for k in network.namespaces[NODE].links if k.master)
    shown = real.ip(NODE, "-d", "link", "show", link.name)
    said = port_row(link)
    assert any(line.startswith(f"    {said} ") for line in shown.splitlines()), shown


@pytest.mark.parametrize("words", [(), ("dev", "flannel.1")])
def test_the_tunnels_rows_have_the_same_words(network, real, words):
    shown = real.inside(NODE, "bridge", "fdb", "show", *words)
    said = bridge_fdb(network.namespaces[NODE], *words[1:])
    tunnels = [row for row in said.splitlines() if " dst " in row]
    assert len(tunnels) == 2
    assert set(tunnels) <= {row.strip() for row in shown.splitlines()}
