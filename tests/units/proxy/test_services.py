"""Which endpoints a node may use. Rows after Kubernetes `pkg/proxy/topology_test.go`."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from labkit.api.core import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePortSpec,
    ServiceSpec,
    ServiceStatus,
)
from labkit.api.discovery import SERVICE_NAME, EndpointConditions, EndpointSlice, SlicePort
from labkit.api.discovery import Endpoint as SliceEndpoint
from labkit.api.meta import Meta
from labkit.proxy.services import Endpoint, ServicePort, service_ports, usable_endpoints
from tests.clusters import state_of


def at(last: int, node: str = "a", **how):
    """An endpoint 10.244.0.LAST on a node, ready if nothing else is said."""
    return Endpoint(ip_address(f"10.244.0.{last}"), 8080, node, **how)


def leaving(last: int, node: str = "a", **how):
    return at(last, node, ready=False, serving=True, terminating=True, **how)


READY_A, READY_B = at(1), at(2, "b")
LEAVING_A, LEAVING_B = leaving(3), leaving(4, "b")
GONE_A = at(5, ready=False, serving=False, terminating=True)
UNREADY_A = at(6, ready=False, serving=False)


def web(*endpoints: Endpoint, **how) -> ServicePort:
    ip = ip_address("10.96.0.20")
    made = {"name": "ns/web:http", "protocol": "TCP", "cluster_ip": ip, "port": 80, **how}
    return ServicePort(endpoints=endpoints, **made)


CLUSTER = {
    # what it shows: (endpoints, usable under the policy Cluster on node a in zone z)
    "ready ones are used": ((READY_A, READY_B), (READY_A, READY_B)),
    "a leaving one yields to a ready one": ((LEAVING_A, READY_B), (READY_B,)),
    "a leaving one is better than none": ((LEAVING_A, GONE_A), (LEAVING_A,)),
    "one that neither is ready nor serves is never used": ((UNREADY_A, GONE_A), ()),
    "a hint for this zone narrows the choice": (
        (at(1, for_zones=("z",)), at(2, for_zones=("y",))),
        (at(1, for_zones=("z",)),),
    ),
    "one endpoint without hint and no hint counts": (
        (at(1, for_zones=("z",)), READY_B),
        (at(1, for_zones=("z",)), READY_B),
    ),
    "no hint for this zone and no hint counts": (
        (at(1, for_zones=("x",)), at(2, for_zones=("y",))),
        (at(1, for_zones=("x",)), at(2, for_zones=("y",))),
    ),
    "an endpoint that is not ready needs no hint": (
        (at(1, for_zones=("z",)), at(2, for_zones=("y",)), UNREADY_A),
        (at(1, for_zones=("z",)),),
    ),
    "the node is asked before the zone": (
        (at(1, for_nodes=("a",), for_zones=("y",)), at(2, for_nodes=("b",), for_zones=("z",))),
        (at(1, for_nodes=("a",), for_zones=("y",)),),
    ),
    "the zone is asked where no endpoint is for the node": (
        (at(1, for_nodes=("c",), for_zones=("y",)), at(2, for_nodes=("b",), for_zones=("z",))),
        (at(2, for_nodes=("b",), for_zones=("z",)),),
    ),
    "hints do not reach those that leave": ((leaving(1, for_zones=("y",)),) * 1, None),
}


@pytest.mark.parametrize(("endpoints", "usable"), CLUSTER.values(), ids=CLUSTER)
def test_under_the_policy_cluster(endpoints, usable):
    found = usable_endpoints(web(*endpoints), "a", "z")
    assert found.cluster == (endpoints if usable is None else usable)
    assert found.local == ()


def test_a_node_without_zone_follows_no_zone_hint():
    endpoints = at(1, for_zones=("z",)), at(2, for_zones=("z",))
    assert usable_endpoints(web(*endpoints), "a", "").cluster == endpoints


LOCAL = {
    # what it shows: (endpoints, usable under the policy Local on node a, anywhere)
    "only this node's count": ((READY_A, READY_B), (READY_A,), True),
    "nothing is borrowed from elsewhere": ((READY_B,), (), True),
    "this node's leaving one counts while others elsewhere are ready": (
        (LEAVING_A, READY_B),
        (LEAVING_A,),
        True,
    ),
    "hints are not asked": ((at(1, for_zones=("y",)),), (at(1, for_zones=("y",)),), True),
    "a leaving one elsewhere still is an endpoint": ((LEAVING_B,), (), True),
    "none at all": ((GONE_A, UNREADY_A), (), False),
}


@pytest.mark.parametrize(("endpoints", "usable", "anywhere"), LOCAL.values(), ids=LOCAL)
def test_under_the_policy_local(endpoints, usable, anywhere):
    found = usable_endpoints(web(*endpoints, internal_policy="Local"), "a", "z")
    assert (found.local, found.anywhere) == (usable, anywhere)
    assert found.cluster == (), "an internal Service under Local has no use for other nodes' pods"


def test_external_local_keeps_the_others_for_pods_that_take_the_outside_address():
    service = web(READY_A, READY_B, node_port=30080, external_policy="Local")
    found = usable_endpoints(service, "a")
    assert (found.local, found.cluster) == ((READY_A,), (READY_A, READY_B))


def test_reachable_names_each_endpoint_once():
    service = web(LEAVING_A, READY_B, node_port=30080, external_policy="Local")
    assert usable_endpoints(service, "a").reachable == (READY_B, LEAVING_A)


# --- from objects ------------------------------------------------------------------------


def service(name="web", *, labels=None, ingress=(), ports=None, **spec):
    spec = {"cluster_ip": "10.96.0.20", **spec}
    ports = ports or (ServicePortSpec(port=80, name="http", node_port=spec.pop("node_port", None)),)
    status = ServiceStatus(load_balancer=LoadBalancerStatus(ingress=tuple(ingress)))
    meta = Meta(name=name, namespace="ns", labels=labels or {})
    return Service(metadata=meta, spec=ServiceSpec(ports=ports, **spec), status=status)


def slice_of(name, *endpoints, port=8080, port_name="http", family="IPv4", labels=None):
    return EndpointSlice(
        metadata=Meta(name=name, namespace="ns", labels={SERVICE_NAME: "web", **(labels or {})}),
        address_type=family,
        endpoints=endpoints,
        ports=(SlicePort(name=port_name, port=port),),
    )


def ep(*addresses, **how):
    return SliceEndpoint(addresses=addresses, **how)


def only(*objects) -> ServicePort:
    (found,) = service_ports(state_of(*objects))
    return found


NONE = {
    "headless": {"cluster_ip": "None"},
    "not allocated yet": {"cluster_ip": ""},
    "ExternalName": {"type": "ExternalName", "cluster_ip": "10.96.0.20"},
    "another proxy's": {"labels": {"service.kubernetes.io/service-proxy-name": "mine"}},
}


@pytest.mark.parametrize("how", NONE.values(), ids=NONE)
def test_no_rules_for(how):
    assert service_ports(state_of(service(**how), slice_of("s", ep("10.244.0.1")))) == ()


CONDITIONS = {
    # what it shows: (conditions, (ready, serving, terminating))
    "nothing said is ready": (EndpointConditions(), (True, True, False)),
    "not ready": (EndpointConditions(ready=False, serving=False), (False, False, False)),
    "leaving": (
        EndpointConditions(ready=False, serving=True, terminating=True),
        (False, True, True),
    ),
}


@pytest.mark.parametrize(("conditions", "read"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions_of_an_endpoint(conditions, read):
    port = only(service(), slice_of("s", ep("10.244.0.1", conditions=conditions)))
    (found,) = port.endpoints
    assert (found.ready, found.serving, found.terminating) == read


def test_an_address_in_two_slices_counts_once():
    slices = slice_of("s", ep("10.244.0.1")), slice_of("t", ep("10.244.0.1"), ep("10.244.0.2"))
    texts = [str(e) for e in only(service(), slices).endpoints]
    assert texts == ["10.244.0.1:8080", "10.244.0.2:8080"]


def test_endpoints_are_sorted_as_text():
    given = slice_of("s", ep("10.244.0.9"), ep("10.244.0.10"))
    texts = [str(e) for e in only(service(), given).endpoints]
    assert texts == ["10.244.0.10:8080", "10.244.0.9:8080"]


def test_a_slice_port_of_another_name_is_another_port():
    assert only(service(), slice_of("s", ep("10.244.0.1"), port_name="admin")).endpoints == ()


def test_a_slice_for_dns_alone_is_not_read():
    labels = {"service.kubernetes.io/headless": ""}
    assert only(service(), slice_of("s", ep("10.244.0.1"), labels=labels)).endpoints == ()


def test_dual_stack_is_one_port_a_family_with_its_own_endpoints():
    both = service(cluster_ips=("10.96.0.20", "fd00:96::20"))
    slices = slice_of("s", ep("10.244.0.1")), slice_of("t", ep("fd00:244::1"), family="IPv6")
    found = service_ports(state_of(both, slices))
    assert [(str(p.cluster_ip), str(p.endpoints[0])) for p in found] == [
        ("10.96.0.20", "10.244.0.1:8080"),
        ("fd00:96::20", "[fd00:244::1]:8080"),
    ]


def test_the_balancers_own_address_is_left_to_it_in_proxy_mode():
    ingress = (
        LoadBalancerIngress(ip="192.0.2.1", ip_mode="VIP"),
        LoadBalancerIngress(ip="192.0.2.2", ip_mode="Proxy"),
        LoadBalancerIngress(hostname="lb.example"),
    )
    found = only(service(type="LoadBalancer", ingress=ingress))
    assert found.load_balancer_ips == (ip_address("192.0.2.1"),)


def test_source_ranges_are_trimmed_and_kept_by_family():
    ranges = (" 203.0.113.0/24", "2001:db8::/32")
    found = only(service(type="LoadBalancer", load_balancer_source_ranges=ranges))
    assert found.source_ranges == (ip_network("203.0.113.0/24"),)


def test_the_health_check_port_belongs_to_balancers_under_local_alone():
    ports = {"type": "LoadBalancer", "health_check_node_port": 31999}
    assert only(service(external_traffic_policy="Local", **ports)).health_check_node_port == 31999
    assert only(service(external_traffic_policy="Cluster", **ports)).health_check_node_port is None


def test_an_unnamed_port_has_no_colon_in_its_name():
    ports = (ServicePortSpec(port=80),)
    assert only(service(ports=ports)).name == "ns/web"


def test_the_ports_of_one_state_are_read_once():
    state = state_of(service())
    assert service_ports(state) is service_ports(state)
