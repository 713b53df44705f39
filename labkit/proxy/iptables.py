"""kube-proxy's default way: chains of rules that netfilter reads from the top.

Each Service port has a chain `KUBE-SVC-…` whose rules throw dice and jump to a chain
`KUBE-SEP-…` for the chosen endpoint. The tables stand here as iptables-save prints them.
*The lab simplifies*: the counters of `nfacct` are left out.

Source: Kubernetes `pkg/proxy/iptables/proxier.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, CtState, Jump, Mark, Rule, SetMark, Verdict
from labkit.kernel.netns import Part
from labkit.kernel.routes import Prefix
from labkit.proxy.base import FAMILIES, MASQUERADE_MARK, Family, NodeView
from labkit.proxy.health import health_sockets
from labkit.proxy.iptables_rules import Rules, Writer
from labkit.proxy.services import ServicePort, usable_endpoints
from labkit.proxy.tables import BASES, LOOPBACK, iptables_table

LARGE_CLUSTER = 1000
"""Endpoints; with more of them kube-proxy leaves the comments of endpoints out."""

NEW = CtState(("NEW",))
BITS = MASQUERADE_MARK
JUMPS: Mapping[str, tuple[tuple[nf.Hook, bool, str, str], ...]] = {
    # (from, only NEW connections, comment, to); kube-proxy puts each in front of the last.
    "filter": (
        ("INPUT", True, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
        ("INPUT", False, "kubernetes health check service ports", "KUBE-NODEPORTS"),
        ("INPUT", True, "kubernetes externally-visible service portals", "KUBE-EXTERNAL-SERVICES"),
        ("FORWARD", True, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
        ("FORWARD", False, "kubernetes forwarding rules", "KUBE-FORWARD"),
        ("FORWARD", True, "kubernetes service portals", "KUBE-SERVICES"),
        (
            "FORWARD",
            True,
            "kubernetes externally-visible service portals",
            "KUBE-EXTERNAL-SERVICES",
        ),
        ("OUTPUT", True, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
        ("OUTPUT", True, "kubernetes service portals", "KUBE-SERVICES"),
    ),
    "nat": (
        ("PREROUTING", False, "kubernetes service portals", "KUBE-SERVICES"),
        ("OUTPUT", False, "kubernetes service portals", "KUBE-SERVICES"),
        ("POSTROUTING", False, "kubernetes postrouting rules", "KUBE-POSTROUTING"),
    ),
}
FIXED: Mapping[str, tuple[Rule, ...]] = {
    # Chains whose rules are the same on every node, whatever Services there are.
    "nat KUBE-MARK-MASQ": (Rule((), SetMark(BITS, BITS)),),
    "nat KUBE-POSTROUTING": (
        Rule((Mark(BITS, BITS, negate=True),), Verdict("RETURN")),
        # The mark goes off, so that a packet which meets the stack again is not hidden twice.
        Rule((), SetMark(BITS, 0)),
        Rule(
            (Comment("kubernetes service traffic requiring SNAT"),),
            nf.Masquerade(random_fully=True),
        ),
    ),
    "filter KUBE-FORWARD": (
        Rule((CtState(("INVALID",)),), Verdict("DROP")),
        Rule((Comment("kubernetes forwarding rules"), Mark(BITS, BITS)), Verdict("ACCEPT")),
        Rule(
            (Comment("kubernetes forwarding conntrack rule"), CtState(("RELATED", "ESTABLISHED"))),
            Verdict("ACCEPT"),
        ),
    ),
}
EMPTY: Mapping[str, tuple[str, ...]] = {
    # The canary is a chain that nobody enters: when it is gone, somebody flushed the rules.
    "mangle": ("KUBE-PROXY-CANARY",),
    "nat": ("KUBE-NODEPORTS", "KUBE-PROXY-CANARY", "KUBE-SERVICES"),
    "filter": (
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-PROXY-CANARY",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SERVICES",
    ),
}


class Iptables(msgspec.Struct, frozen=True):
    """kube-proxy --proxy-mode=iptables"""

    name: str = "iptables"

    def program(self, services: tuple[ServicePort, ...], node: NodeView) -> Part:
        tables = [
            table
            for family, version in FAMILIES
            if family in node.families
            for table in self.tables(services, node, family, version)
        ]
        # 127.0.0.1:nodePort works only if the kernel routes what comes from or goes to 127/8.
        localnet = {"net.ipv4.conf.all.route_localnet": 1} if node.localhost_node_ports else {}
        sockets = health_sockets(services)
        return Part(tables=tuple(tables), sysctls=localnet, sockets=sockets)

    def tables(
        self, services: tuple[ServicePort, ...], node: NodeView, family: Family, version: int
    ) -> tuple[nf.Table, ...]:
        """mangle, nat and filter of one family: kube-proxy's chains and the kubelet's."""
        mine = tuple(s for s in services if s.cluster_ip.version == version)
        rules = _service_rules(mine, node, version)
        return tuple(_table(name, family, rules) for name in BASES)


def _service_rules(services: tuple[ServicePort, ...], node: NodeView, version: int) -> Rules:
    writer = Writer(
        version=version,
        pods=node.from_pod(version),
        node_ip=node.address(version),
        masquerade_all=node.masquerade_all,
        endpoint_comments=sum(len(s.endpoints) for s in services) <= LARGE_CLUSTER,
    )
    rules: Rules = {}
    for service in services:
        writer.write(rules, service, usable_endpoints(service, node.name, node.zone))
    _append(rules, "nat KUBE-SERVICES", _node_ports(version, node.localhost_node_ports))
    return rules


def _append(rules: Rules, chain: str, rule: Rule) -> None:
    rules.setdefault(chain, []).append(rule)


def _node_ports(version: int, localhost: bool) -> Rule:
    """The last rule of KUBE-SERVICES: what no Service address took may be for a node port.

    Never for ::1: IPv6 has no `route_localnet`.
    """
    note = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
    matches: tuple[nf.Match, ...] = (Comment(note), nf.AddrType("dst", "LOCAL"))
    loopback: Prefix | None = None
    if version == 6:
        loopback = LOOPBACK[6]
    elif not localhost:
        loopback = LOOPBACK[4]
    if loopback:
        matches = (nf.Destination(loopback, negate=True), *matches)
    return Rule(matches, Jump("KUBE-NODEPORTS"))


def _table(name: str, family: Family, rules: Rules) -> nf.Table:
    heads: dict[str, list[Rule]] = {}
    for hook, new, comment, to in JUMPS.get(name, ()):
        matches = (NEW, Comment(comment)) if new else (Comment(comment),)
        heads.setdefault(hook, []).append(Rule(matches, Jump(to)))
    own = dict.fromkeys(EMPTY[name], ()) | _chains_of(name, FIXED) | _chains_of(name, rules)
    return iptables_table(name, family, heads, own)


def _chains_of(table: str, rules: Mapping[str, Iterable[Rule]]) -> dict[str, tuple[Rule, ...]]:
    lead = table + " "
    return {n.removeprefix(lead): tuple(r) for n, r in rules.items() if n.startswith(lead)}
