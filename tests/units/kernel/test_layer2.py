"""Who answers ARP, which port a frame takes, and where frames get lost."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from msgspec.structs import replace

from labkit.kernel.dice import FirstDice
from labkit.kernel.netns import Network
from labkit.kernel.routes import Neighbour, Route
from labkit.kernel.segment import answerer, port_towards, stations
from labkit.kernel.walk import walk
from tests.units.kernel.networks import LO, Plan, machine, packet, route, veth

A, NODE = "pod/default/a", "node/node-1"
NET = Plan({"node-1": ["a", "b"], "node-2": ["c"]}).network()


def changed(name: str, change) -> Network:
    return Network({**NET.namespaces, name: change(NET.namespaces[name])})


def links(name: str, wanted: str, **more) -> Network:
    return changed(
        name,
        lambda n: replace(
            n, links=tuple(replace(k, **more) if k.name == wanted else k for k in n.links)
        ),
    )


def test_a_broadcast_reaches_the_bridge_and_everybody_behind_it():
    assert set(stations(NET, A, "eth0")) == {(NODE, "cni0"), ("pod/default/b", "eth0")}
    machines = {("router", "eth0"), ("node/node-2", "eth0")}
    assert set(stations(NET, NODE, "eth0")) == {*machines, ("switch", "br0")}


ANSWERS = {
    # what it shows: (asked from, device, address, MAC address of who answers)
    "a neighbour": (A, "eth0", "10.244.1.3", "0a:58:0a:f4:01:03"),
    "the bridge": (A, "eth0", "10.244.1.1", "0a:58:0a:f4:01:01"),
    "Linux answers for all its addresses on each device": (
        A, "eth0", "192.168.7.11", "0a:58:0a:f4:01:01"),
    "nobody behind the bridge": (A, "eth0", "10.244.2.2", None),
    "another machine on the switch": (NODE, "eth0", "192.168.7.12", "0a:58:c0:a8:07:0c"),
}  # fmt: skip


@pytest.mark.parametrize(("netns", "dev", "address", "mac"), ANSWERS.values(), ids=ANSWERS)
def test_who_answers_arp(netns, dev, address, mac):
    found = answerer(NET, netns, dev, ip_address(address))
    assert (found and found.mac) == mac


def routed(proxy_arp: bool) -> Network:
    """A pod with a /32 and an on-link gateway that nobody has: only proxy_arp answers for it."""
    gateway = Route(prefix=ip_network("169.254.1.1/32"), dev="eth0", scope="link")
    pod = machine(
        "pod", [LO, veth("eth0", ("node", "cali1"), "10.0.0.1/32")],
        [gateway, route("default via 169.254.1.1 dev eth0")],
    )  # fmt: skip
    cable = veth("cali1", ("pod", "eth0"), proxy_arp=proxy_arp, mac="ee:ee:ee:ee:ee:ee")
    node = machine(
        "node", [LO, cable, veth("eth0", ("far", "eth0"), "192.168.7.1/24", 3)],
        [Route(prefix=ip_network("10.0.0.1/32"), dev="cali1", scope="link"),
         route("default via 192.168.7.2 dev eth0")],
        sysctls={"net.ipv4.ip_forward": 1},
    )  # fmt: skip
    far = machine("far", [LO, veth("eth0", ("node", "eth0"), "192.168.7.2/24")])
    return Network({n.name: n for n in (pod, node, far)})


@pytest.mark.parametrize(("proxy_arp", "end"), [(True, "far"), (False, "pod")])
def test_proxy_arp_answers_for_what_lies_beyond(proxy_arp, end):
    trace = walk(routed(proxy_arp), "pod", packet("10.0.0.1", "192.168.7.2"), FirstDice())
    assert trace.end == end


def test_a_bridge_knows_the_port_of_every_mac_behind_it():
    assert port_towards(NET, NODE, "cni0", "0a:58:0a:f4:01:03").name == "v-b"
    assert port_towards(NET, NODE, "cni0", "0a:58:0a:f4:02:02") is None


def gone(netns):
    return replace(netns, neighbours=())


def stale(netns):
    return replace(
        netns,
        neighbours=(Neighbour(ip_address("10.244.1.3"), "eth0", "0a:58:00:00:00:99"),),
    )


LOST = {
    # what it shows: (network, destination, outcome, where, row)
    "the other end of the cable is down": (
        links(NODE, "v-b", up=False), "10.244.1.3", "unreachable", A,
        "10.244.1.3 dev eth0 FAILED"),
    "the bridge is down": (
        links(NODE, "cni0", up=False), "10.244.1.3", "unreachable", A,
        "10.244.1.3 dev eth0 FAILED"),
    "a neighbour row with a MAC address that nobody has": (
        changed(A, stale), "10.244.1.3", "dropped", NODE, "cni0: mtu 1450 state UP"),
    "the tunnel's neighbour row is gone": (
        changed(NODE, gone), "10.244.2.2", "unreachable", NODE,
        "10.244.2.0 dev flannel.1 FAILED"),
    "the tunnel's forwarding row is gone": (
        links(NODE, "flannel.1", fdb=()), "10.244.2.2", "dropped", NODE,
        "flannel.1: mtu 1450 state UP"),
    "the tunnel's far end has another port": (
        links("node/node-2", "flannel.1", vxlan=replace(
            NET.namespaces["node/node-2"].link("flannel.1").vxlan, port=4789)),
        "10.244.2.2", "refused", "node/node-2", "no socket on 8472/UDP"),
    "a frame for another tunnel device": (
        links("node/node-2", "flannel.1", mac="0a:58:00:00:00:01"), "10.244.2.2", "dropped",
        "node/node-2", "flannel.1: mtu 1450 state UP"),
}  # fmt: skip


@pytest.mark.parametrize(("net", "dst", "outcome", "end", "why"), LOST.values(), ids=LOST)
def test_where_frames_get_lost(net, dst, outcome, end, why):
    trace = walk(net, A, packet("10.244.1.2", dst, 8080), FirstDice())
    assert (trace.outcome, trace.end, trace.hops[-1].why) == (outcome, end, why)
