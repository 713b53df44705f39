"""Address management: which address a new pod gets, and what happens when none is left."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from labkit.api.state import ClusterConfig
from labkit.cni import cni_of, node_cidrs
from labkit.cni.base import next_address
from labkit.errors import Exhausted, NotFound
from tests.clusters import node, state_of

NEXT = {
    # what it shows: (range, taken, next)
    "the network's and the bridge's address stay free": ("10.244.1.0/24", [], "10.244.1.2"),
    "the lowest free address is given": ("10.244.1.0/24", ["10.244.1.2"], "10.244.1.3"),
    "a gap is filled": ("10.244.1.0/24", ["10.244.1.2", "10.244.1.4"], "10.244.1.3"),
    "others' addresses do not count": ("10.244.1.0/24", ["10.244.2.2"], "10.244.1.2"),
    "IPv6 counts alike": ("fd00:10:244:1::/64", ["fd00:10:244:1::2"], "fd00:10:244:1::3"),
}


@pytest.mark.parametrize(("cidr", "taken", "given"), NEXT.values(), ids=NEXT)
def test_next_address(cidr, taken, given):
    found = next_address(ip_network(cidr), {ip_address(a) for a in taken}, "node-1")
    assert found == ip_address(given)


def test_a_full_range_says_how_full_and_what_to_do():
    taken = {ip_network("10.244.1.0/24")[i] for i in range(2, 255)}
    with pytest.raises(Exhausted) as error:
        next_address(ip_network("10.244.1.0/24"), taken, "node-1")
    assert str(error.value) == (
        "node-1 has no free address left in 10.244.1.0/24 (253 of 253 used); "
        "delete pods or give the node a larger podCIDR"
    )


def test_the_last_address_before_broadcast_is_given():
    taken = {ip_network("10.244.1.0/24")[i] for i in range(2, 254)}
    assert next_address(ip_network("10.244.1.0/24"), taken, "n") == ip_address("10.244.1.254")


CIDRS = {
    # what it shows: (cluster's ranges, number of the node, its ranges)
    "block 0 is skipped": (("10.244.0.0/16",), 1, ("10.244.1.0/24",)),
    "blocks follow each other": (("10.244.0.0/16",), 255, ("10.244.255.0/24",)),
    "every family has a range": (
        ("10.244.0.0/16", "fd00:10:244::/56"),
        2,
        ("10.244.2.0/24", "fd00:10:244:2::/64"),
    ),
}


@pytest.mark.parametrize(("ranges", "number", "blocks"), CIDRS.values(), ids=CIDRS)
def test_node_cidrs(ranges, number, blocks):
    assert node_cidrs(ClusterConfig(pod_cidrs=ranges), number) == blocks


@pytest.mark.parametrize("ranges", [("10.244.0.0/16",), ("10.244.0.0/24",)])
def test_a_cluster_range_can_run_out_of_blocks(ranges):
    with pytest.raises(Exhausted, match="has no /24 left for node number 256"):
        node_cidrs(ClusterConfig(pod_cidrs=ranges), 256)


def test_a_node_without_pod_cidr_gives_no_addresses():
    state = state_of(node(1, cidr=""))
    with pytest.raises(Exhausted, match=r"node-1 has no podCIDR.*; set spec\.podCIDR"):
        cni_of(state.config).addresses(state, node(1, cidr=""), set())


UNKNOWN = {
    # what is asked for: (cni, its options, the error)
    "another plugin": ("kindnet", {}, "choose one of calico, calico/none, calico/vxlan, fl"),
    "another encapsulation": ("calico/ipip", {}, "no encapsulation `ipip`; choose none or vxlan"),
    "a slip": ("flanel", {}, "did you mean `flannel`?"),
    "another backend": ("flannel/ipip", {}, "no backend `ipip`; choose vxlan or host-gw"),
    "an option's slip": ("flannel", {"backend": "hostgw"}, "no backend `hostgw`"),
}


@pytest.mark.parametrize(("cni", "options", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_plugin_is_refused_with_the_choices(cni, options, message):
    with pytest.raises(NotFound) as error:
        cni_of(ClusterConfig(cni=cni, cni_options=options))
    assert message in str(error.value)


BACKENDS = {
    "flannel": ({}, "vxlan"),
    "flannel/host-gw": ({}, "host-gw"),
    "flannel ": ({"backend": "host-gw"}, "host-gw"),
}


@pytest.mark.parametrize(("cni", "given"), BACKENDS.items(), ids=BACKENDS)
def test_the_backend_comes_from_the_name_or_the_options(cni, given):
    options, backend = given
    assert cni_of(ClusterConfig(cni=cni.strip(), cni_options=options)).backend == backend
