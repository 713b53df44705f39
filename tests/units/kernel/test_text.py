"""Rows and print-outs in the tools' own form; tests/kernel compares them with the real tools."""

from __future__ import annotations

import shlex
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from labkit.kernel import netfilter as nf
from labkit.kernel.links import Link
from labkit.kernel.netns import Socket
from labkit.kernel.routes import NextHop, Route
from labkit.kernel.rows import listening_row, route_row
from labkit.kernel.rules_text import rule_text
from labkit.kernel.text import bridge_fdb, ip_addr, ip_link, ip_neigh, ip_route, iptables_save
from tests.units.kernel.networks import Plan, machine, rule, tables

# Rows as iptables-save 1.8.9 printed them after loading.
RULES = [
    "-A A -d 10.96.0.1/32 -p tcp -m comment --comment oneword -m tcp --dport 443 -j B",
    '-A A -d 10.96.0.1/32 -p tcp -m comment --comment "ns/svc:http" -m tcp --dport 443 -j B',
    '-A A -p tcp -m comment --comment "a b" -m tcp --sport 1 ! --dport 443:445 -j B',
    "-A A -m statistic --mode random --probability 0.33333333349 -j B",
    "-A A -m statistic --mode random --probability 0.14285714272 -j B",
    "-A A -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A A -m mark --mark 0x4000 -j MARK --set-xmark 0x4000/0x4000",
    "-A A -j MARK --set-xmark 0x4000/0x0",
    "-A A -m addrtype --dst-type LOCAL -g B",
    "-A A -m addrtype ! --src-type LOCAL -g B",
    "-A A ! -i cni0 ! -o eth+ -p udp -j B",
    "-A A -p tcp -m tcp -j DNAT --to-destination 10.244.2.5:8080",
    "-A A -p tcp -j DNAT --to-destination 10.244.2.5",
    "-A A -j MASQUERADE --random-fully",
    "-A A -j MASQUERADE",
    "-A A -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j SNAT --to-source 1.2.3.4",
    "-A A -m conntrack ! --ctstate INVALID -j REJECT --reject-with icmp-admin-prohibited",
    "-A A -j REJECT --reject-with icmp-port-unreachable",
    '-A A -m comment --comment "b!a" -j ACCEPT',
    '-A A -m comment --comment "" -j ACCEPT',
    "-A A -m set ! --match-set cali40s:x src,dst -j DROP",
    "-A A -p tcp",
]


@pytest.mark.parametrize("row", RULES)
def test_a_rule_prints_as_iptables_saves_it(row):
    assert rule_text(rule(shlex.split(row)[2:]), "A") == row


def test_quotes_and_backslashes_in_a_comment_are_escaped():
    text = rule_text(nf.Rule((nf.Comment("q\"uo'te \\ b"),), nf.Verdict("ACCEPT")), "A")
    assert text == r"""-A A -m comment --comment "q\"uo\'te \\ b" -j ACCEPT"""


def test_affinity_prints_the_options_that_the_kernel_adds():
    matches = (nf.Recent("SEP", "rcheck", 10800),)
    assert rule_text(nf.Rule(matches, nf.Jump("SEP")), "A") == (
        "-A A -m recent --rcheck --seconds 10800 --reap --name SEP"
        " --mask 255.255.255.255 --rsource -j SEP"
    )


SAVED = """*mangle
:PREROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:A - [0:0]
:B - [0:0]
-A FORWARD -j B
-A A -j RETURN
-A B -j A
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
"""


def test_tables_chains_and_rules_stand_in_the_kernels_order():
    shuffled = """*nat\n:POSTROUTING ACCEPT\n:PREROUTING ACCEPT\nCOMMIT
        *filter\n:B -\n:A -\n:FORWARD DROP\n:INPUT ACCEPT
        -A B -j A\n-A A -j RETURN\n-A FORWARD -j B\nCOMMIT
        *mangle\n:PREROUTING ACCEPT\nCOMMIT"""
    netns = machine("x", [], rules=shuffled)
    assert iptables_save(netns) == SAVED
    assert iptables_save(netns, "mangle") == "*mangle\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"
    assert iptables_save(machine("x", [])) == ""


def test_what_is_printed_can_be_read_again():
    assert iptables_save(machine("x", [], rules=SAVED)) == SAVED
    assert tables(SAVED) == tables(iptables_save(machine("x", [], rules=SAVED)))


def to(prefix: str, **more) -> Route:
    return Route(prefix=ip_network(prefix), **more)


A = ip_address("192.168.7.12")
ROUTES = {
    "default via 192.168.7.12 dev eth0": to("0.0.0.0/0", via=A, dev="eth0"),
    "10.6.0.1 dev cni0 scope link src 10.244.1.1 mtu 1400": to(
        "10.6.0.1/32", dev="cni0", scope="link", src=ip_address("10.244.1.1"), mtu=1400
    ),
    "unreachable 10.8.0.0/26": to("10.8.0.0/26", kind="unreachable"),
    "blackhole 10.9.0.0/26 proto bird metric 4": to(
        "10.9.0.0/26", kind="blackhole", proto="bird", metric=4
    ),
    "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink": to(
        "10.244.2.0/24", via=ip_address("10.244.2.0"), dev="flannel.1", onlink=True
    ),
    "10.7.0.0/26 proto bird nexthop via 192.168.7.12 dev eth0 weight 1"
    " nexthop via 192.168.7.12 dev eth1 weight 2": to(
        "10.7.0.0/26", proto="bird", nexthops=(NextHop(A, "eth0"), NextHop(A, "eth1", 2))
    ),
}


@pytest.mark.parametrize(("row", "route"), ROUTES.items(), ids=ROUTES)
def test_a_route_prints_as_ip_route_does(row, route):
    assert route_row(route) == row


def test_ways_of_a_multipath_route_have_lines_of_their_own():
    netns = machine("x", [], [list(ROUTES.values())[-1], to("10.0.0.0/8", dev="eth0")])
    assert ip_route(netns) == (
        "10.0.0.0/8 dev eth0\n"
        "10.7.0.0/26 proto bird\n"
        "\tnexthop via 192.168.7.12 dev eth0 weight 1\n"
        "\tnexthop via 192.168.7.12 dev eth1 weight 2\n"
    )


PLAN = Plan({"node-1": ["a"], "node-2": ["c"]})
NETWORK = PLAN.network()
NODE = NETWORK.namespaces["node/node-1"]


def test_ip_addr_of_a_node():
    assert ip_addr(NODE, NETWORK).splitlines()[6:18] == [
        "2: eth0@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP"
        " group default qlen 1000",
        "    link/ether 0a:58:c0:a8:07:0b brd ff:ff:ff:ff:ff:ff link-netnsid 0",
        "    inet 192.168.7.11/24 brd 192.168.7.255 scope global eth0",
        "       valid_lft forever preferred_lft forever",
        "3: flannel.1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UNKNOWN"
        " group default qlen 1000",
        "    link/ether 0a:58:0a:f4:01:00 brd ff:ff:ff:ff:ff:ff",
        "    inet 10.244.1.0/32 scope global flannel.1",
        "       valid_lft forever preferred_lft forever",
        "4: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP"
        " group default qlen 1000",
        "    link/ether 0a:58:0a:f4:01:01 brd ff:ff:ff:ff:ff:ff",
        "    inet 10.244.1.1/24 brd 10.244.1.255 scope global cni0",
        "       valid_lft forever preferred_lft forever",
    ]


def test_ip_link_tells_ports_and_what_is_down():
    links = [
        Link(name="br", kind="bridge", mac="02:00:00:00:00:01"),
        Link(name="p", kind="veth", mac="02:00:00:00:00:02", master="br", up=False),
        Link(name="d", kind="dummy", addresses=(ip_interface("10.0.0.1/32"),)),
    ]
    assert ip_link(machine("x", links)).splitlines()[::2] == [
        "1: br: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN"
        " mode DEFAULT group default qlen 1000",
        "2: p: <BROADCAST,MULTICAST> mtu 1500 qdisc noop master br state DOWN"
        " mode DEFAULT group default qlen 1000",
        "3: d: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc noqueue state UNKNOWN"
        " mode DEFAULT group default qlen 1000",
    ]


def test_neighbours_and_forwarding_rows_of_a_node():
    assert ip_neigh(NODE) == "10.244.2.0 dev flannel.1 lladdr 0a:58:0a:f4:02:00 PERMANENT\n"
    assert bridge_fdb(NODE, "flannel.1") == ("0a:58:0a:f4:02:00 dst 192.168.7.12 self permanent\n")
    assert bridge_fdb(NODE, "v-a", NETWORK) == (
        "0a:58:0a:f4:01:02 master cni0\n02:00:00:00:02:00 master cni0 permanent\n"
    )


LISTENERS = {
    # of iproute2's ss: a socket of one family knows nobody of the other
    "every address": (
        Socket("TCP", 8080),
        "LISTEN 0      4096               *:8080               *:*",
    ),
    "one of IPv4": (
        Socket("TCP", 8080, ip_address("127.0.0.1")),
        "LISTEN 0      4096       127.0.0.1:8080         0.0.0.0:*",
    ),
    "one of IPv6": (
        Socket("TCP", 8080, ip_address("::1")),
        "LISTEN 0      4096           [::1]:8080            [::]:*",
    ),
}


@pytest.mark.parametrize(("socket", "row"), LISTENERS.values(), ids=LISTENERS)
def test_a_listener_names_whom_it_hears(socket, row):
    assert listening_row(socket) == row
