"""flannel's devices, routes and chains, as the tools of a real node print them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from labkit.cni import cni_of
from labkit.kernel.netns import Part
from labkit.kernel.routes import Route
from tests.clusters import node, pod, state_of, three_nodes


def parts(cni: str = "flannel") -> dict[str, Part]:
    state = three_nodes(cni=cni)
    return dict(cni_of(state.config).program(state))


def line(route: Route) -> str:
    words = [str(route.prefix).replace("0.0.0.0/0", "default")]
    words += ["via", str(route.via)] if route.via else []
    words += ["dev", route.dev, "onlink" if route.onlink else ""]
    words += ["proto", route.proto] if route.proto else []
    words += ["scope", "link"] if route.scope == "link" else []
    words += ["src", str(route.src)] if route.src else []
    return " ".join(filter(None, words))


ROUTES = {
    # namespace and backend: what `ip route` holds
    ("node/node-1", "flannel"): [
        "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
        "10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink",
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
    ],
    ("node/node-1", "flannel/host-gw"): [
        "10.244.2.0/24 via 192.168.7.12 dev eth0",
        "10.244.3.0/24 via 192.168.7.13 dev eth0",
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
    ],
    ("pod/default/backend", "flannel"): [
        "default via 10.244.2.1 dev eth0",
        "10.244.0.0/16 via 10.244.2.1 dev eth0",
        "10.244.2.0/24 dev eth0 proto kernel scope link src 10.244.2.2",
    ],
}


@pytest.mark.parametrize(("where", "routes"), ROUTES.items(), ids=[" ".join(k) for k in ROUTES])
def test_routes(where, routes):
    netns, cni = where
    assert [line(route) for route in parts(cni)[netns].routes] == routes


@pytest.mark.parametrize(("cni", "mtu"), [("flannel", 1450), ("flannel/host-gw", 1500)])
def test_a_pods_packets_leave_room_for_the_tunnel(cni, mtu):
    own = parts(cni)["pod/default/backend"]
    assert [(link.name, link.mtu) for link in own.links] == [("lo", 65536), ("eth0", mtu)]


def test_the_tunnel_knows_every_other_node_and_floods_nothing():
    own, far = parts()["node/node-1"], parts()["node/node-2"]
    tunnel = next(link for link in own.links if link.name == "flannel.1")
    other = next(link for link in far.links if link.name == "flannel.1")
    assert [str(row.dst) for row in tunnel.fdb] == ["192.168.7.12", "192.168.7.13"]
    assert tunnel.fdb[0].mac == other.mac
    assert (own.neighbours[0].address, own.neighbours[0].mac) == (
        ip_address("10.244.2.0"),
        other.mac,
    )
    assert str(tunnel.addresses[0]) == "10.244.1.0/32"
    assert (tunnel.vxlan.vni, tunnel.vxlan.port) == (1, 8472)


def test_host_gw_has_no_tunnel():
    own = parts("flannel/host-gw")["node/node-1"]
    assert not [link for link in own.links if link.kind == "vxlan"]
    assert own.neighbours == ()


def test_both_ends_of_a_pods_cable_name_each_other():
    all_parts = parts()
    own = all_parts["pod/default/backend"].links[1]
    netns, device = own.peer
    port = next(link for link in all_parts[netns].links if link.name == device)
    assert port.peer == ("pod/default/backend", "eth0")
    assert (port.master, port.hairpin, len(device)) == ("cni0", True, len("veth") + 8)


def test_addresses_give_mac_addresses():
    own = parts()["pod/default/backend"].links[1]
    assert own.mac == "0a:58:0a:f4:02:02"


def test_no_two_devices_of_the_cluster_share_a_mac_address():
    macs = [link.mac for part in parts().values() for link in part.links if link.mac]
    assert len(macs) == len(set(macs))


def test_the_device_numbers_of_a_namespace_differ():
    for part in parts().values():
        numbers = [link.index for link in part.links]
        assert len(numbers) == len(set(numbers))


NOT_WIRED = {
    "a pending pod": pod("web", "10.244.1.2", phase="Pending"),
    "a pod without address": pod("web", None),
    "a finished pod": pod("web", "10.244.1.2", phase="Succeeded"),
    "a pod of the host's network": pod("web", "192.168.7.11", host_network=True),
}


@pytest.mark.parametrize("absent", NOT_WIRED.values(), ids=NOT_WIRED)
def test_what_has_no_sandbox_has_no_namespace(absent):
    state = state_of(node(1), absent)
    assert list(cni_of(state.config).program(state)) == ["node/node-1"]


def test_a_foreign_address_is_known_on_its_own_node_only():
    state = state_of(node(1), node(2), pod("web", "172.16.9.9"))
    found = cni_of(state.config).program(state)
    assert str(found["pod/default/web"].links[1].addresses[0]) == "172.16.9.9/32"
    assert "172.16.9.9/32 dev cni0 scope link" in [line(r) for r in found["node/node-1"].routes]
    assert not any("172.16" in line(r) for r in found["node/node-2"].routes)
