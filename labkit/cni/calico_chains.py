"""Felix' chains that are the same on every node: the jumps into its own, and natOutgoing.

Marks: 0x10000 accepted, 0x20000 passed on by a tier, 0x40000 comes from a workload, 0x80000 a
scratch bit; a packet is judged once in `filter` and goes through the other tables by its mark.
What belongs to single pods (dispatch, endpoints, policies, profiles), and what stands behind
kube-proxy's rules, is written by `labkit.policy.compile`.

*The lab simplifies*: no host endpoints, so the chains for them are left out; no `rpfilter` in
`raw`, since the lab's kernel does not look back along routes; no floating IPs; no masquerade of
the node's own packets into the tunnel, which only a strict look back would need.

Source: Calico `felix/rules/static.go`, `felix/rules/nat.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address, ip_network

from labkit.api.core import Node
from labkit.api.state import State
from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, CtState, InSet, Jump, Mark, Rule, SetMark, Verdict
from labkit.kernel.rule_hashes import with_hashes

ACCEPTED, WORKLOAD = 0x10000, 0x40000
ALL_MARKS = 0xF0000
IS_ACCEPTED = Mark(ACCEPTED, ACCEPTED)
ACCEPT, DROP, RETURN = Verdict("ACCEPT"), Verdict("DROP"), Verdict("RETURN")
CABLES = "cali+"  # all devices whose names begin so
VXLAN_PORT = 4789
POOLS, ALL_POOLS = "cali40masq-ipam-pools", "cali40all-ipam-pools"
VXLAN_HOSTS, THIS_HOST = "cali40all-vxlan-net", "cali40this-host"
FROM_ENDPOINT = Mark(0, 0xFFF00000, negate=True)  # IPVS' packets: `labkit.policy.endpoint_marks`
FORGET = Rule((), SetMark(0, ALL_MARKS))

RAW: Mapping[str, tuple[Rule, ...]] = {
    "cali-OUTPUT": (FORGET, Rule((IS_ACCEPTED,), ACCEPT)),
    "cali-PREROUTING": (
        FORGET,
        Rule((nf.InDevice(CABLES),), SetMark(WORKLOAD, WORKLOAD)),
        Rule((IS_ACCEPTED,), ACCEPT),
    ),
}
MANGLE: Mapping[str, tuple[Rule, ...]] = {
    "cali-POSTROUTING": (Rule((IS_ACCEPTED,), RETURN), FORGET),
    "cali-PREROUTING": (
        Rule((CtState(("RELATED", "ESTABLISHED")),), ACCEPT),
        Rule((IS_ACCEPTED,), ACCEPT),
    ),
}
NAT: Mapping[str, tuple[Rule, ...]] = {
    "cali-POSTROUTING": (Rule((), Jump("cali-nat-outgoing")),),
    "cali-nat-outgoing": (
        # A pool with natOutgoing: to whom no pool belongs sees the node's address.
        Rule(
            (InSet(POOLS, ("src",)), InSet(ALL_POOLS, ("dst",), negate=True)),
            nf.Masquerade(random_fully=True),
        ),
    ),
}
FORWARD: tuple[Rule, ...] = (
    Rule((), SetMark(0, 0xE0000)),
    Rule((nf.InDevice(CABLES),), Jump("cali-from-wl-dispatch")),
    Rule((nf.OutDevice(CABLES),), Jump("cali-to-wl-dispatch")),
)
JUMPS: Mapping[str, tuple[nf.Hook, ...]] = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "POSTROUTING"),
    "nat": ("POSTROUTING",),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}


@cache
def tables(vxlan: bool, ipvs: bool) -> tuple[nf.Table, ...]:
    """Felix' part of the four tables, without the pods' own chains."""
    filters = {
        "cali-FORWARD": FORWARD,
        "cali-INPUT": _input(vxlan, ipvs),
        "cali-OUTPUT": _output(vxlan, ipvs),
    }
    # In life pods' egress policies come first here. The API's text says otherwise: a pod's own
    # node is always open to it.
    filters["cali-wl-to-host"] = (
        Rule((Comment("Configured DefaultEndpointToHostAction"),), ACCEPT),
    )
    own = {"raw": RAW, "mangle": MANGLE, "nat": NAT, "filter": filters}
    return tuple(_table(name, chains) for name, chains in own.items())


def _table(name: str, own: Mapping[str, tuple[Rule, ...]]) -> nf.Table:
    chains: dict[str, nf.Chain] = {
        hook: _base(name, hook, (Rule((), Jump(f"cali-{hook}")),)) for hook in JUMPS[name]
    }
    chains |= {chain: nf.Chain(name=chain, rules=rules) for chain, rules in own.items()}
    return nf.Table(name=name, chains={k: with_hashes(c, "cali") for k, c in chains.items()})


def _base(table: str, hook: nf.Hook, rules: tuple[Rule, ...]) -> nf.Chain:
    priority = nf.PRIORITY.get(table, nf.PRIORITY["srcnat"])
    return nf.Chain(name=hook, rules=rules, hook=hook, priority=priority, policy="ACCEPT")


def _input(vxlan: bool, ipvs: bool) -> tuple[Rule, ...]:
    """What comes for the node itself; a pod's packets go their own way."""
    to_node = (nf.AddrType("dst", "LOCAL"),)
    return (
        *_tunnel_rules(vxlan, "from allowed hosts", (InSet(VXLAN_HOSTS, ("src",)), *to_node)),
        *_tunnel_drop(vxlan, to_node),
        *(IPVS_INPUT if ipvs else ()),
        Rule((nf.InDevice(CABLES),), Jump("cali-wl-to-host", goto=True)),
        Rule((IS_ACCEPTED,), ACCEPT),
        FORGET,
    )


def _output(vxlan: bool, ipvs: bool) -> tuple[Rule, ...]:
    """What the node itself sends: its own pods are always open to it."""
    ends = (nf.AddrType("src", "LOCAL"), InSet(VXLAN_HOSTS, ("dst",)))
    return (
        Rule((IS_ACCEPTED,), ACCEPT),
        *(IPVS_OUTPUT if ipvs else ()),
        Rule((nf.OutDevice(CABLES),), RETURN),
        *_tunnel_rules(vxlan, "to other allowed hosts", ends),
        FORGET,
    )


IPVS_INPUT = (
    Rule((), SetMark(0, 0xFFF00000)),
    Rule((), Jump("cali-forward-check")),
    Rule((FROM_ENDPOINT,), RETURN),
)
IPVS_OUTPUT = (Rule((FROM_ENDPOINT,), Jump("cali-forward-endpoint-mark", goto=True)),)


def _tunnel_rules(vxlan: bool, whom: str, more: tuple[nf.Match, ...]) -> tuple[Rule, ...]:
    note = Comment(f"Allow IPv4 VXLAN packets {whom}")
    return (_udp(note, more, ACCEPT),) if vxlan else ()


def _tunnel_drop(vxlan: bool, more: tuple[nf.Match, ...]) -> tuple[Rule, ...]:
    note = Comment("Drop IPv4 VXLAN packets from non-allowed hosts")
    return (_udp(note, more, DROP),) if vxlan else ()


def _udp(note: Comment, more: tuple[nf.Match, ...], target: Verdict) -> Rule:
    port = nf.Ports(((VXLAN_PORT, VXLAN_PORT),))
    return Rule((nf.Proto("udp"), note, port, *more), target)


def sets(state: State, vxlan: bool, own: tuple[str, ...]) -> Mapping[str, nf.Ipset]:
    """The address pools; with VXLAN the ends of tunnels, with IPVS the node's `own` addresses."""
    pools = tuple(c for c in state.config.pod_cidrs if ip_network(c).version == 4)
    named = {POOLS: pools, ALL_POOLS: pools}
    if state.config.proxy_mode == "ipvs":
        named[THIS_HOST] = own
    if vxlan:
        ends = (
            ip_address(a.address)
            for node in state.list(Node)
            for a in node.status.addresses
            if a.type == "InternalIP"
        )
        named[VXLAN_HOSTS] = tuple(str(a) for a in sorted(x for x in ends if x.version == 4))
    return {name: nf.Ipset(name, "hash:net", members) for name, members in named.items()}
