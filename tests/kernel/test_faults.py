"""What broken networks do: the model's verdict, the kernel's, and the one that is known."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256
from ipaddress import ip_network

import pytest

from labkit.kernel import netfilter as nf
from labkit.kernel.routes import Route
from labkit.traffic.program import program
from tests.kernel import edits
from tests.kernel.clusters import Cluster, deployment, service
from tests.kernel.edits import first_rule, links, sysctl, together, with_route, without_route
from tests.kernel.model import Flow, expected
from tests.kernel.real import Real

BRIDGE_NF, FORWARD = "net.bridge.bridge-nf-call-iptables", "net.ipv4.ip_forward"
LOCALNET = "net.ipv4.conf.all.route_localnet"
DROP, PASS = nf.Verdict("DROP"), nf.Verdict("ACCEPT")
ICMP = (nf.Proto("icmp"),)


class Town:
    """Two nodes, on each a pod of `near` and of `far` respectively, and their Services."""

    def __init__(self, cni: str) -> None:
        apps = [deployment(name, 2, "8080/TCP,8080/UDP") for name in ("one", "two")]
        services = [
            service("one", "one", 80, 8080, type="NodePort"),
            service("local", "one", 80, 8080, type="NodePort", externalTrafficPolicy="Local"),
            service("empty", "nobody", 80, 8080, type="NodePort"),
        ]
        lab = Cluster.from_manifests([*apps, *services], nodes=2, cni=cni)
        self.network = program(lab.state)
        pods = [p for p in lab.list("pods") if p.name.startswith("one")]
        self.pods = {p.spec.node_name: f"pod/default/{p.name}" for p in pods}
        self.ip = {self.pods[p.spec.node_name]: str(p.addresses[0]) for p in pods}
        others = [p for p in lab.list("pods") if p.name.startswith("two")]
        self.others = {p.spec.node_name: f"pod/default/{p.name}" for p in others}
        self.ip |= {self.others[p.spec.node_name]: str(p.addresses[0]) for p in others}
        self.service = {s.name: str(s.spec.cluster_ip) for s in lab.list("services")}
        self.node_port = {s.name: s.spec.ports[0].node_port for s in lab.list("services")}
        self.chain = "KUBE-SVC-" + b32encode(sha256(b"default/one:atcp").digest())[:16].decode()
        self.a, self.b = self.pods["node-1"], self.pods["node-2"]
        self.near = self.others["node-1"]
        self.block = {name: self.ip[self.pods[name]].rsplit(".", 1)[0] for name in self.pods}


@pytest.fixture(scope="module")
def town():
    return Town("flannel")


def only_endpoint(town: Town, node: str):
    """Service `one` leads to its pod on that node alone."""
    wanted = town.ip[town.pods[node]]
    chains = {
        key: str(rule.target.address)
        for netns in town.network.namespaces.values()
        for table in netns.ruleset.tables
        for key, chain in table.chains.items()
        for rule in chain.rules
        if isinstance(rule.target, nf.Dnat)
    }

    def change(chain, rule):
        target = rule.target
        if chain == town.chain and isinstance(target, nf.Jump) and target.chain in chains:
            return nf.Rule((), target) if chains[target.chain] == wanted else None
        return rule

    return edits.each_rule("node/", change)


def port(node: str) -> str:
    return "192.168.7.1" + node[-1]


def walled(town: Town):
    """A policy as a plugin on a bridge enforces it: nothing may enter the pod on node-1.

    kube-router does so, by the pod's address; Calico's pods hang on no bridge.
    """
    wall = (nf.Destination(ip_network(f"{town.ip[town.a]}/32")),)
    return first_rule("node/node-1", "filter", "FORWARD", nf.Rule(wall, DROP))


# what it shows: (edit of the correct network, question, what a client hears)
CASES = {
    "a pod reaches a pod of its node": (
        lambda t: together(), lambda t: Flow(t.near, t.ip[t.a], 8080), "answered"),
    "without br_netfilter a Service of the same node times out": (
        lambda t: together(only_endpoint(t, "node-1"), sysctl("node/", BRIDGE_NF, 0)),
        lambda t: Flow(t.near, t.service["one"], 80), "timed out"),
    "without br_netfilter a Service across nodes still works": (
        lambda t: together(only_endpoint(t, "node-2"), sysctl("node/", BRIDGE_NF, 0)),
        lambda t: Flow(t.near, t.service["one"], 80), "answered"),
    "a policy on a bridge meets the packets of a neighbour": (
        walled, lambda t: Flow(t.near, t.ip[t.a], 8080), "timed out"),
    "without br_netfilter a neighbour walks past the policy": (
        lambda t: together(walled(t), sysctl("node/", BRIDGE_NF, 0)),
        lambda t: Flow(t.near, t.ip[t.a], 8080), "answered"),
    "without br_netfilter the policy still meets other nodes": (
        lambda t: together(walled(t), sysctl("node/", BRIDGE_NF, 0)),
        lambda t: Flow(t.b, t.ip[t.a], 8080), "timed out"),
    "a pod reaches itself through its Service": (
        lambda t: only_endpoint(t, "node-1"), lambda t: Flow(t.a, t.service["one"], 80),
        "answered"),
    "without hairpin mode a pod does not reach itself": (
        lambda t: together(only_endpoint(t, "node-1"),
                           links("node/", lambda k: k.hairpin, hairpin=False)),
        lambda t: Flow(t.a, t.service["one"], 80), "timed out"),
    "a node that does not forward is silent": (
        lambda t: sysctl("node/node-1", FORWARD, 0), lambda t: Flow(t.a, t.ip[t.b], 8080),
        "timed out"),
    "a missing route ends at the router, which knows no pods and cannot even say so": (
        lambda t: without_route("node/node-1", t.block["node-2"] + ".0/24"),
        lambda t: Flow(t.a, t.ip[t.b], 8080), "timed out"),
    "a missing way back is silence": (
        lambda t: together(without_route("node/node-2", t.block["node-1"] + ".0/24"),
                           with_route("node/node-2", Route(
                               prefix=ip_network(t.block["node-1"] + ".0/24"),
                               kind="blackhole"))),
        lambda t: Flow(t.a, t.ip[t.b], 8080), "timed out"),
    "a blackhole on the way is silence": (
        lambda t: with_route("node/node-1", Route(prefix=ip_network("10.9.9.0/24"),
                                                  kind="blackhole")),
        lambda t: Flow(t.a, "10.9.9.9", 80), "timed out"),
    "an unreachable route on the way answers": (
        lambda t: with_route("node/node-1", Route(prefix=ip_network("10.9.9.0/24"),
                                                  kind="unreachable")),
        lambda t: Flow(t.a, "10.9.9.9", 80), "unreachable"),
    "a process without any route hears so at once": (
        lambda t: together(without_route(t.a, "0.0.0.0/0"), without_route(t.a, "10.244.0.0/16")),
        lambda t: Flow(t.a, t.ip[t.b], 8080), "unreachable"),
    "an address that no pod has is no route to host, after a while": (
        lambda t: together(), lambda t: Flow(t.a, t.block["node-2"] + ".77", 8080),
        "unreachable"),
    "an address of the Service range that nobody has times out": (
        lambda t: together(), lambda t: Flow(t.a, "10.96.7.7", 80), "timed out"),
    "a port that the Service does not have times out": (
        lambda t: together(), lambda t: Flow(t.a, t.service["one"], 81), "timed out"),
    "a Service without endpoints refuses": (
        lambda t: together(), lambda t: Flow(t.a, t.service["empty"], 80), "refused"),
    "a Service without endpoints refuses the node too": (
        lambda t: together(), lambda t: Flow("node/node-1", t.service["empty"], 80), "refused"),
    "its NodePort refuses the world": (
        lambda t: together(),
        lambda t: Flow("outside", port("node-1"), t.node_port["empty"]), "refused"),
    "a refusal that cannot come back is a timeout": (
        lambda t: first_rule("node/", "filter", "OUTPUT", nf.Rule(ICMP, DROP)),
        lambda t: Flow(t.a, t.service["empty"], 80), "timed out"),
    "a port where nobody listens refuses": (
        lambda t: together(), lambda t: Flow(t.a, t.ip[t.b], 4444), "refused"),
    "a UDP port where nobody listens refuses": (
        lambda t: together(), lambda t: Flow(t.a, t.ip[t.b], 4444, "UDP"), "refused"),
    "a NodePort is open to the world": (
        lambda t: together(), lambda t: Flow("outside", port("node-1"), t.node_port["one"]),
        "answered"),
    "a NodePort on 127.0.0.1 works with route_localnet": (
        lambda t: together(), lambda t: Flow("node/node-1", "127.0.0.1", t.node_port["one"]),
        "answered"),
    "a NodePort on 127.0.0.1 is silent without": (
        lambda t: together(sysctl("node/", LOCALNET, 0)),
        lambda t: Flow("node/node-1", "127.0.0.1", t.node_port["one"]), "timed out"),
    "a flushed nat table leaves a Service without a way": (
        lambda t: edits.rules("node/", lambda table, chain, r: () if table == "nat" else r),
        lambda t: Flow(t.a, t.service["one"], 80), "timed out"),
    "a policy of DROP in FORWARD closes the pods": (
        lambda t: first_rule("node/node-2", "filter", "FORWARD", nf.Rule((), DROP)),
        lambda t: Flow(t.a, t.ip[t.b], 8080), "timed out"),
    "a DROP in INPUT closes the tunnel": (
        lambda t: first_rule("node/node-2", "filter", "INPUT", nf.Rule((
            nf.Proto("udp", True), nf.DestinationPort(8472)), DROP)),
        lambda t: Flow(t.a, t.ip[t.b], 8080), "timed out"),
    "a REJECT after the DNAT is heard by the client of the Service": (
        lambda t: together(only_endpoint(t, "node-2"), first_rule(
            "node/node-1", "filter", "FORWARD", nf.Rule((nf.Destination(
                ip_network(t.ip[t.b])),), nf.Reject()))),
        lambda t: Flow(t.a, t.service["one"], 80), "refused"),
    "a node reaches its own pod through the Service": (
        lambda t: only_endpoint(t, "node-1"),
        lambda t: Flow("node/node-1", t.service["one"], 80), "answered"),
    "a pod reaches the world by its node's address": (
        lambda t: together(), lambda t: Flow(t.a, "203.0.113.9", 80), "answered"),
    "without flannel's masquerade no answer comes back": (
        lambda t: edits.rules(
            "node/", lambda table, chain, r: () if chain == "FLANNEL-POSTRTG" else r),
        lambda t: Flow(t.a, "203.0.113.9", 80), "timed out"),
    "a bridge that is down answers no ARP": (
        lambda t: links("node/node-1", lambda k: k.name == "cni0", up=False),
        lambda t: Flow(t.a, t.ip[t.b], 8080), "unreachable"),
    "a neighbour row that nobody answers to is silence": (
        lambda t: links("node/node-2", lambda k: k.kind == "vxlan", mac="0a:58:00:00:00:01"),
        lambda t: Flow(t.a, t.ip[t.b], 8080), "timed out"),
    "a tunnel end that nobody has is silence": (
        lambda t: links("node/node-1", lambda k: k.kind == "vxlan", fdb=()),
        lambda t: Flow(t.a, t.ip[t.b], 8080), "timed out"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "question", "heard"), CASES.values(), ids=CASES)
def test_model_and_kernel_agree_on_what_breaks(town, edit, question, heard):
    network = edit(town)(town.network)
    flow = question(town)
    want = expected(network, flow)
    assert {seen[0] for seen in want} == {heard}
    with Real(network) as real:
        patience = 0.4 if heard == "timed out" else 5
        for _ in range(8 if heard == "answered" else 1):
            seen = real.ask(flow.protocol, flow.start, flow.address, flow.port, patience)
            assert seen in want
