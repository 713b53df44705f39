"""Small random clusters under Calico with random policies, for two roads to compare.

Everything is drawn from a `Random` that is given: a seeded one, or one of Hypothesis.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from random import Random
from typing import Any, NamedTuple

from labkit.api.core import Container, ContainerPort, Namespace, Pod
from labkit.api.meta import Meta, Object
from labkit.api.objects import decode
from labkit.api.state import State
from labkit.cni.base import pod_netns
from labkit.policy.ends import End, address_end, pod_end
from labkit.policy.matcher import DEFAULT, Flow
from labkit.traffic.machines import OUTSIDE
from tests.clusters import node, pod, state_of

SPACES = {"x": {"team": "a"}, "y": {"team": "b", "open": "yes"}, "z": {}}
HOME = {1: "192.168.35.", 2: "192.168.120."}
FIRST = {1: 65, 2: 1}
NODES = {1: "192.168.7.11", 2: "192.168.7.12"}
PORTS = (8080, 9090, 53)
LISTENS = "8080/TCP,9090/TCP,8080/UDP,53/UDP"


class Question(NamedTuple):
    """A flow as the matcher is asked, and as a packet is sent: from a namespace to an address."""

    start: str
    address: str
    flow: Flow

    def __str__(self) -> str:
        flow = self.flow
        return f"{self.start} -> {self.address}:{flow.port}/{flow.protocol}"


def cluster(dice: Random, pods: int = 6, policies: int = 4, tiers: int = 0) -> State:
    """Two nodes, some pods (now and then one on its node's network), some policies.

    Args:
        policies: NetworkPolicies at most; `tiers`: ClusterNetworkPolicies at most.
    """
    return state_of(
        *standing(dice, pods),
        *drawn_policies(dice, policies),
        *(drawn_cluster_policies(dice, tiers) if tiers else ()),
        cni="calico",
        pod_cidrs=("192.168.0.0/16",),
        proxy_mode=dice.choice(["iptables", "nftables"]),
    )


def standing(dice: Random, count: int) -> Iterator[Object]:
    yield from (node(number, cidr=f"192.168.{number}.0/24") for number in HOME)
    for name, labels in SPACES.items():
        labels = {**labels, "kubernetes.io/metadata.name": name}
        yield Namespace(metadata=Meta(name=name, labels=labels))
    for number in range(count):
        on = 1 + number % 2
        on_host = number == count - 1 and dice.random() < 0.5
        address = NODES[on] if on_host else f"{HOME[on]}{FIRST[on] + number // 2}"
        yield pod(
            f"pod{number}",
            address,
            on=on,
            namespace=dice.choice(list(SPACES)),
            labels=drawn_labels(dice),
            listens="7070/TCP" if on_host else LISTENS,
            host_network=on_host,
            containers=(Container(name="main", ports=drawn_names(dice)),),
        )


def drawn_labels(dice: Random) -> dict[str, str]:
    labels = {"app": dice.choice("abc")}
    return {**labels, "tier": dice.choice("pq")} if dice.random() < 0.5 else labels


def drawn_names(dice: Random) -> tuple[ContainerPort, ...]:
    """Two pods may give one name to two numbers, and one pod none."""
    web = dice.choice([8080, 9090, None])
    ports = [ContainerPort(container_port=53, name="dns", protocol="UDP")]
    return tuple(ports + ([ContainerPort(container_port=web, name="web")] if web else []))


# --- policies --------------------------------------------------------------------------------


def drawn_policies(dice: Random, most: int) -> list[Object]:
    return [decode(drawn_policy(dice, n)) for n in range(dice.randint(0, most))]


def drawn_policy(dice: Random, number: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"podSelector": drawn_selector(dice)}
    types = dice.choice([None, ["Ingress"], ["Egress"], ["Ingress", "Egress"]])
    if types:
        spec["policyTypes"] = types
    for direction, ends in (("ingress", "from"), ("egress", "to")):
        if dice.random() < 0.7:
            spec[direction] = [drawn_rule(dice, ends) for _ in range(dice.randint(0, 2))]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"policy{number}", "namespace": dice.choice(list(SPACES))},
        "spec": spec,
    }


def drawn_rule(dice: Random, ends: str) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if dice.random() < 0.8:
        rule[ends] = [drawn_peer(dice) for _ in range(dice.randint(0, 2))]
    if dice.random() < 0.7:
        rule["ports"] = [drawn_port(dice) for _ in range(dice.randint(0, 2))]
    return rule


def drawn_selector(dice: Random) -> dict[str, Any]:
    kind = dice.choice(["all", "label", "label", "in", "notin", "exists", "absent"])
    key, values = dice.choice([("app", "abc"), ("tier", "pq")])
    if kind == "all":
        return {}
    if kind == "label":
        return {"matchLabels": {key: dice.choice(values)}}
    operator = {"in": "In", "notin": "NotIn", "exists": "Exists", "absent": "DoesNotExist"}[kind]
    need: dict[str, Any] = {"key": key, "operator": operator}
    if kind in ("in", "notin"):
        need["values"] = dice.sample(values, dice.randint(1, len(values)))
    return {"matchExpressions": [need]}


def drawn_spaces(dice: Random) -> dict[str, Any]:
    choices = ({"team": "a"}, {"team": "b"}, {"kubernetes.io/metadata.name": "z"})
    return dice.choice([{}, *({"matchLabels": labels} for labels in choices)])


BLOCKS = (
    # networks, each with holes to choose from
    ("0.0.0.0/0", ("192.168.35.64/27", "203.0.113.0/24", "192.168.120.1/32", "192.168.7.0/24")),
    ("192.168.0.0/16", ("192.168.35.66/32", "192.168.120.0/30", "192.168.7.12/32")),
    ("192.168.35.66/31", ()),
    ("192.168.7.9/30", ("192.168.7.11/32",)),  # with bits of a host: 192.168.7.8/30
    ("203.0.113.9/32", ()),
    ("2001:db8::/32", ()),
)


def drawn_peer(dice: Random) -> dict[str, Any]:
    kind = dice.choice(["pods", "spaces", "both", "block"])
    if kind == "block":
        cidr, holes = dice.choice(BLOCKS)
        some = dice.sample(holes, dice.randint(0, min(2, len(holes))))
        return {"ipBlock": {"cidr": cidr, **({"except": some} if some else {})}}
    peer: dict[str, Any] = {}
    if kind != "spaces":
        peer["podSelector"] = drawn_selector(dice)
    if kind != "pods":
        peer["namespaceSelector"] = drawn_spaces(dice)
    return peer


def drawn_port(dice: Random) -> dict[str, Any]:
    kind = dice.choice(["protocol", "number", "number", "range", "name"])
    if kind == "name":
        return dice.choice(
            [{"port": "web"}, {"port": "dns", "protocol": "UDP"}, {"port": "dns"}, {"port": "no"}]
        )
    port: dict[str, Any] = {"protocol": dice.choice(["TCP", "TCP", "UDP"])}
    if kind != "protocol":
        port["port"] = dice.choice(PORTS)
    if kind == "range":
        port["endPort"] = port["port"] + dice.choice([0, 900, 1200])
    return port


# --- ClusterNetworkPolicies ------------------------------------------------------------------


def drawn_cluster_policies(dice: Random, most: int) -> list[Object]:
    """Priorities differ: between equal ones the API leaves the order open."""
    count = dice.randint(0, most)
    priorities = dice.sample(range(1001), count)
    return [decode(drawn_cluster_policy(dice, n, p)) for n, p in enumerate(priorities)]


def drawn_cluster_policy(dice: Random, number: int, priority: int) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "tier": dice.choice(["Admin", "Baseline"]),
        "priority": priority,
        "subject": {"namespaces": {}} if dice.random() < 0.4 else drawn_pods(dice),
    }
    for direction, ends in (("ingress", "from"), ("egress", "to")):
        if dice.random() < 0.7:
            spec[direction] = [drawn_tier_rule(dice, ends) for _ in range(dice.randint(1, 3))]
    return {
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": f"tier{number}"},
        "spec": spec,
    }


def drawn_tier_rule(dice: Random, ends: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"action": dice.choice(["Accept", "Deny", "Pass"])}
    rule[ends] = [drawn_tier_peer(dice, ends) for _ in range(dice.randint(1, 2))]
    if dice.random() < 0.6:
        rule["protocols"] = [drawn_protocol(dice) for _ in range(dice.randint(1, 2))]
    return rule


def drawn_pods(dice: Random) -> dict[str, Any]:
    if dice.random() < 0.5:
        return {"namespaces": drawn_spaces(dice)}
    return {"pods": {"namespaceSelector": drawn_spaces(dice), "podSelector": drawn_selector(dice)}}


def drawn_tier_peer(dice: Random, ends: str) -> dict[str, Any]:
    """Now and then a peer of the experimental channel, which Calico does not understand."""
    kind = dice.random()
    if ends == "from" or kind < 0.6:
        return drawn_pods(dice)
    if kind < 0.65:
        return {"nodes": dice.choice([{}, {"matchLabels": {"no": "such"}}])}
    return {"networks": [cidr for cidr, _ in dice.sample(BLOCKS, dice.randint(1, 2))]}


def drawn_protocol(dice: Random) -> dict[str, Any]:
    kind = dice.choice(["number"] * 5 + ["range"] * 4 + ["name"])
    if kind == "name":
        return {"destinationNamedPort": dice.choice(["web", "dns"])}
    first = dice.choice(PORTS)
    port = (
        {"number": first} if kind == "number" else {"range": {"start": first, "end": first + 999}}
    )
    return {dice.choice(["tcp", "tcp", "udp"]): {"destinationPort": port}}


# --- questions -------------------------------------------------------------------------------


def questions(state: State) -> list[Question]:
    """Every pod and node to every pod, every pod to every node and to the outside."""
    pods = [p for p in state.list(Pod) if not p.spec.host_network]
    ends = {pod_netns(p): pod_end(state, p, DEFAULT) for p in pods}
    nodes = {f"node/node-{n}": end_at(state, a) for n, a in NODES.items()}
    outside = end_at(state, str(OUTSIDE))
    found = []
    for start, source in (ends | nodes).items():
        for other in (*ends.values(), *(nodes.values() if source.pod else ())):
            found += list(asked(start, source, other, (("TCP", 8080), ("TCP", 9090), ("UDP", 53))))
        if source.pod:
            found += list(asked(start, source, outside, (("TCP", 80), ("UDP", 53))))
    return found


def end_at(state: State, address: str) -> End:
    return address_end(state, ip_address(address), DEFAULT)


def asked(start: str, source: End, other: End, ports: Any) -> Iterator[Question]:
    for protocol, port in ports:
        flow = Flow(source, other, protocol, port)
        yield Question(start, str(other.addresses[0]), flow)
