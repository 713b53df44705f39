"""One test for each row of tests/conformance/cases/proxy-facts.jsonl that the proxy answers for."""

from __future__ import annotations

import json
from importlib import import_module
from ipaddress import ip_address

import msgspec
import pytest

from labkit import Cluster
from labkit.api.core import (
    ClientIPConfig,
    Service,
    ServicePortSpec,
    SessionAffinityConfig,
)
from labkit.kernel.dice import SeededDice
from labkit.kernel.outcomes import outcomes
from labkit.proxy import service_ports
from labkit.proxy.health import health_answer
from labkit.proxy.services import Endpoint, ServicePort
from labkit.proxy.stale import without_stale
from labkit.traffic.connect import asked, connect
from labkit.traffic.program import program
from tests.clusters import node, pod, service, slice_of, state_of
from tests.needs import ROOT

MODES = ("iptables", "nftables")
both = pytest.mark.parametrize("mode", MODES)
PODS = tuple(pod(f"shop-{i}", f"10.244.{i}.5", on=i) for i in (1, 2, 3))


def sticky(mode: str, *, seconds: int = 60, pods=PODS, ports=None):
    """Three nodes, a client on node-1, and a Service with sessionAffinity ClientIP."""
    config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=seconds))
    spec = {"session_affinity": "ClientIP", "session_affinity_config": config}
    (shop, slice_) = service("shop", "10.96.10.20", *pods, type="NodePort", **spec)
    ports = ports or (ServicePortSpec(port=80, target_port=8080, node_port=30080),)
    spec_ = msgspec.structs.replace(shop.spec, ports=ports)
    shop = msgspec.structs.replace(shop, spec=spec_)
    others = (pod("client", "10.244.1.9"), pod("other", "10.244.2.9", on=2))
    return state_of(node(1), node(2), node(3), *PODS, *others, shop, slice_, proxy_mode=mode)


class Client:
    """Connects again and again, and carries on what the kernels remember."""

    def __init__(self, state, seed=0):
        self.state, self.dice, self.conntrack, self.sport = state, SeededDice(seed), {}, 40000

    def at(self, now, target="10.96.10.20:80", source="pod/client"):
        """The address that answered at `now`, seconds."""
        self.sport += 1
        made = connect(
            self.state,
            program(self.state),
            source,
            target,
            sport=self.sport,
            conntrack=self.conntrack,
            dice=self.dice,
            now=now,
        )
        self.conntrack = made.conntrack
        assert made, f"\n{made}"
        return str(made.request.packet.dst)


def answers(mode, *asked, **how):
    """Who answered the connections, for each of 20 seeds."""
    found = []
    for seed in range(20):
        client = Client(sticky(mode, **how), seed)
        found.append([client.at(*each) for each in asked])
    return found


@both
def test_affinity_same_client_sticks(mode):
    assert all(first == second for first, second in answers(mode, (0,), (30,)))


@both
def test_affinity_expires(mode):
    pairs = answers(mode, (0,), (61,))
    assert {second for first, second in pairs if first == "10.244.1.5"} > {"10.244.1.5"}


# Seconds of connections under an affinity of 60 s -> those at which the client was forgotten.
FORGOTTEN = {
    "within the time": ((0, 60), ()),
    "after it": ((0, 61), (61,)),
    "each connection sets the clock back": ((0, 50, 100, 160), ()),
    "the pause counts, not the age": ((0, 50, 111, 112), (111,)),
    "twice": ((0, 100, 130, 191), (100, 191)),
}


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs", "ebpf"])
@pytest.mark.parametrize(("times", "forgotten"), FORGOTTEN.values(), ids=FORGOTTEN)
def test_each_list_of_clients_forgets_in_its_time(mode, times, forgotten):
    """`recent`, sets with a timeout, persistence, and the map of eBPF: what the walk finds in it.

    One that is remembered has one end, a new one three; IPVS has one always, the next in turn.
    """
    client, found, last = Client(sticky(mode)), [], ""
    for now in times:
        ends = walked_ends(client, now)
        known = ends == {last} if mode == "ipvs" else len(ends) == 1
        found += [now] if last and not known else []
        last = client.at(now)
    assert tuple(found) == forgotten


def walked_ends(client, now):
    """The addresses that a new connection may get at `now`."""
    question = asked(client.state, program(client.state), "pod/client", "10.96.10.20:80", sport=1)
    start, table = question.spot.netns, program(client.state)
    ways = outcomes(table, start, question.packet, client.conntrack, now)
    return {str(trace.packet.dst) for _, trace in ways}


@both
def test_affinity_is_refreshed_by_new_connections(mode):
    assert all(len(set(row)) == 1 for row in answers(mode, (0,), (50,), (100,)))


@both
def test_affinity_asks_only_for_the_source_address(mode):
    """`Client` takes another source port each time."""
    assert all(len(set(row)) == 1 for row in answers(mode, *[(0,)] * 5))


@both
def test_affinity_is_shared_by_all_addresses_of_a_port(mode):
    pairs = answers(mode, (0, "10.96.10.20:80"), (1, "192.168.7.11:30080"))
    assert all(first == second for first, second in pairs)


@both
def test_affinity_is_not_shared_between_ports(mode):
    state = sticky(
        mode,
        ports=(
            ServicePortSpec(port=80, target_port=8080, name="a"),
            ServicePortSpec(port=443, target_port=8080, name="b"),
        ),
    )
    slices = [slice_of("shop", *PODS, port_name=name) for name in ("a", "b")]
    (first, second) = (msgspec.structs.replace(s.metadata, name=s.ports[0].name) for s in slices)
    slices = [
        msgspec.structs.replace(s, metadata=m) for s, m in zip(slices, (first, second), strict=True)
    ]
    state = state_of(*state, *slices, proxy_mode=mode)
    pairs = []
    for seed in range(20):
        client = Client(state, seed)
        pairs.append((client.at(0), client.at(0, "10.96.10.20:443")))
    assert any(one != other for one, other in pairs)


@both
def test_affinity_lives_in_each_nodes_kernel(mode):
    """The same client address by way of two nodes: from outside, with the source hidden."""
    pairs = []
    for seed in range(20):
        client = Client(sticky(mode), seed)
        first = client.at(0, "192.168.7.11:30080", "outside")
        pairs.append((first, client.at(0, "192.168.7.12:30080", "outside")))
    assert any(one != other for one, other in pairs)


@both
def test_affinity_to_an_endpoint_that_is_gone_is_chosen_anew(mode):
    client = Client(sticky(mode))
    gone = client.at(0)
    client.state = sticky(mode, pods=[p for p in PODS if str(p.addresses[0]) != gone])
    assert client.at(1) != gone


def test_affinity_timeout_is_three_hours_unless_told():
    shop = service("shop", "10.96.10.20", session_affinity="ClientIP")
    (found,) = service_ports(state_of(shop))
    assert found.affinity == 10800


def test_a_list_of_recent_holds_a_hundred_clients_and_a_set_of_nft_more():
    from labkit.kernel.clients import RECENT_SIZE, Remember, knows, remember

    rows, first = [], ip_address("10.0.0.0")
    for i in range(RECENT_SIZE + 1):
        remember(rows, Remember("KUBE-SEP-X", 60, RECENT_SIZE), first + i, 0.0)
    known = [knows(rows, "KUBE-SEP-X", first + i, 1.0) for i in range(RECENT_SIZE + 1)]
    assert known == [False] + [True] * RECENT_SIZE


# --- conntrack ---------------------------------------------------------------------------


@both
def test_an_established_connection_survives_the_end_of_its_endpoint(mode):
    client = Client(sticky(mode))
    before = client.at(0)
    client.state = sticky(mode, pods=[p for p in PODS if str(p.addresses[0]) != before])
    client.sport -= 1  # the same connection
    assert client.at(5) == before


def dns_port(*addresses, serving=True):
    ends = tuple(Endpoint(ip_address(a), 53, serving=serving) for a in addresses)
    ip = ip_address("10.96.0.10")
    made = {"name": "kube-system/kube-dns:dns", "protocol": "UDP", "cluster_ip": ip, "port": 53}
    return ServicePort(endpoints=ends, node_port=30053, **made)


def udp_entry(asked: str, port: int, answers_from: str):
    from labkit.kernel.conntrack import Entry, Tuple

    client = ip_address("10.244.1.9")
    return Entry(
        original=Tuple("UDP", client, 5000, ip_address(asked), port),
        reply=Tuple("UDP", ip_address(answers_from), 53, client, 5000),
    )


STALE = {
    # what it shows: (asked address and port, who answers, kept)
    "its endpoint still serves": ("10.96.0.10", 53, "10.244.1.5", True),
    "its endpoint is gone": ("10.96.0.10", 53, "10.244.1.6", False),
    "begun when there was no endpoint": ("10.96.0.10", 53, "10.96.0.10", False),
    "by node port": ("192.168.7.11", 30053, "10.244.1.6", False),
    "no Service's": ("10.244.9.9", 53, "10.244.9.9", True),
}


@pytest.mark.parametrize(("asked", "port", "end", "kept"), STALE.values(), ids=STALE)
def test_udp_entries_to_endpoints_that_are_gone_are_deleted(asked, port, end, kept):
    entry = udp_entry(asked, port, end)
    after = without_stale([dns_port("10.244.1.5")], {"node/node-1": (entry,)})
    assert after == {"node/node-1": (entry,) if kept else ()}


def test_a_pods_own_table_is_not_kube_proxys():
    entry = udp_entry("10.96.0.10", 53, "10.244.1.6")
    table = {"pod/default/client": (entry,)}
    assert without_stale([dns_port("10.244.1.5")], table) == table


# --- health ------------------------------------------------------------------------------


def balanced(*endpoints):
    ip = ip_address("10.96.0.30")
    made = {"name": "ns/shop:http", "protocol": "TCP", "cluster_ip": ip, "port": 80}
    return [ServicePort(endpoints=endpoints, health_check_node_port=31999, **made)]


HERE, THERE = (Endpoint(ip_address(f"10.244.{i}.5"), 8080, f"node-{i}") for i in (1, 2))
LEAVING = Endpoint(ip_address("10.244.1.6"), 8080, "node-1", ready=False, terminating=True)
HEALTH = {
    "a ready endpoint on the node": ((HERE, THERE), 200),
    "none on the node": ((THERE,), 503),
    "one that leaves does not count": ((LEAVING, THERE), 503),
}


@pytest.mark.parametrize(("endpoints", "status"), HEALTH.values(), ids=HEALTH)
def test_health_check_node_port(endpoints, status):
    answer = health_answer(balanced(*endpoints), 31999, "node-1")
    assert answer is not None
    assert answer.status == status
    assert '"localEndpoints":' in answer.body
    assert '"serviceProxyHealthy": true' in answer.body


def test_a_port_that_no_service_checks_has_no_answer():
    assert health_answer(balanced(HERE), 31998, "node-1") is None


@both
def test_kube_proxy_listens_where_it_says(mode):
    """10256 for healthz on every node; a balancer's port beside it."""
    made = service("lb", "10.96.0.30", *PODS, type="LoadBalancer", external_traffic_policy="Local")
    lb = msgspec.structs.replace(made[0].spec, health_check_node_port=31999)
    shop = msgspec.structs.replace(made[0], spec=lb)
    state = state_of(node(1), node(2), node(3), *PODS, shop, made[1], proxy_mode=mode)
    assert isinstance(shop, Service)
    listening = {s.port for s in program(state).namespaces["node/node-1"].sockets}
    assert {10256, 31999} <= listening


UDP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers: [{name: main, image: echo, ports: [{containerPort: 7000, protocol: UDP}]}]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {selector: {app: echo}, ports: [{port: 7000, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: main, image: client}]}
"""


def test_a_udp_client_finds_another_pod_after_its_own_has_gone():
    lab = Cluster.from_manifests(UDP)
    first = lab.connect("pod/client", "svc/echo:7000", protocol="UDP", sport=5000)
    assert first, f"\n{first}"
    lab.delete(f"pod/{first.places[first.request.end].netns.rpartition('/')[2]}")
    again = lab.connect("pod/client", "svc/echo:7000", protocol="UDP", sport=5000)
    assert again, f"\n{again}"
    assert again.request.packet.dst != first.request.packet.dst


# --- all of them ---------------------------------------------------------------------------

HELD_BY = {  # row of proxy-facts.jsonl -> the test that holds the lab to it
    "affinity-same-client-sticks": "test_facts.test_affinity_same_client_sticks",
    "affinity-expires": "test_facts.test_each_list_of_clients_forgets_in_its_time",
    "affinity-refreshed-by-new-connections": (
        "test_facts.test_affinity_is_refreshed_by_new_connections"
    ),
    "affinity-default-timeout": "test_facts.test_affinity_timeout_is_three_hours_unless_told",
    "affinity-key-is-source-ip-only": "test_facts.test_affinity_asks_only_for_the_source_address",
    "affinity-shared-by-all-addresses-of-a-port": (
        "test_facts.test_affinity_is_shared_by_all_addresses_of_a_port"
    ),
    "affinity-not-shared-between-ports": "test_facts.test_affinity_is_not_shared_between_ports",
    "affinity-per-node": "test_facts.test_affinity_lives_in_each_nodes_kernel",
    "affinity-endpoint-gone": (
        "test_facts.test_affinity_to_an_endpoint_that_is_gone_is_chosen_anew"
    ),
    "iptables-probabilities": "test_iptables.test_rule_i_of_n_has_the_chance_one_in_what_is_left",
    "conntrack-established-tcp-survives": (
        "test_facts.test_an_established_connection_survives_the_end_of_its_endpoint"
    ),
    "conntrack-udp-flushed": ("test_facts.test_udp_entries_to_endpoints_that_are_gone_are_deleted"),
    "healthcheck-nodeport-local": "test_facts.test_health_check_node_port",
    "healthcheck-nodeport-none": "test_facts.test_health_check_node_port",
    "healthz-port": "test_facts.test_kube_proxy_listens_where_it_says",
    "slice-controller-prefer-same-zone": "test_slice_facts.test_the_controller_writes_hints",
    "slice-controller-prefer-same-node": "test_slice_facts.test_the_controller_writes_hints",
    "slice-controller-ready-rule": "test_slice_facts.test_conditions_of_a_pod_that_leaves",
    "slice-controller-publish-not-ready": ("test_slice_facts.test_conditions_of_a_pod_that_leaves"),
    "slice-controller-max-endpoints": "test_slice_facts.test_a_slice_holds_a_hundred_endpoints",
    "topology-mode-auto-guard": (
        "test_slice_facts.test_the_old_annotation_gives_no_hints_where_nodes_do_not_tell_their_cpu"
    ),
    "ipvs-default-scheduler": "test_ipvs.test_rr_rotates_strictly",
    "ipvs-clusterip-is-local-address": "test_ipvs.test_cluster_ips_lie_on_a_device_that_is_down",
    "ipvs-undefined-port": (
        "test_ipvs.test_a_port_that_the_service_lacks_is_refused_by_the_filter"
    ),
    "ipvs-session-affinity": "test_ipvs.test_affinity_is_persistence",
    "ipvs-graceful-removal": (
        "test_ipvs.test_a_server_that_left_stays_with_weight_0_until_its_connections_end"
    ),
}


def test_every_fact_is_held_by_a_test_that_there_is():
    stored = ROOT / "tests/conformance/cases/proxy-facts.jsonl"
    names = [json.loads(row)["name"] for row in stored.read_text().splitlines()]
    assert sorted(names) == sorted(HELD_BY)
    for held in HELD_BY.values():
        module, _, name = held.partition(".")
        assert callable(getattr(import_module(f"tests.units.proxy.{module}"), name))
