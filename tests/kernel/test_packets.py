"""Single packets: their size, their time to live, errors about them, and what is remembered."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from labkit.kernel import netfilter as nf
from labkit.kernel.dice import FirstDice
from labkit.kernel.packet import Icmp, Packet
from labkit.kernel.text import conntrack_list, iptables_save
from labkit.kernel.walk import walk
from tests.kernel.clusters import Cluster, deployment, network_of, service
from tests.kernel.edits import each_rule, first_rule, links, together
from tests.kernel.model import Flow, expected, first_packet
from tests.kernel.real import Real, echo_request

ICMP_DROP = nf.Rule((nf.Proto("icmp"),), nf.Verdict("DROP"))
TIME_EXCEEDED = 11  # ICMP type


class Pair:
    """Two nodes with a pod each, and a Service that only leads to the second."""

    def __init__(self) -> None:
        apps = [deployment(name, 1, "8080/TCP,8080/UDP") for name in ("one", "two")]
        lab = Cluster.from_manifests([*apps, service("two", "two", 80, 8080)], nodes=2)
        self.network = network_of(lab)
        pods = sorted(lab.list("pods"), key=lambda p: p.name)
        self.a, self.b = (f"pod/default/{p.name}" for p in pods)
        self.ip_a, self.ip_b = (str(p.addresses[0]) for p in pods)
        self.node_a, self.node_b = (f"node/{p.spec.node_name}" for p in pods)
        (self.service,) = (s.spec.cluster_ip for s in lab.list("services") if s.name == "two")


@pytest.fixture(scope="module")
def pair():
    found = Pair()
    assert found.node_a != found.node_b
    return found


# --- size ----------------------------------------------------------------------------------


def wide(link) -> bool:
    return (link.kind == "veth" and link.mtu == 1450) or link.name == "cni0"


WIDE = (links("pod/", wide, mtu=1500), links("node/", wide, mtu=1500))
SIZES = {
    # what it shows: (edit, bytes of an IP packet that may not be fragmented, what is heard)
    "what fits the tunnel arrives": (together(), 1450, "answered"),
    "what does not fit the own device is not even sent": (together(), 1451, "too-big"),
    "pods wider than the tunnel hear the size that fits": (together(*WIDE), 1451, "too-big"),
    "the last byte that fits": (together(*WIDE), 1450, "answered"),
    "with ICMP dropped they hear nothing: a black hole": (
        together(*WIDE, first_rule("node/", "filter", "OUTPUT", ICMP_DROP)), 1451, "timed out"),
    "a bridge port that is narrower than the pod swallows in silence": (
        together(links("pod/", wide, mtu=1500)), 1455, "timed out"),
    "but not the four bytes that a VLAN tag may take": (
        together(links("pod/", wide, mtu=1500)), 1454, "too-big"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "size", "heard"), SIZES.values(), ids=SIZES)
def test_packets_that_may_not_be_fragmented(pair, edit, size, heard):
    network = edit(pair.network)
    flow = Flow(pair.a, pair.ip_b, 8080, "UDP")
    want = expected(network, flow, size=size)
    assert {seen[0] for seen in want} == {heard}
    with Real(network) as real:
        real.ask("UDP", pair.a, pair.ip_b, 8080)  # so that no neighbour is unknown
        assert real.send_large(pair.a, pair.ip_b, 8080, size) in want


# --- time to live ----------------------------------------------------------------------------


def who_complains(real, start: str, address: str, port: int, ttl: int) -> str:
    """Who sends "time exceeded" for a UDP packet with that TTL, as `traceroute` sees it."""
    with (
        real.socket(start, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ear,
        real.socket(start, socket.SOCK_DGRAM) as mouth,
    ):
        ear.settimeout(1)
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        mouth.sendto(b"?", (address, port))
        data, (who, _) = ear.recvfrom(2000)
        assert data[20] == TIME_EXCEEDED
        return who


def model_complains(network, start: str, address: str, port: int, ttl: int) -> str:
    packet = first_packet(network, Flow(start, address, port, "UDP"), ttl=ttl)
    trace = walk(network, start, packet, FirstDice())
    assert trace.outcome == "ttl-exceeded"
    back = walk(network, trace.end, trace.answer, FirstDice(), trace.conntrack)
    assert back.outcome == "delivered"
    return str(back.packet.src)


def test_time_exceeded_comes_from_the_same_machine(pair):
    with Real(pair.network) as real:
        for address, port in ((pair.ip_b, 8080), (pair.service, 80), ("203.0.113.9", 53)):
            for ttl in (1, 2):
                want = model_complains(pair.network, pair.a, address, port, ttl)
                assert who_complains(real, pair.a, address, port, ttl) == want, (address, ttl)


# --- ping --------------------------------------------------------------------------------------


def test_ping(pair):
    cases = {
        (pair.a, pair.ip_b): ("answered", pair.ip_b),
        (pair.a, "192.168.7.12"): ("answered", "192.168.7.12"),
        ("node/node-1", pair.ip_b): ("answered", pair.ip_b),
        (pair.a, "203.0.113.9"): ("answered", "203.0.113.9"),
        (pair.a, "127.0.0.1"): ("answered", "127.0.0.1"),
        (pair.a, pair.service): ("timed out",),
    }
    with Real(pair.network) as real:
        for (start, address), heard in cases.items():
            want = expected(pair.network, Flow(start, address, 0, "ICMP"))
            assert {seen[0] for seen in want} == {heard[0]}, (start, address)
            assert real.ping(start, address) == heard, (start, address)
    assert len(echo_request()) == 14


# --- memory ----------------------------------------------------------------------------------


def test_a_udp_client_is_kept_at_an_endpoint_that_is_gone(pair):
    """The rules change, the connection's entry stays: same port, same dead end."""
    gone = ip_address("10.244.9.9")

    def elsewhere(_, rule):
        is_dnat = isinstance(rule.target, nf.Dnat) and str(rule.target.address) == pair.ip_b
        return replace(rule, target=replace(rule.target, address=gone)) if is_dnat else rule

    broken = each_rule("node/", elsewhere)(pair.network)
    src, dst = ip_address(pair.ip_a), ip_address(pair.service)
    ask = Packet(src=src, dst=dst, protocol="UDP", sport=40000, dport=80)
    first = walk(broken, pair.a, ask, FirstDice())
    again = walk(pair.network, pair.a, ask, FirstDice(), first.conntrack)
    later = walk(pair.network, pair.a, ask, FirstDice(), first.conntrack, now=31.0)
    other = walk(pair.network, pair.a, replace(ask, sport=40001), FirstDice(), first.conntrack)
    assert [t.outcome == "delivered" for t in (first, again, later, other)] == [0, 0, 1, 1]
    with Real(broken) as real, real.socket(pair.a, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.bind(("0.0.0.0", 40000))
        client.connect((pair.service, 80))
        client.send(b"?")
        for name, netns in pair.network.namespaces.items():
            if netns.ruleset.tables:
                real.inside(name, "iptables-restore", stdin=iptables_save(netns))
        assert heard(client) == "silence"
        assert real.ask("UDP", pair.a, pair.service, 80)[0] == "answered"
        real.inside(pair.node_a, "conntrack", "-D", "-p", "udp", "--orig-dst", pair.service)
        assert heard(client) == "answer"


def heard(client: socket.socket) -> str:
    try:
        client.send(b"?")
        return "answer" if client.recv(100) else "nothing"
    except OSError:
        return "silence"


def test_conntrack_lists_the_same_connection(pair):
    """`conntrack -L` prints our row, but for the seconds left and TCP's last step."""
    src, dst = ip_address(pair.ip_a), ip_address(pair.service)
    ask = Packet(src=src, dst=dst, protocol="UDP", sport=40000, dport=80)
    trace = walk(pair.network, pair.a, ask, FirstDice())
    back = walk(pair.network, trace.end, trace.answer, FirstDice(), trace.conntrack)
    ours = [
        row for row in rows(conntrack_list(back.conntrack[pair.node_a], 0)) if "dport=80 " in row
    ]
    with Real(pair.network) as real, real.socket(pair.a, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.bind(("0.0.0.0", 40000))
        client.connect((pair.service, 80))
        assert heard(client) == "answer"
        printed = rows(real.inside(pair.node_a, "conntrack", "-L"))
    assert [r for r in printed if "dport=80 " in r] == [r for r in ours if "dport=80 " in r]


def rows(printed: str) -> list[str]:
    """Lines without the seconds that are left."""
    found = []
    for line in printed.splitlines():
        words = line.split()
        found.append(" ".join([*words[:2], *words[3:]]))
    return found


def test_an_error_about_an_error_is_never_sent(pair):
    about = first_packet(pair.network, Flow(pair.a, pair.ip_b, 8080, "UDP"))
    error = Packet(
        src=ip_address(pair.ip_a),
        dst=ip_address(pair.ip_b),
        protocol="ICMP",
        ttl=1,
        icmp=Icmp("port-unreachable", about),
    )
    assert walk(pair.network, pair.a, error, FirstDice()).answer is None
