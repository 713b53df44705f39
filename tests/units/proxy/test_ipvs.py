"""IPVS mode: virtual servers, who is next, and what the few rules let pass."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec
import pytest

from labkit.api.core import ClientIPConfig, ServicePortSpec, SessionAffinityConfig
from labkit.api.state import ClusterConfig
from labkit.errors import NotFound
from labkit.kernel.ipvs import (
    SCHEDULERS,
    RealServer,
    VirtualServer,
    ipvsadm_list,
    schedule,
)
from labkit.kernel.packet import Packet
from labkit.kernel.text import ip_addr
from labkit.proxy import mode_of
from labkit.traffic.connect import connect
from labkit.traffic.program import program
from tests.clusters import node, pod, service, state_of

ENDS = tuple(RealServer(ip_address(f"10.244.{i}.5"), 8080) for i in (1, 2, 3))
VIP = ip_address("10.96.10.20")
PODS = tuple(pod(f"shop-{i}", f"10.244.{i}.5", on=i) for i in (1, 2, 3))


def shop(**spec):
    (made, slice_) = service("shop", "10.96.10.20", *PODS, type="NodePort", **spec)
    ports = (ServicePortSpec(port=80, target_port=8080, node_port=30080),)
    made = msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, ports=ports))
    nodes = (node(1), node(2), node(3))
    return state_of(*nodes, *PODS, pod("client", "10.244.1.9"), made, slice_, proxy_mode="ipvs")


def asked(client="10.244.1.9", sport=41000):
    return Packet(src=ip_address(client), dst=VIP, sport=sport, dport=80)


def turns(scheduler, *clients, **how):
    """The last figure but one of each server's address, for one connection after the other."""
    made = VirtualServer(
        protocol="TCP", address=VIP, port=80, scheduler=scheduler, servers=ENDS, **how
    )
    rows, found = [], []
    for client in clients:
        server = schedule(made, rows, asked(client), 0.0)
        found.append(None if server is None else int(str(server.address).split(".")[2]))
    return found


def test_rr_rotates_strictly():
    assert turns("rr", *["10.244.1.9"] * 7) == [1, 2, 3, 1, 2, 3, 1]


def test_wrr_with_equal_weights_is_rr():
    assert turns("wrr", *["10.244.1.9"] * 4) == [1, 2, 3, 1]


@pytest.mark.parametrize("scheduler", ["sh", "dh"])
def test_a_hash_gives_one_client_one_server(scheduler):
    assert len(set(turns(scheduler, *["10.244.1.9"] * 5))) == 1


def test_sh_spreads_clients_and_dh_does_not():
    clients = [f"10.244.1.{i}" for i in range(2, 60)]
    assert set(turns("sh", *clients)) == {1, 2, 3}
    assert len(set(turns("dh", *clients))) == 1


def test_persistence_keeps_a_client_at_its_server():
    clients = ["10.244.1.9", "10.244.1.8", "10.244.1.9", "10.244.1.7"]
    assert turns("rr", *clients, persistent=60) == [1, 2, 1, 3]


def test_nobody_is_next_where_there_is_no_server():
    made = VirtualServer(protocol="TCP", address=VIP, port=80)
    assert schedule(made, [], asked(), 0.0) is None


def busy(scheduler):
    """Connections of clients that stay, one after the other, through a whole cluster."""
    state = msgspec.structs.replace(shop().config, proxy_options={"scheduler": scheduler})
    state = state_of(*shop(), **msgspec.structs.asdict(state))
    network, table, found = program(state), {}, []
    for sport in range(41000, 41004):
        made = connect(state, network, "pod/client", "10.96.10.20:80", sport=sport, conntrack=table)
        assert made, f"\n{made}"
        table = made.conntrack
        found.append(str(made.request.packet.dst))
    return found


@pytest.mark.parametrize("scheduler", ["lc", "wlc", "sed", "nq", "rr"])
def test_servers_without_connections_go_first(scheduler):
    first, second, third, fourth = busy(scheduler)
    assert len({first, second, third}) == 3
    assert fourth == first


# --- kube-proxy's facts --------------------------------------------------------------------


def test_cluster_ips_lie_on_a_device_that_is_down():
    text = ip_addr(program(shop()).namespaces["node/node-1"])
    assert "kube-ipvs0: <BROADCAST,NOARP>" in text
    assert "state DOWN" in text
    assert "inet 10.96.10.20/32 scope global kube-ipvs0" in text


def attempt(target, protocol="TCP", source="pod/client"):
    state = shop()
    return connect(state, program(state), source, target, protocol=protocol)


def test_a_port_that_the_service_lacks_is_refused_by_the_filter():
    made = attempt("10.96.10.20:81")
    assert made.outcome == "refused"
    (hop,) = [h for h in made.request.hops if h.action == "reject"]
    assert "-A KUBE-IPVS-FILTER" in hop.why
    assert "--match-set KUBE-IPVS-IPS dst -j REJECT" in hop.why


def test_ping_to_a_cluster_ip_is_refused_too():
    assert attempt("10.96.10.20", "ICMP").outcome == "refused"


def test_a_port_that_the_node_listens_on_does_not_open_on_a_cluster_ip():
    assert attempt("node/node-1:10250").outcome == "answered"
    assert attempt("10.96.10.20:10250").outcome == "refused"


@pytest.mark.parametrize("source", ["pod/client", "node/node-2", "outside"])
def test_a_node_port_reaches_the_pods(source):
    assert attempt("192.168.7.11:30080", source=source)


def test_a_pod_reaches_itself():
    state = shop()
    network, table, found = program(state), {}, set()
    for sport in range(41000, 41003):
        made = connect(state, network, "pod/shop-1", "10.96.10.20:80", sport=sport, conntrack=table)
        assert made, f"\n{made}"
        table = made.conntrack
        found.add(str(made.request.packet.dst))
    assert "10.244.1.5" in found


def test_affinity_is_persistence():
    config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=10800))
    state = shop(session_affinity="ClientIP", session_affinity_config=config)
    text = ipvsadm_list(program(state).namespaces["node/node-1"].virtual_servers)
    assert "TCP  10.96.10.20:80 rr persistent 10800\n" in text


def test_a_server_that_left_stays_with_weight_0_until_its_connections_end():
    state = shop()
    made = connect(state, program(state), "pod/client", "10.96.10.20:80")
    entries = made.conntrack["node/node-1"]
    (vip,) = (
        v for v in program(state).namespaces["node/node-1"].virtual_servers if v.address == VIP
    )
    left = msgspec.structs.replace(vip, servers=vip.servers[1:])
    during, after = (ipvsadm_list([left], entries, now) for now in (1.0, 1e7))
    assert "  -> 10.244.1.5:8080              Masq    0      1          0" in during
    assert "10.244.1.5" not in after


def test_an_unknown_scheduler_is_refused_with_the_choices():
    config = ClusterConfig(proxy_mode="ipvs", proxy_options={"scheduler": "fair"})
    with pytest.raises(NotFound, match="scheduler: no `fair`; choose one of rr, wrr, lc, wlc"):
        mode_of(config)
    assert set(SCHEDULERS) == {"rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq"}
