"""The ground under the cluster: underlay, router, and who listens on which machine."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from labkit.api.discovery import Endpoint, EndpointSlice, SlicePort
from labkit.api.meta import Meta
from labkit.traffic.machines import gateway_of, node_sockets, underlay
from labkit.traffic.program import program
from tests.clusters import node, pod, state_of, three_nodes

UNDERLAYS = {
    # what it shows: (nodes' addresses, the network that they share)
    "the configured network": (("192.168.7.11", "192.168.7.12"), "192.168.7.0/24"),
    "another cluster's nodes": (("172.18.0.2", "172.18.0.3"), "172.18.0.0/24"),
    "nodes of two subnets": (("10.0.1.5", "10.0.2.5"), "10.0.0.0/22"),
    "no nodes": ((), "192.168.7.0/24"),
}


@pytest.mark.parametrize(("addresses", "network"), UNDERLAYS.values(), ids=UNDERLAYS)
def test_underlay(addresses, network):
    state = state_of(*(node(i, address=a) for i, a in enumerate(addresses, start=1)))
    assert str(underlay(state)) == network


def test_the_router_yields_its_address_to_a_node_that_has_it():
    network = underlay(state_of())
    assert str(gateway_of(network, set())) == "192.168.7.1"
    assert str(gateway_of(network, {ip_address("192.168.7.1")})) == "192.168.7.254"


def test_every_cable_has_two_ends_that_name_each_other():
    namespaces = program(three_nodes()).namespaces
    for name, netns in namespaces.items():
        for link in netns.links:
            if link.peer:
                far, device = link.peer
                assert namespaces[far].link(device).peer == (name, link.name)


def test_a_node_listens_for_its_kubelet_and_its_pods_of_the_host_network():
    first = pod("first", "192.168.7.11", host_network=True, ports=(9100,))
    second = pod("second", "192.168.7.11", host_network=True, ports=(9100, 9200))
    sockets = node_sockets(state_of(node(1), first, second))["node-1"]
    assert [(s.port, s.owner) for s in sockets] == [
        (10250, "kubelet"),
        (10256, "kube-proxy"),
        (9100, "first"),
        (9200, "second"),
    ]


def test_the_api_server_listens_where_the_service_kubernetes_leads():
    ends = EndpointSlice(
        metadata=Meta(name="kubernetes", namespace="default"),
        endpoints=(Endpoint(addresses=("192.168.7.12",)),),
        ports=(SlicePort(name="https", port=6443),),
    )
    sockets = node_sockets(state_of(node(1), node(2), ends))
    owners = {name: [s.owner for s in own if s.port == 6443] for name, own in sockets.items()}
    assert owners == {"node-1": [], "node-2": ["kube-apiserver"]}


def test_a_network_is_programmed_once_for_a_state():
    state = three_nodes()
    assert program(state) is program(state)


def test_the_router_knows_no_pods():
    routes = [str(r.prefix) for r in program(three_nodes()).namespaces["router"].routes]
    assert routes == ["10.96.0.0/12", "192.168.7.0/24", "203.0.113.0/24"]
