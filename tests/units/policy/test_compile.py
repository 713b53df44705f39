"""NetworkPolicies as Felix writes them: rows of iptables-save, and sets."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from labkit.api.core import Container, ContainerPort, Namespace, Pod
from labkit.api.meta import Meta
from labkit.api.networking import NetworkPolicy
from labkit.api.objects import decode
from labkit.api.state import State
from labkit.cni.calico import cable_name
from labkit.kernel.netfilter import Ipset
from labkit.kernel.text import iptables_save, nft_list_ruleset
from labkit.policy.compile import enforcement
from labkit.policy.rules import Writer
from labkit.traffic.program import program
from tests.clusters import node, pod, state_of

HASH = re.compile(r' -m comment --comment "cali:[^"]*"')
NAMED = (Container(name="c", ports=(ContainerPort(container_port=8080, name="web"),)),)
OTHERS = (Container(name="c", ports=(ContainerPort(container_port=9090, name="web"),)),)


def cluster(*policies: dict) -> State:
    spaces = (Namespace(metadata=Meta(name=n, labels={"team": n})) for n in ("default", "ops"))
    return state_of(
        node(1, cidr="192.168.1.0/24"),
        node(2, cidr="192.168.2.0/24"),
        *spaces,
        pod("back", "192.168.35.65", containers=NAMED),
        pod("front", "192.168.35.66", containers=OTHERS),
        pod("far", "192.168.120.1", on=2, namespace="ops"),
        pod("host", "192.168.7.12", on=2, namespace="ops", host_network=True),
        pod("done", "192.168.120.9", on=2, namespace="ops", phase="Succeeded"),
        *(decode(p) for p in policies),
        cni="calico",
        pod_cidrs=("192.168.0.0/16",),
    )


def policy(name: str = "p", selects: dict | None = None, **spec) -> dict:
    chosen = {"matchLabels": {"app": "back"} if selects is None else selects}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"podSelector": chosen, **spec},
    }


def saved(state: State, name: str = "node-1") -> list[str]:
    text = iptables_save(program(state).namespaces[f"node/{name}"], "filter")
    return [HASH.sub("", row) for row in text.splitlines()]


def chain(state: State, name: str) -> list[str]:
    return [r.removeprefix(f"-A {name} ") for r in saved(state) if r.startswith(f"-A {name} ")]


def sets(state: State, name: str = "node-1") -> dict[str, Ipset]:
    return dict(program(state).namespaces[f"node/{name}"].ruleset.sets)


NOTE = '-m comment --comment "KubernetesNetworkPolicy default/p ingress"'
OUT = NOTE.replace("ingress", "egress")
MARK, BACK = "-j MARK --set-xmark 0x10000/0x10000", "-m mark --mark 0x10000/0x10000 -j RETURN"
MANY = [{"port": n} for n in range(1, 18)]
RULES = {
    # what a rule says: (direction, the rule, the rows of the policy's chain)
    "anybody, any port": ("ingress", {}, [f"{NOTE} {MARK}"]),
    "a port": (
        "ingress",
        {"ports": [{"port": 80}]},
        [f"-p tcp {NOTE} -m multiport --dports 80 {MARK}"],
    ),
    "ports and a range of one protocol": (
        "ingress",
        {"ports": [{"port": 80}, {"port": 8000, "endPort": 8100}]},
        [f"-p tcp {NOTE} -m multiport --dports 80,8000:8100 {MARK}"],
    ),
    "ports of two protocols": (
        "ingress",
        {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]},
        [
            f"-p tcp {NOTE} -m multiport --dports 53 {MARK}",
            BACK,
            f"-p udp -m multiport --dports 53 {MARK}",
        ],
    ),
    "a whole protocol": (
        "ingress",
        {"ports": [{"port": 80}, {"protocol": "TCP"}]},
        [f"-p tcp {NOTE} {MARK}"],
    ),
    "more ports than one match takes": (
        "ingress",
        {"ports": MANY},
        [
            f"-p tcp {NOTE} -m multiport --dports {','.join(map(str, range(1, 16)))} {MARK}",
            BACK,
            f"-p tcp -m multiport --dports 16,17 {MARK}",
        ],
    ),
    "a block": (
        "egress",
        {"to": [{"ipBlock": {"cidr": "10.9.8.7/8"}}]},
        [f"-d 10.0.0.0/8 {OUT} {MARK}"],
    ),
    "everywhere": ("egress", {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, [f"{OUT} {MARK}"]),
    "a block with holes": (
        "ingress",
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}}]},
        [
            f"{NOTE} -j MARK --set-xmark 0x0/0x80000",
            "-s 10.0.0.0/8 -j MARK --set-xmark 0x80000/0x80000",
            "-s 10.1.0.0/16 -j MARK --set-xmark 0x0/0x80000",
            "-s 10.2.0.0/16 -j MARK --set-xmark 0x0/0x80000",
            f"-m mark --mark 0x80000/0x80000 {MARK}",
        ],
    ),
    "a block of the other family": ("egress", {"to": [{"ipBlock": {"cidr": "fd00::/8"}}]}, []),
}


@pytest.mark.parametrize(("direction", "rule", "rows"), RULES.values(), ids=RULES)
def test_the_chain_of_a_policy(direction, rule, rows):
    state = cluster(policy(**{direction: [rule]}, policyTypes=[direction.capitalize()]))
    lead = {"ingress": ":cali-pi-", "egress": ":cali-po-"}[direction]
    (found,) = (row.split()[0][1:] for row in saved(state) if row.startswith(lead))
    assert chain(state, found) == rows


PEERS = {
    # who is described: (peer, members of its set)
    "pods of the policy's namespace": ({"podSelector": {}}, ("192.168.35.65", "192.168.35.66")),
    "pods with a label": ({"podSelector": {"matchLabels": {"app": "front"}}}, ("192.168.35.66",)),
    "another namespace, no host pods, none that are done": (
        {"namespaceSelector": {"matchLabels": {"team": "ops"}}},
        ("192.168.120.1",),
    ),
    "both selectors": (
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "far"}}},
        ("192.168.120.1",),
    ),
    "nobody": ({"podSelector": {"matchLabels": {"app": "ghost"}}}, ()),
}


@pytest.mark.parametrize(("peer", "members"), PEERS.values(), ids=PEERS)
def test_a_peer_is_a_set_of_addresses(peer, members):
    found = sets(cluster(policy(ingress=[{"from": [peer]}])))
    (chosen,) = (each for name, each in found.items() if name.startswith("cali40s:"))
    assert (chosen.kind, chosen.members) == ("hash:net", members)
    assert len(chosen.name) <= 31


def test_a_ports_name_is_each_pods_own_number():
    found = sets(cluster(policy(ingress=[{"ports": [{"port": "web"}]}])))
    (named,) = (each for name, each in found.items() if name.startswith("cali40n:"))
    assert named.kind == "hash:ip,port"
    assert named.members == ("192.168.35.65,tcp:8080", "192.168.35.66,tcp:9090")


def test_equal_peers_share_a_set():
    peer = {"podSelector": {"matchLabels": {"app": "front"}}}
    rules = [{"from": [peer]}, {"from": [peer], "ports": [{"port": 1}]}]
    found = sets(cluster(policy(ingress=rules)))
    assert len([name for name in found if name.startswith("cali40s:")]) == 1


def test_a_node_holds_the_sets_of_its_own_pods_policies_only():
    state = cluster(policy(ingress=[{"from": [{"podSelector": {}}]}]))
    assert any(name.startswith("cali40s:") for name in sets(state, "node-1"))
    assert not any(name.startswith("cali40s:") for name in sets(state, "node-2"))


TIER = [
    '-m comment --comment "Start of tier default" -j MARK --set-xmark 0x0/0x20000',
    "-m mark --mark 0x0/0x20000 -j POLICY",
    '-m comment --comment "Return if policy accepted" -m mark --mark 0x10000/0x10000 -j RETURN',
    '-m comment --comment "End of tier default. Drop if no policies passed packet"'
    " -m mark --mark 0x0/0x20000 -j DROP",
]
HEAD = [
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-m conntrack --ctstate INVALID -j DROP",
    "-j MARK --set-xmark 0x0/0x30000",
]
TAIL = [
    "-j cali-pri-kns.default",
    '-m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN',
    '-m comment --comment "Drop if no profiles matched" -j DROP',
]


@pytest.mark.parametrize(
    ("app", "middle"), [("back", TIER), ("front", [])], ids=["selected", "not selected"]
)
def test_the_chain_of_a_pod(app, middle):
    state = cluster(policy(ingress=[]))
    target = next(
        row.rpartition(" ")[2] for row in chain(state, "cali-to-wl-dispatch") if device(app) in row
    )
    rows = [re.sub(r"cali-pi-\S+", "POLICY", row) for row in chain(state, target)]
    assert rows == HEAD + middle + TAIL


def device(name: str) -> str:
    return cable_name(pod(name, None))


def test_a_pods_packets_may_not_look_like_a_tunnels():
    rows = chain(cluster(), f"cali-fw-{device('front')}")
    assert any("--dports 4789" in row and row.endswith("-j DROP") for row in rows)


def test_flannel_writes_no_policy():
    state = cluster(policy(ingress=[]))
    bare = State(msgspec.structs.replace(state.config, cni="flannel"), state.objects)
    assert not any("cali" in row for row in saved(bare))


def test_two_families_have_tables_and_sets_of_their_own():
    state = cluster(policy(ingress=[{"from": [{"ipBlock": {"cidr": "fd00::/8"}}]}]))
    six = pod("back", "fd00::1")
    (part,) = enforcement(state, {"node/node-1": [six]}, lambda _: "cali0").values()
    assert [table.family for table in part.tables] == ["ip", "ip6"]
    (only,) = state.list(NetworkPolicy)
    assert Writer(state, "ip6").rules(only, "Ingress")
    assert not Writer(state, "ip").rules(only, "Ingress")


def test_a_pod_on_the_nodes_network_has_no_chains():
    state = cluster(policy(selects={}, ingress=[]))
    host = next(p for p in state.list(Pod) if p.name == "host")
    assert device(host.name) not in "".join(saved(state, "node-2"))


NFT = {
    # what a rule says: (the rule, its row in nft's words, without its comment)
    "ports": (
        {"ports": [{"port": 80}, {"port": 53}]},
        "tcp dport { 53, 80 } meta mark set meta mark | 0x00010000",
    ),
    "neighbours of a range": (
        {"ports": [{"port": 8101}, {"port": 8000, "endPort": 8100}, {"port": 8050}]},
        "tcp dport 8000-8101 meta mark set meta mark | 0x00010000",
    ),
    "a name": (
        {"ports": [{"port": "web"}]},
        "ip daddr . meta l4proto . th dport @cali40n-… meta mark set meta mark | 0x00010000",
    ),
    "pods": (
        {"from": [{"podSelector": {}}]},
        "ip saddr @cali40s-… meta mark set meta mark | 0x00010000",
    ),
}


@pytest.mark.parametrize(("rule", "row"), NFT.values(), ids=NFT)
def test_beside_an_nft_kube_proxy_felix_writes_nft(rule, row):
    state = cluster(policy(ingress=[rule]))
    state = State(msgspec.structs.replace(state.config, proxy_mode="nftables"), state.objects)
    node_1 = program(state).namespaces["node/node-1"]
    assert "cali" not in iptables_save(node_1)
    listed = re.sub(r"(@cali40.-)\S+", r"\1…", nft_list_ruleset(node_1))
    rows = [line.strip().partition(" comment ") for line in listed.splitlines()]
    assert row in [head for head, _, note in rows if "default/p ingress" in note]


GUARD: dict[str, Any] = {
    "apiVersion": "policy.networking.k8s.io/v1alpha2",
    "kind": "ClusterNetworkPolicy",
    "metadata": {"name": "guard"},
    "spec": {
        "tier": "Admin",
        "priority": 1,
        "subject": {"namespaces": {}},
        "ingress": [
            {"name": "web", "action": "Accept", "from": [{"namespaces": {}}]},
            {"action": "Pass", "from": [{"namespaces": {}}]},
            {"action": "Deny", "from": [{"namespaces": {}}]},
        ],
    },
}
PEERS_SET = "-m set --match-set SET src"
SIGNED = '-m comment --comment "KubernetesClusterNetworkPolicy guard ingress"'
WEB = '-m comment --comment "name=web"'
PASS = "-j MARK --set-xmark 0x20000/0x20000"
TIERS_ROWS = [
    f"{WEB} {SIGNED} {PEERS_SET} {MARK}",
    f"{WEB} {BACK}",
    f"{PEERS_SET} {PASS}",
    "-m mark --mark 0x20000/0x20000 -j RETURN",
    f"{PEERS_SET} -j DROP",
]


def test_the_chain_of_a_cluster_policy_is_signed_and_its_rules_are_named():
    rows = chain(cluster(GUARD), "cali-pi-kcnp/guard")
    assert [re.sub(r"cali40s:\S+", "SET", row) for row in rows] == TIERS_ROWS


def test_a_ports_name_in_a_tier_goes_with_any_protocol():
    web = {**GUARD["spec"]["ingress"][0], "protocols": [{"destinationNamedPort": "web"}]}
    state = cluster({**GUARD, "spec": {**GUARD["spec"], "ingress": [web]}})
    first = re.sub(r"cali40(.):\S+", r"\1", chain(state, "cali-pi-kcnp/guard")[0])
    assert first == (f"{WEB} {SIGNED} -m set --match-set s src -m set --match-set n dst,dst {MARK}")
    (named,) = (each for name, each in sets(state).items() if name.startswith("cali40n:"))
    assert named.members == ("192.168.35.65,tcp:8080", "192.168.35.66,tcp:9090")
