"""iptables' own frame: built-in chains at the kernel's hooks, and the kubelet's few chains.

Source: Kubernetes `pkg/kubelet/kubelet_network_linux.go`; KEP-3178.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Chain, Rule
from labkit.kernel.routes import Prefix
from labkit.proxy.base import Family

BASES: Mapping[str, tuple[nf.Hook, ...]] = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
LOOPBACK: Mapping[int, Prefix] = {4: ip_network("127.0.0.0/8"), 6: ip_network("::1/128")}

# A neighbour must not reach the node's 127.0.0.1 although kube-proxy lets such packets be routed.
MARTIAN = Rule(
    (
        nf.Source(LOOPBACK[4], negate=True),
        nf.Destination(LOOPBACK[4]),
        nf.Comment("block incoming localnet connections"),
        nf.CtState(("RELATED", "ESTABLISHED", "DNAT"), negate=True),
    ),
    nf.Verdict("DROP"),
)
TO_FIREWALL = Rule((), nf.Jump("KUBE-FIREWALL"))


def iptables_table(
    name: str,
    family: Family,
    heads: Mapping[str, Iterable[Rule]] | None = None,
    own: Mapping[str, Iterable[Rule]] | None = None,
) -> nf.Table:
    """One table with the kubelet's chains in it, which are there in every proxy mode.

    Args:
        name: mangle, nat or filter.
        family: whose packets it is for.
        heads: rules of built-in chains, by hook; the kubelet's jumps stand behind them, because
            the kubelet starts first and everybody puts jumps in front.
        own: kube-proxy's chains by name.
    """
    rules = {hook: list((heads or {}).get(hook, ())) for hook in BASES[name]}
    if name == "filter":
        rules["INPUT"].append(TO_FIREWALL)
        rules["OUTPUT"].append(TO_FIREWALL)
    regular = {**(own or {}), **kubelet_chains(name, family)}
    chains: dict[str, Chain] = {h: base_chain(name, h, rules[h]) for h in BASES[name]}
    for chain in sorted(regular):
        chains[chain] = Chain(name=chain, rules=tuple(regular[chain]))
    return nf.Table(name=name, family=family, chains=chains)


def kubelet_chains(table: str, family: Family) -> dict[str, tuple[Rule, ...]]:
    """The hint tells other software which iptables the node uses, the canary notices a flush."""
    own: dict[str, tuple[Rule, ...]] = {"KUBE-KUBELET-CANARY": ()}
    if table == "mangle":
        own["KUBE-IPTABLES-HINT"] = ()
    if table == "filter":
        own["KUBE-FIREWALL"] = (MARTIAN,) if family == "ip" else ()
    return own


def base_chain(table: str, hook: nf.Hook, rules: Iterable[Rule]) -> Chain:
    priority = nf.PRIORITY.get(table, 0)
    if table == "nat":
        priority = nf.PRIORITY["srcnat" if hook in ("INPUT", "POSTROUTING") else "dstnat"]
    return Chain(name=hook, rules=tuple(rules), hook=hook, priority=priority, policy="ACCEPT")
