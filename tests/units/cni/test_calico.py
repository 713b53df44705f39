"""Calico's wiring: blocks, cables without a bridge, routes, and the tunnel."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from labkit.api.core import Node, Pod
from labkit.api.state import ClusterConfig
from labkit.cni import cni_of
from labkit.cni.calico import cable_name
from labkit.cni.calico_blocks import blocks, pool
from labkit.errors import Exhausted
from labkit.kernel.text import bridge_fdb, ip_neigh, ip_route, iptables_save
from labkit.traffic.program import program
from tests.clusters import node, pod, state_of

POOL = ("192.168.0.0/16",)


def nodes(count: int = 3):
    return tuple(node(number, cidr=f"192.168.{number}.0/24") for number in range(1, count + 1))


def cluster(*pods: Pod, cni: str = "calico", count: int = 3, pod_cidrs=POOL):
    return state_of(nodes(count), *pods, cni=cni, pod_cidrs=pod_cidrs)


def texts(state) -> dict[str, list[str]]:
    return {name: [str(block) for block in own] for name, own in blocks(state).items()}


def full_block(first: str, on: int) -> list[Pod]:
    start = int(ip_address(first))
    return [pod(f"p{n}", str(ip_address(start + n)), on=on) for n in range(1, 64)]


# --- addresses -------------------------------------------------------------------------------


def test_every_node_has_a_block_of_its_own_apart_from_the_nodes_network():
    found = [b for own in blocks(cluster(count=200)).values() for b in own]
    assert len(set(found)) == 200
    assert not any(block.overlaps(ip_network("192.168.7.0/24")) for block in found)
    assert {block.prefixlen for block in found} == {26}


def test_the_podcidr_of_a_node_is_not_where_its_pods_live():
    state = cluster()
    assert texts(state)["node-1"] == ["192.168.35.64/26"]
    (address,) = cni_of(state.config).addresses(state, state.get(Node, "node-1"), set())
    assert str(address) == "192.168.35.65"


def test_another_node_does_not_move_the_blocks_of_the_others():
    few, many = blocks(cluster(count=3)), blocks(cluster(count=30))
    assert {name: many[name] for name in few} == few


def test_a_full_block_is_followed_by_another():
    state = cluster(*full_block("192.168.35.64", on=1))
    taken = {a for p in state.list(Pod) for a in p.addresses}
    (address,) = cni_of(state.config).addresses(state, state.get(Node, "node-1"), taken)
    assert address not in taken
    more = cluster(*state.list(Pod), pod("late", str(address), on=1))
    assert len(texts(more)["node-1"]) == 2
    assert str(address) in ip_route(program(more).namespaces["node/node-1"])
    assert f"{texts(more)['node-1'][1]} via 192.168.7.11 dev eth0 proto bird" in ip_route(
        program(more).namespaces["node/node-2"]
    )


def test_where_no_block_is_left_an_address_is_borrowed():
    state = cluster(*full_block("10.0.0.0", on=1), count=2, pod_cidrs=("10.0.0.0/25",))
    assert sorted(map(str, pool(state.config).subnets(new_prefix=26))) == sorted(
        block for own in texts(state).values() for block in own
    )
    taken = {a for p in state.list(Pod) for a in p.addresses}
    (address,) = cni_of(state.config).addresses(state, state.get(Node, "node-1"), taken)
    assert address in ip_network(texts(state)["node-2"][0])
    more = cluster(
        *state.list(Pod), pod("late", str(address), on=1), count=2, pod_cidrs=("10.0.0.0/25",)
    )
    assert f"{address} via 192.168.7.11 dev eth0 proto bird" in ip_route(
        program(more).namespaces["node/node-2"]
    )


def test_a_full_pool_is_told_with_the_cure():
    state = cluster(count=1, pod_cidrs=("10.0.0.0/28",))
    taken = set(ip_network("10.0.0.0/28"))
    with pytest.raises(Exhausted, match=r"node-1 has no free address left in 10\.0\.0\.0/28; .*"):
        cni_of(state.config).addresses(state, state.get(Node, "node-1"), taken)


def test_a_cluster_without_ipv4_is_refused():
    with pytest.raises(Exhausted, match="needs an IPv4 range"):
        pool(ClusterConfig(cni="calico", pod_cidrs=("fd00::/56",)))


def test_pods_of_a_real_cluster_keep_their_blocks():
    """Their nodes have podCIDRs of another range, or none."""
    state = state_of(
        node(1, cidr="10.1.0.0/24"),
        node(2, cidr=""),
        pod("a", "192.168.9.70"),
        pod("b", "192.168.9.71"),
        pod("c", "192.168.9.130", on=2),
        cni="calico",
        pod_cidrs=POOL,
    )
    assert texts(state) == {"node-1": ["192.168.9.64/26"], "node-2": ["192.168.9.128/26"]}


# --- wiring ----------------------------------------------------------------------------------

FRONT, BACK = pod("front", "192.168.35.65"), pod("back", "192.168.120.1", on=2)
ROUTES = {
    # whose table, over what: `ip route`, the underlay's rows left out
    ("pod/default/front", "calico"): [
        "default via 169.254.1.1 dev eth0",
        "169.254.1.1 dev eth0 scope link",
    ],
    ("node/node-1", "calico"): [
        "blackhole 192.168.35.64/26 proto bird",
        f"192.168.35.65 dev {cable_name(FRONT)} scope link",
        "192.168.120.0/26 via 192.168.7.12 dev eth0 proto bird",
    ],
    ("node/node-1", "calico/vxlan"): [
        "blackhole 192.168.35.64/26 proto 80",
        f"192.168.35.65 dev {cable_name(FRONT)} scope link",
        "192.168.120.0/26 via 192.168.120.0 dev vxlan.calico onlink",
    ],
}


@pytest.mark.parametrize(("place", "wanted"), ROUTES.items(), ids=map(" ".join, ROUTES))
def test_routes(place, wanted):
    name, cni = place
    rows = ip_route(program(cluster(FRONT, BACK, cni=cni, count=2)).namespaces[name]).splitlines()
    assert [row for row in rows if "192.168.7.1 " not in row and "kernel" not in row] == wanted


def test_a_cable_is_named_by_the_sha1_of_its_pod():
    assert cable_name(pod("nginx", None)) == "calic440f455693"


@pytest.mark.parametrize(("cni", "mtu"), [("calico", 1500), ("calico/vxlan", 1450)])
def test_the_node_answers_arp_for_the_gateway_and_has_no_bridge(cni, mtu):
    network = program(cluster(FRONT, BACK, cni=cni))
    node_end = network.namespaces["node/node-1"].link(cable_name(FRONT))
    pod_end = network.namespaces["pod/default/front"].link("eth0")
    assert (node_end.proxy_arp, node_end.addresses, node_end.master) == (True, (), None)
    assert node_end.mac == "ee:ee:ee:ee:ee:ee"
    assert [str(address) for address in pod_end.addresses] == ["192.168.35.65/32"]
    assert (node_end.mtu, pod_end.mtu) == (mtu, mtu)
    kinds = {link.kind for link in network.namespaces["node/node-1"].links}
    assert "bridge" not in kinds


def test_the_tunnel_knows_every_other_node():
    network = program(cluster(FRONT, BACK, cni="calico/vxlan"))
    here = network.namespaces["node/node-1"]
    far = network.namespaces["node/node-2"].link("vxlan.calico")
    assert f"192.168.120.0 dev vxlan.calico lladdr {far.mac} PERMANENT" in ip_neigh(here)
    assert f"{far.mac} dev vxlan.calico dst 192.168.7.12 self permanent" in bridge_fdb(here)
    vxlan = far.vxlan
    assert vxlan is not None
    assert (vxlan.vni, vxlan.port) == (4096, 4789)


def test_calico_writes_its_jumps_in_front_of_kube_proxys():
    rows = iptables_save(program(cluster(FRONT)).namespaces["node/node-1"], "filter").splitlines()
    forward = [row.rpartition(" ")[2] for row in rows if row.startswith("-A FORWARD ")]
    assert forward[0] == "cali-FORWARD"
    assert forward[1].startswith("KUBE-")
    assert forward[-2:] == ["ACCEPT", "0x10000/0x10000"]
