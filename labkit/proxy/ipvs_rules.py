"""What is left to iptables in IPVS mode: a fixed number of rules that ask ipsets.

Source: Kubernetes `pkg/proxy/ipvs/proxier.go`, `writeIptablesRules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, CtState, InSet, Jump, Mark, Proto, Rule, Verdict
from labkit.proxy.base import MASQUERADE_MARK, Family, NodeView
from labkit.proxy.tables import BASES, iptables_table

replace = msgspec.structs.replace
BITS = MASQUERADE_MARK
ACCEPT, RETURN, DROP = Verdict("ACCEPT"), Verdict("RETURN"), Verdict("DROP")
MARK_MASQ = Jump("KUBE-MARK-MASQ")
REASON = {4: "icmp-port-unreachable", 6: "icmp6-port-unreachable"}

Sets = dict[str, list[str]]  # name -> members


class SetKind(msgspec.Struct, frozen=True):
    kind: str
    comment: str = ""


NODE_PORT = "Kubernetes nodeport {} port {}"
MASQ, LOCAL = "for masquerade purpose", "with externalTrafficPolicy=local"
SETS: Mapping[str, SetKind] = {
    "KUBE-LOOP-BACK": SetKind(
        "hash:ip,port,ip",
        "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose",
    ),
    "KUBE-CLUSTER-IP": SetKind("hash:ip,port", f"Kubernetes service cluster ip + port {MASQ}"),
    "KUBE-EXTERNAL-IP": SetKind(
        "hash:ip,port", "Kubernetes service external ip + port for masquerade and filter purpose"
    ),
    "KUBE-EXTERNAL-IP-LOCAL": SetKind(
        "hash:ip,port", f"Kubernetes service external ip + port {LOCAL}"
    ),
    "KUBE-LOAD-BALANCER": SetKind("hash:ip,port", "Kubernetes service lb portal"),
    "KUBE-LOAD-BALANCER-FW": SetKind(
        "hash:ip,port",
        "Kubernetes service load balancer ip + port for load balancer with sourceRange",
    ),
    "KUBE-LOAD-BALANCER-LOCAL": SetKind(
        "hash:ip,port", f"Kubernetes service load balancer ip + port {LOCAL}"
    ),
    "KUBE-LOAD-BALANCER-SOURCE-IP": SetKind(
        "hash:ip,port,ip",
        "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
    ),
    "KUBE-LOAD-BALANCER-SOURCE-CIDR": SetKind(
        "hash:ip,port,net",
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    ),
    "KUBE-NODE-PORT-TCP": SetKind("bitmap:port", NODE_PORT.format("TCP", MASQ)),
    "KUBE-NODE-PORT-LOCAL-TCP": SetKind("bitmap:port", NODE_PORT.format("TCP", LOCAL)),
    "KUBE-NODE-PORT-UDP": SetKind("bitmap:port", NODE_PORT.format("UDP", MASQ)),
    "KUBE-NODE-PORT-LOCAL-UDP": SetKind("bitmap:port", NODE_PORT.format("UDP", LOCAL)),
    "KUBE-NODE-PORT-SCTP-HASH": SetKind(
        "hash:ip,port", NODE_PORT.format("SCTP", f"{MASQ} with type 'hash ip:port'")
    ),
    "KUBE-NODE-PORT-LOCAL-SCTP-HASH": SetKind(
        "hash:ip,port", NODE_PORT.format("SCTP", f"{LOCAL} with type 'hash ip:port'")
    ),
    "KUBE-HEALTH-CHECK-NODE-PORT": SetKind("bitmap:port", "Kubernetes health check node port"),
    "KUBE-IPVS-IPS": SetKind("hash:ip"),
}
JUMPS: Mapping[str, tuple[tuple[nf.Hook, str, str], ...]] = {
    "nat": (
        ("PREROUTING", "kubernetes service portals", "KUBE-SERVICES"),
        ("OUTPUT", "kubernetes service portals", "KUBE-SERVICES"),
        ("POSTROUTING", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
    ),
    "filter": (
        ("INPUT", "kubernetes ipvs access filter", "KUBE-IPVS-FILTER"),
        ("INPUT", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
        ("INPUT", "kubernetes health check rules", "KUBE-NODE-PORT"),
        ("FORWARD", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
        ("FORWARD", "kubernetes forwarding rules", "KUBE-FORWARD"),
        ("OUTPUT", "kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER"),
    ),
}
ASKED = {
    # Rules that are written only if their set has members: (set, chain, ends, protocol, target)
    "nat": (
        ("KUBE-LOOP-BACK", "KUBE-POSTROUTING", "dst,dst,src", "", nf.Masquerade()),
        ("KUBE-LOAD-BALANCER", "KUBE-SERVICES", "dst,dst", "", Jump("KUBE-LOAD-BALANCER")),
        ("KUBE-LOAD-BALANCER-LOCAL", "KUBE-LOAD-BALANCER", "dst,dst", "", RETURN),
        ("KUBE-NODE-PORT-LOCAL-TCP", "KUBE-NODE-PORT", "dst", "tcp", RETURN),
        ("KUBE-NODE-PORT-TCP", "KUBE-NODE-PORT", "dst", "tcp", MARK_MASQ),
        ("KUBE-NODE-PORT-LOCAL-UDP", "KUBE-NODE-PORT", "dst", "udp", RETURN),
        ("KUBE-NODE-PORT-UDP", "KUBE-NODE-PORT", "dst", "udp", MARK_MASQ),
        ("KUBE-NODE-PORT-LOCAL-SCTP-HASH", "KUBE-NODE-PORT", "dst,dst", "sctp", RETURN),
        ("KUBE-NODE-PORT-SCTP-HASH", "KUBE-NODE-PORT", "dst,dst", "sctp", MARK_MASQ),
    ),
    "filter": (
        (
            "KUBE-LOAD-BALANCER-FW",
            "KUBE-PROXY-FIREWALL",
            "dst,dst",
            "",
            Jump("KUBE-SOURCE-RANGES-FIREWALL"),
        ),
        (
            "KUBE-LOAD-BALANCER-SOURCE-CIDR",
            "KUBE-SOURCE-RANGES-FIREWALL",
            "dst,dst,src",
            "",
            RETURN,
        ),
        ("KUBE-LOAD-BALANCER-SOURCE-IP", "KUBE-SOURCE-RANGES-FIREWALL", "dst,dst,src", "", RETURN),
    ),
}
CHAINS = {
    "nat": (
        "KUBE-LOAD-BALANCER",
        "KUBE-MARK-MASQ",
        "KUBE-NODE-PORT",
        "KUBE-POSTROUTING",
        "KUBE-SERVICES",
    ),
    "filter": (
        "KUBE-FORWARD",
        "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
        "KUBE-NODE-PORT",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SOURCE-RANGES-FIREWALL",
    ),
}

Row = tuple[str, Rule]  # chain, rule


def set_name(name: str, version: int) -> str:
    return name if version == 4 else name.replace("KUBE-", "KUBE-6-", 1)


def ipvs_tables(family: Family, version: int, node: NodeView, own: Sets) -> tuple[nf.Table, ...]:
    """mangle, nat and filter of one family."""
    rows = {
        "nat": (*_asked("nat", version, own), *_nat(version, node, own)),
        "filter": (*_asked("filter", version, own), *_filter(version)),
    }
    return tuple(_table(name, family, rows.get(name, ())) for name in BASES)


def _table(name: str, family: Family, rows: tuple[Row, ...]) -> nf.Table:
    heads: dict[str, list[Rule]] = {}
    for hook, comment, to in JUMPS.get(name, ()):
        heads.setdefault(hook, []).append(Rule((Comment(comment),), Jump(to)))
    chains: dict[str, list[Rule]] = {chain: [] for chain in CHAINS.get(name, ())}
    for chain, rule in rows:
        chains[chain].append(rule)
    return iptables_table(name, family, heads, chains)


def _in(name: str, version: int, ends: str = "dst,dst") -> InSet:
    return InSet(set_name(name, version), tuple(ends.split(",")))


def _asked(table: str, version: int, own: Sets) -> Iterator[Row]:
    for name, chain, ends, protocol, target in ASKED[table]:
        if own[name]:
            head = (Proto(protocol),) if protocol else ()
            yield (
                chain,
                Rule((*head, Comment(SETS[name].comment), _in(name, version, ends)), target),
            )


def _nat(version: int, node: NodeView, own: Sets) -> Iterator[Row]:
    if own["KUBE-CLUSTER-IP"]:
        yield "KUBE-SERVICES", _masquerade_inside(version, node)
    if own["KUBE-EXTERNAL-IP"]:
        yield "KUBE-SERVICES", Rule(_external(version, "KUBE-EXTERNAL-IP"), MARK_MASQ)
        yield from _from_outside(_external(version, "KUBE-EXTERNAL-IP"))
    if own["KUBE-EXTERNAL-IP-LOCAL"]:
        yield from _from_outside(_external(version, "KUBE-EXTERNAL-IP-LOCAL"))
    yield "KUBE-SERVICES", Rule((nf.AddrType("dst", "LOCAL"),), Jump("KUBE-NODE-PORT"))
    yield "KUBE-LOAD-BALANCER", Rule((), MARK_MASQ)
    for name in ("KUBE-CLUSTER-IP", "KUBE-LOAD-BALANCER"):
        if own[name]:
            yield "KUBE-SERVICES", Rule((_in(name, version),), ACCEPT)
    yield "KUBE-POSTROUTING", Rule((Mark(BITS, BITS, negate=True),), RETURN)
    yield "KUBE-POSTROUTING", Rule((), nf.SetMark(BITS, 0))
    note = Comment("kubernetes service traffic requiring SNAT")
    yield "KUBE-POSTROUTING", Rule((note,), nf.Masquerade(random_fully=True))
    yield "KUBE-MARK-MASQ", Rule((), nf.SetMark(BITS, BITS))


def _masquerade_inside(version: int, node: NodeView) -> Rule:
    note, pods = Comment(SETS["KUBE-CLUSTER-IP"].comment), node.from_pod(version)
    if node.masquerade_all:
        return Rule((note, _in("KUBE-CLUSTER-IP", version)), MARK_MASQ)
    if pods is None:
        return Rule((note, _in("KUBE-CLUSTER-IP", version, "src,dst")), MARK_MASQ)
    return Rule((replace(pods, negate=True), note, _in("KUBE-CLUSTER-IP", version)), MARK_MASQ)


def _external(version: int, name: str) -> tuple[nf.Match, ...]:
    return Comment(SETS[name].comment), _in(name, version)


def _from_outside(to: tuple[nf.Match, ...]) -> Iterator[Row]:
    """Clients on other machines, and addresses that the node has itself, need no node port."""
    far = nf.BridgePort(negate=True), nf.AddrType("src", "LOCAL", negate=True)
    yield "KUBE-SERVICES", Rule((*to, *far), ACCEPT)
    yield "KUBE-SERVICES", Rule((*to, nf.AddrType("dst", "LOCAL")), ACCEPT)


def _filter(version: int) -> Iterator[Row]:
    yield "KUBE-SOURCE-RANGES-FIREWALL", Rule((), DROP)
    note = Comment("kubernetes forwarding rules")
    yield "KUBE-FORWARD", Rule((note, Mark(BITS, BITS)), ACCEPT)
    note = Comment("kubernetes forwarding conntrack rule")
    yield "KUBE-FORWARD", Rule((note, CtState(("RELATED", "ESTABLISHED"))), ACCEPT)
    name = "KUBE-HEALTH-CHECK-NODE-PORT"
    check = _in(name, version, "dst")
    yield "KUBE-NODE-PORT", Rule((Comment(SETS[name].comment), check), ACCEPT)
    # Without these a Service's address would open every port that the node itself listens on.
    known = ("KUBE-LOAD-BALANCER", "KUBE-CLUSTER-IP", "KUBE-EXTERNAL-IP", "KUBE-EXTERNAL-IP-LOCAL")
    refuse = (CtState(("NEW",)), _in("KUBE-IPVS-IPS", version, "dst"))
    for chain in ("KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"):
        for each in known:
            yield chain, Rule((_in(each, version),), RETURN)
        if chain == "KUBE-IPVS-FILTER":
            yield chain, Rule((check,), RETURN)
        yield chain, Rule(refuse, nf.Reject(REASON[version]))
