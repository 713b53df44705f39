"""Packets through small networks: which way, what changes, how it ends."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from msgspec.structs import replace

from labkit.kernel.dice import FirstDice
from labkit.kernel.netns import Network
from labkit.kernel.packet import Icmp
from labkit.kernel.routes import Route
from labkit.kernel.walk import source_address, walk
from tests.units.kernel.networks import Plan, packet

RULES = """
*filter
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -d 10.96.0.13/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j REJECT
-A OUTPUT -d 10.96.0.13/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j REJECT
-A FORWARD -d 10.96.0.14/32 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT
:INPUT ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
:SERVICES -
:MARK-MASQ -
-A PREROUTING -j SERVICES
-A OUTPUT -j SERVICES
-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully
-A MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A SERVICES ! -s 10.244.0.0/16 -d 10.96.0.0/16 -j MARK-MASQ
-A SERVICES -s 10.244.1.2/32 -d 10.96.0.12/32 -j MARK-MASQ
-A SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.2.2:8080
-A SERVICES -d 10.96.0.10/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.244.2.2:8080
-A SERVICES -d 10.96.0.11/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.1.3:8080
-A SERVICES -d 10.96.0.12/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.1.2:8080
-A SERVICES -p tcp -m tcp --dport 30080 -m addrtype --dst-type LOCAL -j MARK-MASQ
-A SERVICES -p tcp -m tcp --dport 30080 -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.244.2.2:8080
-A SERVICES -p tcp -m tcp --dport 30081 -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.244.1.2:8080
COMMIT
"""  # noqa: E501 # as iptables-save prints them
NODES = {"node-1": ["a", "b"], "node-2": ["c"]}
A, B, C = "pod/default/a", "pod/default/b", "pod/default/c"
BRIDGE_NF = "net.bridge.bridge-nf-call-iptables"


def network(backend="vxlan", rules=RULES, **more) -> Network:
    return Plan(NODES, backend, {"": rules}, **more).network()


def told(trace):
    """The hops that matter: place, stage, action."""
    return [f"{h.netns.rpartition('/')[2]} {h.stage} {h.action}" for h in trace.hops if not h.quiet]


def sent(net, start, what, conntrack=None, now=0.0):
    return walk(net, start, what, FirstDice(), conntrack or {}, now)


def answered(net, start, what):
    """The request's trace and its answer's."""
    request = sent(net, start, what)
    assert request.answer is not None, told(request)
    return request, sent(net, request.end, request.answer, request.conntrack)


# --- the ways that lessons show ------------------------------------------------------------

WAYS = {
    # what it shows: (backend, destination, hops there, hops back)
    "a Service across nodes through the tunnel": ("vxlan", "10.96.0.10", [
        "a socket send", "node-1 PREROUTING rewrite", "node-1 route route", "node-1 vxlan wrap",
        "node-2 vxlan unwrap", "node-2 route route", "c socket accept",
    ], [
        "c socket send", "node-2 route route", "node-2 vxlan wrap", "node-1 vxlan unwrap",
        "node-1 route route", "node-1 POSTROUTING restore", "a socket accept",
    ]),
    "a Service across nodes by plain routes": ("host-gw", "10.96.0.10", [
        "a socket send", "node-1 PREROUTING rewrite", "node-1 route route", "node-2 route route",
        "c socket accept",
    ], [
        "c socket send", "node-2 route route", "node-1 route route",
        "node-1 POSTROUTING restore", "a socket accept",
    ]),
    "a Service on the same node stays on the bridge": ("vxlan", "10.96.0.11", [
        "a socket send", "node-1 PREROUTING rewrite", "node-1 route route", "b socket accept",
    ], ["b socket send", "node-1 POSTROUTING restore", "a socket accept"]),
    "a pod that meets itself is masqueraded": ("vxlan", "10.96.0.12", [
        "a socket send", "node-1 PREROUTING rewrite", "node-1 route route",
        "node-1 POSTROUTING rewrite", "a socket accept",
    ], [
        "a socket send", "node-1 PREROUTING restore", "node-1 route route",
        "node-1 POSTROUTING restore", "a socket accept",
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("backend", "dst", "there", "back"), WAYS.values(), ids=WAYS)
def test_the_way_to_a_service_and_back(backend, dst, there, back):
    request, reply = answered(network(backend), A, packet("10.244.1.2", dst))
    assert told(request) == there
    assert told(reply) == back
    assert reply.packet.source == f"{dst}:80"


SEEN = {
    # what it shows: (backend, start, from, to, port, address and TTL that the server sees)
    "pod to pod on a node: no NAT, no router": ("vxlan", B, "10.244.1.3", "10.244.1.2", 8080,
                                                "10.244.1.3", 64),
    "pod to pod across nodes: no NAT": ("vxlan", A, "10.244.1.2", "10.244.2.2", 8080,
                                        "10.244.1.2", 62),
    "a Service keeps the client": ("vxlan", A, "10.244.1.2", "10.96.0.10", 80, "10.244.1.2", 62),
    "a pod that meets itself sees the bridge": ("vxlan", A, "10.244.1.2", "10.96.0.12", 80,
                                                "10.244.1.1", 64),
    "a NodePort shows the tunnel's address": ("vxlan", "outside", "203.0.113.9", "192.168.7.11",
                                              30080, "10.244.1.0", 61),
    "with host-gw the node's": ("host-gw", "outside", "203.0.113.9", "192.168.7.11", 30080,
                                "192.168.7.11", 61),
    "a NodePort without masquerade keeps the client": ("vxlan", "outside", "203.0.113.9",
                                                       "192.168.7.11", 30081, "203.0.113.9", 62),
    "a node's process through a Service": ("vxlan", "node/node-1", "192.168.7.11", "10.96.0.10",
                                           80, "10.244.1.0", 63),
}  # fmt: skip


@pytest.mark.parametrize(("backend", "start", "src", "dst", "port", "seen", "ttl"),
                         SEEN.values(), ids=SEEN)  # fmt: skip
def test_what_the_server_sees(backend, start, src, dst, port, seen, ttl):
    request, reply = answered(network(backend), start, packet(src, dst, port))
    assert request.outcome == reply.outcome == "delivered"
    assert (str(request.packet.src), request.packet.ttl) == (seen, ttl)


# --- ends -----------------------------------------------------------------------------------

ENDS = {
    # what it shows: (network, start, packet, outcome, where, last row that decided)
    "nobody listens": (network(), A, packet("10.244.1.2", "10.244.2.2", 81), "refused", C,
                       "no socket on 81/TCP"),
    "a rule refuses": (network(), A, packet("10.244.1.2", "10.96.0.13"), "refused", "node/node-1",
                       "-A FORWARD -d 10.96.0.13/32 -p tcp -m tcp --dport 80 -m conntrack"
                       " --ctstate NEW -j REJECT --reject-with icmp-port-unreachable"),
    "a rule drops": (network(), A, packet("10.244.1.2", "10.96.0.14"), "dropped", "node/node-1",
                     "-A FORWARD -d 10.96.0.14/32 -j DROP"),
    "a chain's policy drops": (
        network(rules="*filter\n:FORWARD DROP\nCOMMIT"), A, packet("10.244.1.2", "10.244.2.2"),
        "dropped", "node/node-1", ":FORWARD DROP"),
    "a machine that does not forward": (
        network(sysctls={"net.ipv4.ip_forward": 0}), A, packet("10.244.1.2", "10.244.2.2", 8080),
        "dropped", "node/node-1", "net.ipv4.ip_forward = 0"),
    "hairpin mode is off": (
        network(hairpin=False), A, packet("10.244.1.2", "10.96.0.12"), "dropped", "node/node-1",
        "v-a: mtu 1450 master cni0 state UP"),
    "nobody has the address": (
        network("host-gw"), A, packet("10.244.1.2", "10.244.2.77"), "unreachable", "node/node-2",
        "10.244.2.77 dev cni0 FAILED"),
    "the router has no route": (
        network(), "node/node-1", packet("192.168.7.11", "9.9.9.9"), "unreachable", "router",
        "(no row: no route matches 9.9.9.9)"),
    "the sender itself has no route": (
        network(), "router", packet("192.168.7.1", "9.9.9.9"), "unreachable", "router",
        "(no row: no route matches 9.9.9.9)"),
    "the time to live runs out": (
        network(), A, packet("10.244.1.2", "10.244.2.2", ttl=1), "ttl-exceeded", "node/node-1",
        "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"),
    "too large for the own device": (
        network(), A, packet("10.244.1.2", "10.244.2.2", size=1451), "too-big", A,
        "10.244.0.0/16 via 10.244.1.1 dev eth0"),
    "too large for the tunnel": (
        network(pod_mtu=1500), A, packet("10.244.1.2", "10.244.2.2", size=1451), "too-big",
        "node/node-1", "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"),
    "somebody else's packet with our address": (
        network(rules="*nat\n:PREROUTING ACCEPT\n-A PREROUTING -d 10.96.0.12/32 -j DNAT"
                " --to-destination 10.244.1.2\nCOMMIT"),
        A, packet("10.244.1.2", "10.96.0.12", 8080), "dropped", A, "martian source 10.244.1.2"),
    "127.0.0.1 does not leave the machine": (
        network(), "node/node-1", packet("127.0.0.1", "127.0.0.1", 30080), "dropped",
        "node/node-1", "martian source 127.0.0.1"),
}  # fmt: skip


@pytest.mark.parametrize(("net", "start", "what", "outcome", "where", "why"),
                         ENDS.values(), ids=ENDS)  # fmt: skip
def test_ends(net, start, what, outcome, where, why):
    trace = sent(net, start, what)
    assert (trace.outcome, trace.end, trace.hops[-1].why) == (outcome, where, why)


def test_127_0_0_1_leaves_the_machine_with_route_localnet():
    net = network(sysctls={"net.ipv4.conf.all.route_localnet": 1})
    request, reply = answered(net, "node/node-1", packet("127.0.0.1", "127.0.0.1", 30080))
    assert (str(request.packet.src), reply.outcome) == ("10.244.1.0", "delivered")


def test_without_br_netfilter_the_answer_of_a_neighbour_is_a_strangers():
    net = network(sysctls={BRIDGE_NF: 0})
    request, reply = answered(net, A, packet("10.244.1.2", "10.96.0.11"))
    assert (request.outcome, request.packet.ttl) == ("delivered", 63)
    assert (reply.outcome, str(reply.packet.src)) == ("dropped", "10.244.1.3")


def test_without_br_netfilter_a_service_across_nodes_works():
    net = network(sysctls={BRIDGE_NF: 0})
    assert answered(net, A, packet("10.244.1.2", "10.96.0.10"))[1].outcome == "delivered"


def test_packets_without_dont_fragment_pass_a_narrow_device():
    what = packet("10.244.1.2", "10.244.2.2", 8080, "UDP", size=4000, dont_fragment=False)
    assert sent(network(pod_mtu=9000, tunnel_mtu=1450), A, what).outcome == "delivered"


# --- errors find home, or do not -------------------------------------------------------------


def test_an_error_about_a_rewritten_packet_is_rewritten_back():
    net = network()
    request, reply = answered(net, A, packet("10.244.1.2", "10.96.0.10", ttl=2))
    assert (request.outcome, request.end) == ("ttl-exceeded", "node/node-2")
    assert reply.outcome == "delivered"
    about = reply.packet.icmp.about
    assert (about.source, about.destination) == ("10.244.1.2:41000", "10.96.0.10:80")
    # It even comes from the Service's address, as traceroute through a DNAT shows.
    assert str(reply.packet.src) == "10.96.0.10"


def test_fragmentation_needed_tells_the_size_that_fits():
    request, reply = answered(
        network(pod_mtu=1500), A, packet("10.244.1.2", "10.244.2.2", 8080, size=1451)
    )
    assert (request.answer.icmp.kind, request.answer.icmp.mtu) == ("fragmentation-needed", 1450)
    assert reply.outcome == "delivered"


def test_a_dropped_error_leaves_a_black_hole():
    rules = "*filter\n:OUTPUT ACCEPT\n-A OUTPUT -p icmp -j DROP\nCOMMIT"
    what = packet("10.244.1.2", "10.244.2.2", 8080, size=1451)
    _, reply = answered(network(pod_mtu=1500, rules=rules), A, what)
    assert (reply.outcome, reply.end) == ("dropped", "node/node-1")


def test_an_error_about_an_error_is_not_sent():
    quoted = packet("10.244.2.2", "10.244.1.2", 80)
    what = packet("10.244.1.2", "10.244.2.2", protocol="ICMP", ttl=1,
                  icmp=Icmp("port-unreachable", quoted))  # fmt: skip
    assert sent(network(), A, what).answer is None


def test_an_answer_that_nobody_waits_for_is_dropped():
    stray = packet("10.244.2.2", "10.244.1.2", 41000, sport=8080, flags="SYN,ACK")
    assert sent(network(), C, stray).outcome == "dropped"


# --- ping ---------------------------------------------------------------------------------------


def test_ping():
    net = network()
    request, reply = answered(net, A, packet("10.244.1.2", "10.244.2.2", protocol="ICMP", sport=7))
    assert (request.end, reply.outcome) == (C, "delivered")
    silent = sent(net, A, packet("10.244.1.2", "10.96.0.10", protocol="ICMP", sport=7))
    assert (silent.outcome, silent.end) == ("unreachable", "router")


# --- frames -------------------------------------------------------------------------------------


def test_frames_show_the_tunnel_around_the_packet():
    trace = sent(network(), A, packet("10.244.1.2", "10.96.0.10"))
    seen = [(f.netns, f.device, f.direction, f.packet.destination, f.packet.size)
            for f in trace.frames]  # fmt: skip
    assert seen == [
        (A, "eth0", "out", "10.96.0.10:80", 60),
        ("node/node-1", "v-a", "in", "10.96.0.10:80", 60),
        ("node/node-1", "cni0", "in", "10.244.2.2:8080", 60),
        ("node/node-1", "flannel.1", "out", "10.244.2.2:8080", 60),
        ("node/node-1", "eth0", "out", "192.168.7.12:8472", 110),
        ("switch", "p1", "in", "192.168.7.12:8472", 110),
        ("switch", "br0", "in", "192.168.7.12:8472", 110),
        ("switch", "p2", "out", "192.168.7.12:8472", 110),
        ("node/node-2", "eth0", "in", "192.168.7.12:8472", 110),
        ("node/node-2", "flannel.1", "in", "10.244.2.2:8080", 60),
        ("node/node-2", "cni0", "out", "10.244.2.2:8080", 60),
        ("node/node-2", "v-c", "out", "10.244.2.2:8080", 60),
        (C, "eth0", "in", "10.244.2.2:8080", 60),
    ]


def test_both_ends_of_a_flow_keep_to_one_outer_port_and_flows_differ():
    ports = set()
    for sport in range(41000, 41020):
        trace = sent(network(), A, packet("10.244.1.2", "10.244.2.2", 8080, sport=sport))
        ports |= {f.packet.sport for f in trace.frames if f.packet.inner is not None}
        assert all(32768 <= port <= 60999 for port in ports)
    assert len(ports) > 15


def test_every_sentence_is_short():
    for net, start, what, *_ in ENDS.values():
        for hop in sent(net, start, what).hops:
            assert 3 <= len(hop.says.split()) <= 20, hop.says


# --- routes --------------------------------------------------------------------------------------


def with_routes(*routes: Route) -> Network:
    net = network()
    node = net.namespaces["node/node-1"]
    changed = replace(node, routes=(*node.routes, *routes))
    return Network({**net.namespaces, "node/node-1": changed})


def to(prefix: str, **more) -> Route:
    return Route(prefix=ip_network(prefix), **more)


CHOICES = {
    # what it shows: (routes beside the usual ones, row that decides for 10.9.9.9)
    "the default route, if nothing else": ((), "default via 192.168.7.1 dev eth0"),
    "the longest prefix": (
        (to("10.9.0.0/16", dev="eth0"), to("10.9.9.0/24", dev="cni0")), "10.9.9.0/24 dev cni0"),
    "among equals the lowest metric": (
        (to("10.9.9.0/24", dev="eth0", metric=20), to("10.9.9.0/24", dev="cni0", metric=10)),
        "10.9.9.0/24 dev cni0 metric 10"),
    "a route over a device that is not there is none": (
        (to("10.9.9.0/24", dev="gone"),), "default via 192.168.7.1 dev eth0"),
}  # fmt: skip


@pytest.mark.parametrize(("routes", "row"), CHOICES.values(), ids=CHOICES)
def test_which_route_decides(routes, row):
    trace = sent(with_routes(*routes), "node/node-1", packet("192.168.7.11", "10.9.9.9"))
    assert trace.hops[0].why == row


SOURCES = {
    # what it shows: (destination, source that node-1 picks)
    "its own address to itself": ("192.168.7.11", "192.168.7.11"),
    "the loopback to the loopback": ("127.0.0.1", "127.0.0.1"),
    "the route's src": ("10.244.1.2", "10.244.1.1"),
    "the tunnel device's address": ("10.244.2.2", "10.244.1.0"),
    "the device's address of the gateway's subnet": ("203.0.113.9", "192.168.7.11"),
}


@pytest.mark.parametrize(("dst", "src"), SOURCES.values(), ids=SOURCES)
def test_source_address(dst, src):
    assert str(source_address(network(), "node/node-1", ip_address(dst))) == src
    assert source_address(network(), "router", ip_address("9.9.9.9")) is None
