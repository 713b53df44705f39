"""The kube-proxy replacement: what happens at connect(2) and at tc, before any netfilter rule."""

from __future__ import annotations

import msgspec
import pytest

from labkit.api.core import ClientIPConfig, ServicePortSpec, SessionAffinityConfig
from labkit.kernel.bpf import service_list
from labkit.kernel.dice import SeededDice
from labkit.traffic.chances import outcomes
from labkit.traffic.connect import connect
from labkit.traffic.program import program
from tests.clusters import node, pod, service, state_of

PODS = tuple(pod(f"shop-{i}", f"10.244.{i}.5", on=i) for i in (1, 2, 3))


def shop(*pods, **spec):
    (made, slice_) = service("shop", "10.96.10.20", *(pods or PODS), type="NodePort", **spec)
    ports = (ServicePortSpec(port=80, target_port=8080, node_port=30080),)
    made = msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, ports=ports))
    empty = service("empty", "10.96.10.30")
    client = pod("client", "10.244.1.9")
    nodes = (node(1), node(2), node(3))
    return state_of(*nodes, *PODS, client, made, slice_, empty, proxy_mode="ebpf")


def attempt(source, target, state=None, **how):
    state = state or shop()
    return connect(state, program(state), source, target, **how)


def frames(made):
    """Every destination that was on a wire."""
    return {f.packet.destination for trace in made.traces for f in trace.frames}


def test_no_packet_carries_a_cluster_ip():
    made = attempt("pod/client", "10.96.10.20:80")
    assert made, f"\n{made}"
    assert not any("10.96." in where for where in frames(made))
    first = made.request.hops[0]
    assert (first.stage, first.action, first.table) == ("socket", "rewrite", "bpf")


def test_the_node_remembers_no_nat_for_a_pods_connection():
    made = attempt("pod/client", "10.96.10.20:80")
    for entry in made.conntrack["node/node-1"]:
        if not entry.member_of:
            assert entry.reply.src == entry.original.dst


def test_every_backend_has_the_same_chance():
    state = shop()
    found = outcomes(state, program(state), "pod/client", "10.96.10.20:80")
    assert "1/3" in str(found)


REFUSALS = {
    # what it shows: (source, target, protocol, what the client sees)
    "no backend fails in the process": ("pod/client", "10.96.10.30:80", "TCP", "unreachable"),
    "a port that the Service lacks is nobody's": (
        "pod/client",
        "10.96.10.20:81",
        "TCP",
        "timed out",
    ),
    "ping is no connection": ("pod/client", "10.96.10.20", "ICMP", "timed out"),
    "a ClusterIP is not for the network": ("outside", "10.96.10.20:80", "TCP", "timed out"),
}


@pytest.mark.parametrize(("source", "target", "protocol", "seen"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_not_served(source, target, protocol, seen):
    assert attempt(source, target, protocol=protocol).outcome == seen


@pytest.mark.parametrize("target", ["192.168.7.11:30080", "127.0.0.1:30080", "10.96.10.20:80"])
def test_a_process_of_the_node_reaches_the_service(target):
    made = attempt("node/node-1", target)
    assert made, f"\n{made}"


def from_outside(state, seed):
    made = attempt("outside", "192.168.7.11:30080", state, dice=SeededDice(seed))
    return made, str(made.request.packet.dst), str(made.request.packet.src)


def test_a_node_port_hides_the_client_only_on_the_way_to_another_node():
    seen = {}
    for seed in range(30):
        made, end, source = from_outside(shop(), seed)
        assert made, f"\n{made}"
        seen.setdefault(end, set()).add(source)
    assert seen == {
        "10.244.1.5": {"203.0.113.9"},
        "10.244.2.5": {"192.168.7.11"},
        "10.244.3.5": {"192.168.7.11"},
    }


def test_the_rewrite_for_the_network_stands_before_netfilter():
    made, _, _ = from_outside(shop(), 0)
    stages = [h.stage for h in made.request.hops if h.netns == "node/node-1"]
    assert stages[0] == "tc"


def test_under_local_only_backends_of_the_node_count():
    state = shop(external_traffic_policy="Local")
    ends = {from_outside(state, seed)[1:] for seed in range(20)}
    assert ends == {("10.244.1.5", "203.0.113.9")}
    alone = shop(PODS[1], external_traffic_policy="Local")
    assert attempt("outside", "192.168.7.11:30080", alone).outcome == "timed out"
    assert attempt("pod/client", "192.168.7.11:30080", alone).outcome == "answered"


def test_affinity_keeps_a_client_at_its_backend_until_it_expires():
    config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=60))
    state = shop(session_affinity="ClientIP", session_affinity_config=config)
    kept, lost = [], []
    for seed in range(20):
        table, dice, ends = {}, SeededDice(seed), []
        for sport, now in enumerate((0, 30, 200), start=41000):
            how = {"conntrack": table, "dice": dice, "now": now, "sport": sport}
            made = attempt("pod/client", "10.96.10.20:80", state, **how)
            table = made.conntrack
            ends.append(str(made.request.packet.dst))
        kept.append(ends[0] == ends[1])
        lost.append(ends[1] != ends[2])
    assert all(kept)
    assert any(lost)


def test_the_list_of_services_names_their_backends():
    text = service_list(program(shop()).namespaces["node/node-1"].maps)
    assert text.splitlines()[:4] == [
        "ID   Frontend                 Service Type   Backend",
        "1    10.96.10.30:80/TCP       ClusterIP      ",
        "2    10.96.10.20:80/TCP       ClusterIP      1 => 10.244.1.5:8080/TCP (active)",
        "                                             2 => 10.244.2.5:8080/TCP (active)",
    ]
