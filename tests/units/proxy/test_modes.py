"""Four ways of doing one thing: where they must agree, and where they are known not to."""

from __future__ import annotations

import msgspec
import pytest

from labkit.api.core import LoadBalancerIngress, LoadBalancerStatus, ServicePortSpec, ServiceStatus
from labkit.kernel.dice import SeededDice
from labkit.proxy import MODES
from labkit.traffic.connect import connect
from labkit.traffic.program import program
from tests.clusters import node, pod, service, state_of

PODS = tuple(pod(f"shop-{i}", f"10.244.{i}.5", on=i) for i in (1, 2, 3))
OTHERS = (pod("client", "10.244.1.9"), pod("server", "10.244.2.9", on=2))
TRIES = 24


def made(name, address, *pods, port=30080, ingress=None, **spec):
    (svc, slice_) = service(name, address, *pods, **{"type": "NodePort", **spec})
    ports = (ServicePortSpec(port=80, target_port=8080, node_port=port),)
    status = ServiceStatus()
    if ingress:
        row = LoadBalancerIngress(ip=ingress, ip_mode="VIP")
        status = ServiceStatus(load_balancer=LoadBalancerStatus(ingress=(row,)))
    spec_ = msgspec.structs.replace(svc.spec, ports=ports)
    return msgspec.structs.replace(svc, spec=spec_, status=status), slice_


def cluster(mode):
    """`shop` has a pod on each node, `far` one on node-2 and the policy Local, `empty` none."""
    return state_of(
        *(node(1), node(2), node(3), *PODS, *OTHERS),
        made("shop", "10.96.10.20", *PODS),
        made("far", "10.96.10.21", PODS[1], port=30081, external_traffic_policy="Local"),
        made("near", "10.96.10.22", *PODS, port=30082, external_traffic_policy="Local"),
        made("inner", "10.96.10.23", *PODS, port=30083, internal_traffic_policy="Local"),
        made("empty", "10.96.10.30", port=30090),
        made(
            "guarded",
            "10.96.10.31",
            *PODS,
            port=30084,
            type="LoadBalancer",
            ingress="192.0.2.100",
            load_balancer_source_ranges=("198.51.100.0/24",),
        ),
        proxy_mode=mode,
    )


CLUSTERS = {mode: cluster(mode) for mode in MODES}


def ends(mode, source, target, protocol="TCP", tries=TRIES):
    """Everything that the client saw in some tries: who answered, or what instead."""
    state, dice, table, found = CLUSTERS[mode], SeededDice(7), {}, set()
    for sport in range(41000, 41000 + tries):
        how = {"conntrack": table, "dice": dice, "sport": sport, "protocol": protocol}
        got = connect(state, program(state), source, target, **how)
        table = got.conntrack
        found.add(got.places[got.request.end].title if got else got.outcome)
    return found


ALL = {"shop-1", "shop-2", "shop-3"}
AGREED = {
    # what it shows: (source, target, everything that is seen)
    "a pod to a ClusterIP": ("pod/client", "10.96.10.20:80", ALL),
    "a node to a ClusterIP": ("node/node-2", "10.96.10.20:80", ALL),
    "a pod to its own Service": ("pod/shop-1", "10.96.10.20:80", ALL),
    "the network to a node port": ("outside", "192.168.7.12:30080", ALL),
    "a pod to a node port": ("pod/client", "192.168.7.11:30080", ALL),
    "a node to its own node port": ("node/node-1", "192.168.7.11:30080", ALL),
    "a node to another's node port": ("node/node-1", "192.168.7.12:30080", ALL),
    "Local keeps the network at the node's pod": ("outside", "192.168.7.13:30082", {"shop-3"}),
    "a pod takes the short way past Local": ("pod/client", "192.168.7.11:30081", {"shop-2"}),
    "inner Local keeps a pod on its node": ("pod/client", "10.96.10.23:80", {"shop-1"}),
    "inner Local leaves the node port alone": ("outside", "192.168.7.11:30083", ALL),
    "source ranges do not guard the node port": ("outside", "192.168.7.11:30084", ALL),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("source", "target", "seen"), AGREED.values(), ids=AGREED)
def test_all_modes_agree(mode, source, target, seen):
    assert ends(mode, source, target) == seen


DIFFERENT = {
    # what it shows: (source, target, protocol, what iptables, nftables, ipvs and ebpf make of it)
    "a port that the Service lacks": (
        "pod/client",
        "10.96.10.20:81",
        "TCP",
        ("timed out", "refused", "refused", "timed out"),
    ),
    "an address that no Service has": (
        "pod/client",
        "10.96.99.99:80",
        "TCP",
        ("timed out", "timed out", "timed out", "timed out"),
    ),
    "ping": (
        "pod/client",
        "10.96.10.20",
        "ICMP",
        ("timed out", "refused", "refused", "timed out"),
    ),
    "a Service without endpoints": (
        "pod/client",
        "10.96.10.30:80",
        "TCP",
        ("refused", "refused", "refused", "unreachable"),
    ),
    # kube-proxy gives IPVS the other nodes' pods then, and flannel's masquerade brings it home.
    "Local without a pod on the node": (
        "outside",
        "192.168.7.11:30081",
        "TCP",
        ("timed out", "timed out", "shop-2", "timed out"),
    ),
    "a node port on 127.0.0.1": (
        "node/node-1",
        "127.0.0.1:30081",
        "TCP",
        ("shop-2", "refused", "refused", "shop-2"),
    ),
    # Real IPVS answers there: its node ports are on all of a node's addresses (see ipvs.py).
    "a node port on the bridge's address": (
        "pod/client",
        "10.244.1.1:30081",
        "TCP",
        ("shop-2", "refused", "refused", "refused"),
    ),
}


@pytest.mark.parametrize(
    ("source", "target", "protocol", "seen"), DIFFERENT.values(), ids=DIFFERENT
)
def test_where_the_modes_differ(source, target, protocol, seen):
    got = [ends(mode, source, target, protocol, tries=1) for mode in MODES]
    assert got == [{end} for end in seen]


def test_only_ipvs_takes_turns():
    def order(mode):
        state, dice, table, found = CLUSTERS[mode], SeededDice(3), {}, []
        for sport in range(41000, 41009):
            how = {"conntrack": table, "dice": dice, "sport": sport}
            got = connect(state, program(state), "pod/client", "10.96.10.20:80", **how)
            table = got.conntrack
            found.append(str(got.request.packet.dst))
        return found

    turns = {mode: len(set(order(mode)[i : i + 3])) for mode in MODES for i in (0, 3, 6)}
    rotating = [m for m in MODES if all(len(set(order(m)[i : i + 3])) == 3 for i in (0, 3, 6))]
    assert rotating == ["ipvs"], turns
