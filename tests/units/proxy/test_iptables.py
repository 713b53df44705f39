"""Rules as iptables-save prints them, for Services that differ in one thing."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from labkit.api.state import ClusterConfig
from labkit.errors import NotFound
from labkit.kernel.netns import merge
from labkit.kernel.text import iptables_save
from labkit.proxy import mode_of
from labkit.proxy.base import NodeView
from labkit.proxy.iptables import LARGE_CLUSTER, Iptables
from labkit.proxy.iptables_rules import suffix
from labkit.proxy.services import Endpoint, ServicePort


def port(name="ns1/svc1:p80", *addresses, protocol="TCP", **how):
    endpoints = tuple(Endpoint(ip_address(a), 80, "a") for a in addresses)
    how.setdefault("cluster_ip", ip_address("172.30.0.41"))
    return ServicePort(name=name, protocol=protocol, port=80, endpoints=endpoints, **how)


def saved(*services, **how):
    """The lines of iptables-save on node a."""
    how.setdefault("pod_cidrs", (ip_network("10.0.0.0/8"),))
    node = NodeView(name="a", addresses=(ip_address("192.168.7.11"),), **how)
    part = Iptables().program(services, node)
    netns = merge("node/a", "a", [part])
    return iptables_save(netns, family=node.families[0]).splitlines()


SUFFIXES = {
    # name: (protocol, endpoint, suffix); the last four stand in every kubeadm cluster
    "ns1/svc1:p80": ("TCP", None, "XPGD46QRK7WJZT7O"),
    "ns1/svc1:p80 to a pod": ("TCP", "10.180.0.1", "SXIVWICOYRO3J4NJ"),
    "default/kubernetes:https": ("TCP", None, "NPX46M4PTMTKRN6Y"),
    "kube-system/kube-dns:dns": ("UDP", None, "TCOU7JCQXEZGVUNU"),
    "kube-system/kube-dns:dns-tcp": ("TCP", None, "ERIFXISQEP7F7OF4"),
    "kube-system/kube-dns:metrics": ("TCP", None, "JD5MR3NA4I4DYORP"),
}


@pytest.mark.parametrize("what", SUFFIXES)
def test_chain_names_are_those_of_a_real_cluster(what):
    protocol, address, expected = SUFFIXES[what]
    endpoint = Endpoint(ip_address(address), 80) if address else None
    assert suffix(port(what.split()[0], protocol=protocol), endpoint) == expected


SVC, EXT, FW = (f"KUBE-{k}-XPGD46QRK7WJZT7O" for k in ("SVC", "EXT", "FW"))
SVL, SEP = "KUBE-SVL-XPGD46QRK7WJZT7O", "KUBE-SEP-SXIVWICOYRO3J4NJ"
SAYS = '-m comment --comment "'
NOTE = f"{SAYS}ns1/svc1:p80"
ONE = "10.180.0.1"
LB = {"load_balancer_ips": (ip_address("5.6.7.8"),)}
LOCAL = {"external_policy": "Local", "node_port": 30080}
RULES = {
    # what it shows: (port, node's options, lines that are there)
    "a ClusterIP is caught": (
        port("ns1/svc1:p80", ONE),
        {},
        [
            f'-A KUBE-SERVICES -d 172.30.0.41/32 -p tcp {NOTE} cluster IP"'
            f" -m tcp --dport 80 -j {SVC}"
        ],
    ),
    "who is no pod is masqueraded": (
        port("ns1/svc1:p80", ONE),
        {},
        [
            f"-A {SVC} ! -s 10.0.0.0/8 -d 172.30.0.41/32 -p tcp {NOTE} cluster IP"
            '" -m tcp --dport 80 -j KUBE-MARK-MASQ'
        ],
    ),
    "masqueradeAll asks for no source": (
        port("ns1/svc1:p80", ONE),
        {"masquerade_all": True},
        [
            f"-A {SVC} -d 172.30.0.41/32 -p tcp {NOTE} cluster IP"
            '" -m tcp --dport 80 -j KUBE-MARK-MASQ'
        ],
    ),
    "an endpoint's chain marks its own packets and rewrites": (
        port("ns1/svc1:p80", ONE),
        {},
        [
            f'-A {SEP} -s 10.180.0.1/32 {NOTE}" -j KUBE-MARK-MASQ',
            f'-A {SEP} -p tcp {NOTE}" -m tcp -j DNAT --to-destination 10.180.0.1:80',
        ],
    ),
    "no endpoint is refused": (
        port("ns1/svc1:p80"),
        {},
        [
            f'-A KUBE-SERVICES -d 172.30.0.41/32 -p tcp {NOTE} has no endpoints"'
            " -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable"
        ],
    ),
    "no endpoint on this node is silence": (
        port("ns1/svc1:p80", ONE, internal_policy="Local"),
        {"name": "b"},
        [
            f'-A KUBE-SERVICES -d 172.30.0.41/32 -p tcp {NOTE} has no local endpoints"'
            " -m tcp --dport 80 -j DROP"
        ],
    ),
    "a node port is masqueraded under Cluster": (
        port("ns1/svc1:p80", ONE, node_port=30080),
        {},
        [
            f'-A {EXT} {SAYS}masquerade traffic for ns1/svc1:p80 external destinations"'
            " -j KUBE-MARK-MASQ",
            f"-A {EXT} -j {SVC}",
            f'-A KUBE-NODEPORTS -p tcp {NOTE}" -m tcp --dport 30080 -j {EXT}',
        ],
    ),
    "under Local pods and the node itself go to all endpoints": (
        port("ns1/svc1:p80", ONE, **LOCAL),
        {},
        [f"-A {EXT} -j {SVL}"],
    ),
    "a balancer's address with source ranges has a firewall": (
        port("ns1/svc1:p80", ONE, source_ranges=(ip_network("203.0.113.0/25"),), **LB),
        {},
        [
            f'-A KUBE-SERVICES -d 5.6.7.8/32 -p tcp {NOTE} loadbalancer IP"'
            f" -m tcp --dport 80 -j {FW}",
            f'-A {FW} -s 203.0.113.0/25 {NOTE} loadbalancer IP" -j {EXT}',
            f'-A KUBE-PROXY-FIREWALL -d 5.6.7.8/32 -p tcp {NOTE} traffic not accepted by {FW}"'
            " -m tcp --dport 80 -j DROP",
        ],
    ),
    "IPv6 never answers on ::1": (
        port("ns1/svc1:p80", "fd00::1", cluster_ip=ip_address("fd00:96::41")),
        {"families": ("ip6",), "pod_cidrs": ()},
        [
            '-A KUBE-SERVICES ! -d ::1/128 -m comment --comment "kubernetes service nodeports; '
            'NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL '
            "-j KUBE-NODEPORTS"
        ],
    ),
}


@pytest.mark.parametrize(("service", "options", "expected"), RULES.values(), ids=RULES)
def test_rules(service, options, expected):
    options = dict(options)
    name = options.pop("name", "a")
    node = NodeView(
        name=name,
        addresses=(ip_address("192.168.7.11"),),
        **{"pod_cidrs": (ip_network("10.0.0.0/8"),), **options},
    )
    netns = merge("node", "node", [Iptables().program((service,), node)])
    lines = iptables_save(netns, family=node.families[0]).splitlines()
    for line in expected:
        assert line in lines, "\n".join(x for x in lines if x.startswith(line[:20]))


def chances(n):
    lines = saved(port("ns1/svc1:p80", *(f"10.180.0.{i}" for i in range(1, n + 1))))
    rows = [x for x in lines if x.startswith(f"-A {SVC} ") and "->" in x]
    return [row.split("--probability ")[1].split()[0] if "statistic" in row else "" for row in rows]


@pytest.mark.parametrize(
    ("endpoints", "printed"),
    [
        (1, [""]),
        (2, ["0.50000000000", ""]),
        (3, ["0.33333333349", "0.50000000000", ""]),
    ],
)
def test_rule_i_of_n_has_the_chance_one_in_what_is_left(endpoints, printed):
    assert chances(endpoints) == printed


def test_the_jump_to_node_ports_stands_last():
    rows = [x for x in saved(port("z/z", ONE)) if x.startswith("-A KUBE-SERVICES")]
    assert rows[-1].endswith("-j KUBE-NODEPORTS")
    assert len(rows) == 2


def test_a_known_client_is_asked_for_before_the_dice():
    rows = [
        x for x in saved(port("ns1/svc1:p80", ONE, "10.180.0.2", affinity=60)) if f"-A {SVC}" in x
    ]
    kinds = ["recent" if "recent" in row else "dice" for row in rows if "->" in row]
    assert kinds == ["recent", "recent", "dice", "dice"]


def test_localhost_node_ports_need_a_sysctl_and_can_be_switched_off():
    on, off = NodeView(name="a"), NodeView(name="a", localhost_node_ports=False)
    sysctl = "net.ipv4.conf.all.route_localnet"
    assert Iptables().program((), on).sysctls == {sysctl: 1}
    assert sysctl not in Iptables().program((), off).sysctls
    row = next(x for x in saved(localhost_node_ports=False) if "nodeports; NOTE" in x)
    assert "! -d 127.0.0.0/8" in row


def test_very_many_endpoints_lose_their_comments():
    many = [f"10.180.{i // 250}.{i % 250 + 1}" for i in range(LARGE_CLUSTER + 1)]
    few, lots = saved(port("ns1/svc1:p80", *many[:3])), saved(port("ns1/svc1:p80", *many))
    assert any("->" in line for line in few)
    assert not any("->" in line for line in lots)
    assert any("cluster IP" in line for line in lots)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("iptable", "did you mean `iptables`?"),
        ("userspace", "choose one of iptables"),
    ],
)
def test_an_unknown_mode_is_refused_with_the_choices(word, hint):
    with pytest.raises(NotFound, match="proxy_mode") as caught:
        mode_of(ClusterConfig(proxy_mode=word))
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"masqueradAll": "true"}, "did you mean `masqueradeAll`?"),
        ({"colour": "red"}, "choose one of detectLocalMode, localhostNodePorts"),
        ({"masqueradeAll": "yes"}, "no `yes`; choose one of true, false"),
    ],
)
def test_an_unknown_option_is_refused_with_the_choices(options, hint):
    with pytest.raises(NotFound, match="proxy_options") as caught:
        mode_of(ClusterConfig(proxy_options=options))
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)
