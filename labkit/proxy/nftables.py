"""kube-proxy's newer way: one look-up in a map finds the Service, one number the endpoint.

All that it needs is in a table of its own, `kube-proxy`, once a family; what other software
filters is left alone. This is the layout of Kubernetes 1.37.
*The lab simplifies*: the order of chains in the table is that of their first use.

Source: Kubernetes `pkg/proxy/nftables/proxier.go` and its README; KEP-3866.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Chain, Comment, CtState, Jump, Lookup, Rule, VerdictMap
from labkit.kernel.netns import Part
from labkit.proxy.base import FAMILIES, MASQUERADE_MARK, Family, NodeView
from labkit.proxy.health import health_sockets
from labkit.proxy.nftables_rules import MARK, Writer, Writing
from labkit.proxy.services import ServicePort, usable_endpoints
from labkit.proxy.tables import BASES, iptables_table

replace = msgspec.structs.replace
NEW = CtState(("NEW",))
SERVICE: tuple[nf.Field, ...] = ("daddr", "l4proto", "dport")
NODE_PORT: tuple[nf.Field, ...] = ("l4proto", "dport")
HAIRPIN: tuple[nf.Field, ...] = ("saddr", "daddr", "l4proto", "dport")
HOOKS: Mapping[str, tuple[nf.Hook, int, tuple[Rule, ...]]] = {
    # base chain: (hook, priority, what it jumps to)
    "filter-prerouting-pre-dnat": ("PREROUTING", -110, (Rule((NEW,), Jump("firewall-check")),)),
    "filter-output-pre-dnat": ("OUTPUT", -110, (Rule((NEW,), Jump("firewall-check")),)),
    "filter-input": (
        "INPUT",
        0,
        (
            Rule((NEW,), Jump("nodeport-endpoints-check")),
            Rule((NEW,), Jump("service-endpoints-check")),
        ),
    ),
    "filter-forward": (
        "FORWARD",
        0,
        (Rule((NEW,), Jump("service-endpoints-check")), Rule((NEW,), Jump("cluster-ips-check"))),
    ),
    "filter-output": (
        "OUTPUT",
        0,
        (Rule((NEW,), Jump("service-endpoints-check")), Rule((NEW,), Jump("cluster-ips-check"))),
    ),
    "nat-prerouting": ("PREROUTING", -100, (Rule((), Jump("services")),)),
    "nat-output": ("OUTPUT", -100, (Rule((), Jump("services")),)),
    "nat-postrouting": ("POSTROUTING", 100, (Rule((), Jump("masquerading")),)),
}
MASQUERADING = (
    Rule(
        (nf.Mark(0, MASQUERADE_MARK, negate=True),),
        nf.Marking(nf.SetMark(MASQUERADE_MARK, 0), nf.Masquerade(random_fully=True)),
    ),
    # A pod that was sent to itself must see another address than its own as the source.
    Rule(
        (CtState(("DNAT",)), Lookup(HAIRPIN, "hairpin-connections")),
        nf.Masquerade(random_fully=True),
    ),
)


class Nftables(msgspec.Struct, frozen=True):
    """kube-proxy --proxy-mode=nftables"""

    name: str = "nftables"

    def program(self, services: tuple[ServicePort, ...], node: NodeView) -> Part:
        tables = []
        for family, version in FAMILIES:
            if family in node.families:
                # The kubelet keeps its iptables chains in every mode.
                tables += [iptables_table(name, family) for name in BASES]
                mine = tuple(s for s in services if s.cluster_ip.version == version)
                tables.append(nft_table(mine, node, family, version))
        return Part(tables=tuple(tables), sockets=health_sockets(services))


def nft_table(
    services: tuple[ServicePort, ...], node: NodeView, family: Family, version: int
) -> nf.Table:
    """`table ip kube-proxy`, or ip6, on one node."""
    own = Writing()
    writer = Writer(node=node.name, pods=node.from_pod(version), node_ip=node.address(version))
    for service in services:
        writer.write(own, service, usable_endpoints(service, node.name, node.zone))
    chains = [_base(name) for name in HOOKS]
    chains += [Chain(name=name, rules=rules) for name, rules in _fixed(node, version).items()]
    helper = "helper for @no-endpoint-services / @no-endpoint-nodeports"
    chains.append(Chain(name="reject-chain", rules=(Rule((), nf.Reject()),), comment=helper))
    chains += [Chain(name=name, rules=tuple(rules)) for name, rules in own.chains.items()]
    return nf.Table(
        name="kube-proxy",
        family=family,
        tool="nft",
        comment="rules for kube-proxy",
        sets=_sets(own, node, version),
        chains={chain.name: chain for chain in chains},
    )


def _base(name: str) -> Chain:
    hook, priority, rules = HOOKS[name]
    return Chain(name=name, hook=hook, priority=priority, policy="ACCEPT", rules=rules)


def _fixed(node: NodeView, version: int) -> dict[str, tuple[Rule, ...]]:
    """The chains between the hooks and the maps."""
    on_node = Lookup(("daddr",), "nodeport-ips")
    return {
        "firewall-check": (Rule((), VerdictMap(SERVICE, "firewall-ips")),),
        "nodeport-endpoints-check": (
            Rule((on_node,), VerdictMap(NODE_PORT, "no-endpoint-nodeports")),
        ),
        "service-endpoints-check": (Rule((), VerdictMap(SERVICE, "no-endpoint-services")),),
        "cluster-ips-check": tuple(_cluster_ips_check(node, version)),
        "services": (
            *_masquerade_inside(node, version),
            Rule((), VerdictMap(SERVICE, "service-ips")),
            Rule((on_node,), VerdictMap(NODE_PORT, "service-nodeports")),
        ),
        "masquerading": MASQUERADING,
    }


def _cluster_ips_check(node: NodeView, version: int) -> Iterable[Rule]:
    """What is still addressed to a ClusterIP after DNAT found no Service there."""
    note = Comment("Reject traffic to invalid ports of ClusterIPs")
    yield Rule((Lookup(("daddr",), "cluster-ips"), note), nf.Reject())
    ranges = tuple(cidr for cidr in node.service_cidrs if cidr.version == version)
    if ranges:
        note = Comment("Drop traffic to unallocated ClusterIPs")
        yield Rule((nf.OneOf("daddr", ranges), note), nf.Verdict("DROP"))


def _masquerade_inside(node: NodeView, version: int) -> Iterable[Rule]:
    """A client of a ClusterIP that is no pod must be answered by way of this node."""
    to = Lookup(("daddr",), "cluster-ips")
    pods = node.from_pod(version)
    if node.masquerade_all:
        yield Rule((to, Comment("masquerade all clusterIP traffic")), MARK)
    elif pods is not None:
        note = Comment("masquerade clusterIP traffic from outside cluster")
        yield Rule((to, replace(pods, negate=True), note), MARK)


def _sets(own: Writing, node: NodeView, version: int) -> dict[str, nf.NftSet]:
    address = f"ipv{version}_addr"
    service = (address, "inet_proto", "inet_service")
    primary = node.address(version)
    found = (
        _set("hairpin-connections", (address, *service), own, "service hairpin connections"),
        _set("cluster-ips", (address,), own, "Active ClusterIPs"),
        nf.NftSet(
            name="nodeport-ips",
            kinds=(address,),
            elements={(primary,): nf.Element()} if primary else {},
            comment="IPs that accept NodePort traffic",
        ),
        _map(
            "no-endpoint-services",
            service,
            own,
            "vmap to drop or reject packets to services with no endpoints",
        ),
        _map(
            "no-endpoint-nodeports",
            service[1:],
            own,
            "vmap to drop or reject packets to service nodeports with no endpoints",
        ),
        _map(
            "firewall-ips",
            service,
            own,
            "destinations that are subject to LoadBalancerSourceRanges",
        ),
        _map("service-ips", service, own, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
        _map("service-nodeports", service[1:], own, "NodePort traffic"),
    )
    clients = (
        nf.NftSet(name=name, kinds=(address,), timeout=seconds)
        for name, seconds in own.clients.items()
    )
    return {each.name: each for each in (*found, *clients)}


def _set(name: str, kinds: tuple[str, ...], own: Writing, comment: str) -> nf.NftSet:
    return nf.NftSet(name=name, kinds=kinds, elements=own.elements.get(name, {}), comment=comment)


def _map(name: str, kinds: tuple[str, ...], own: Writing, comment: str) -> nf.NftSet:
    return replace(_set(name, kinds, own, comment), verdicts=True)
