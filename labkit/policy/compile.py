"""How Calico's Felix enforces NetworkPolicies: chains for each pod, and sets of addresses.

A forwarded packet is sent by its device to the chain of the pod that it leaves (`cali-fw-`) or
enters (`cali-tw-`): a known connection passes, else the policies that select the pod are asked
one by one, and one that accepts sets a mark. Without any policy a profile accepts.

NetworkPolicies stand in the tier `default`, where the end is a drop; ClusterNetworkPolicies in
`kube-admin` before it and in `kube-baseline` behind it, where the end is the next tier.

*The lab simplifies*: policies with one selector share no chain of their own; the dispatch is one
flat list; the profiles of service accounts, which hold no rule, and the drop of IP in IP from
pods are left out; names of chains are cut to what iptables takes in nft, too. As in life a pod
that speaks to itself by way of a Service is judged like any other, though the API lets it always
reach itself.

Source: Calico 3.32 `felix/rules/{dispatch,endpoints,policy}.go`; the default actions of the
tiers: its documentation of tiered policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from labkit.api.cluster_policy import ClusterNetworkPolicy
from labkit.api.core import Namespace, Pod
from labkit.api.names import titles
from labkit.api.state import State
from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, CtState, InSet, Jump, Mark, Rule, SetMark, Verdict
from labkit.kernel.netns import Part
from labkit.kernel.nft_twin import nft_twin
from labkit.kernel.rule_hashes import shortened, with_hashes
from labkit.policy import endpoint_marks
from labkit.policy.cluster_rules import asked_about
from labkit.policy.matcher import Direction, isolating
from labkit.policy.rules import Policy, Writer, titled
from labkit.policy.sets import Family
from labkit.policy.tier_rules import ACCEPTED, PASSED, TIERS

IS_ACCEPTED = Mark(ACCEPTED, ACCEPTED)
NOT_PASSED = Mark(0, PASSED)
ACCEPT, DROP, RETURN = Verdict("ACCEPT"), Verdict("DROP"), Verdict("RETURN")
LONGEST = 28  # characters of a chain's name
VXLAN_PORT = 4789
KNOWN = "The connection is open already: no policy is asked."
NO_TUNNELS = (
    # A pod might pretend to be a node by packets that look like a tunnel's.
    Rule(
        (
            nf.Proto("udp"),
            Comment("Drop VXLAN encapped packets originating in workloads"),
            nf.Ports(((VXLAN_PORT, VXLAN_PORT),)),
        ),
        DROP,
    ),
)
FORWARD = nf.Chain(
    # What Felix puts behind everybody else's rules.
    name="FORWARD",
    rules=(
        Rule((Comment("Policy explicitly accepted packet."), IS_ACCEPTED), ACCEPT),
        Rule((), SetMark(ACCEPTED, ACCEPTED)),
    ),
    hook="FORWARD",
    priority=nf.PRIORITY["filter"],
    policy="ACCEPT",
)
LEADS: Mapping[Direction, tuple[str, str, str]] = {
    # chains of an endpoint, of a policy and of a profile
    "Egress": ("cali-fw-", "cali-po-", "cali-pro-"),
    "Ingress": ("cali-tw-", "cali-pi-", "cali-pri-"),
}
DISPATCH: tuple[tuple[str, Direction], ...] = (
    ("cali-from-wl-dispatch", "Egress"),
    ("cali-to-wl-dispatch", "Ingress"),
)
Device = Callable[[Pod], str]
Chains = dict[str, tuple[Rule, ...]]


def enforcement(
    state: State, pods: Mapping[str, Sequence[Pod]], device: Device
) -> Mapping[str, Part]:
    """Node's namespace -> the chains and sets that enforce all policies for its pods.

    Args:
        pods: node's namespace -> its pods that have a namespace of their own.
        device: the node's end of a pod's cable.
    """
    return {name: _node_part(state, own, device) for name, own in pods.items()}


def _node_part(state: State, pods: Sequence[Pod], device: Device) -> Part:
    families: list[Family] = ["ip"]
    if any(address.version == 6 for pod in pods for address in pod.addresses):
        families.append("ip6")
    tables, sets = [], {}
    for family in families:
        writer = state.cached(writers)[family]
        table = _table(state, pods, device, writer)
        tables.append(table)
        used = {m.name for c in table.chains.values() for r in c.rules for m in _sets(r)}
        sets.update({name: writer.named[name] for name in sorted(used & writer.named.keys())})
    part = Part(tables=tuple(tables), sets=sets)
    # Felix looks which of the two kube-proxy has chosen and goes with it.
    return nft_twin(part, "calico") if state.config.proxy_mode == "nftables" else part


def writers(state: State) -> Mapping[Family, Writer]:
    """What all nodes share: each policy is written once."""
    return {"ip": Writer(state, "ip"), "ip6": Writer(state, "ip6")}


def _sets(rule: Rule) -> tuple[InSet, ...]:
    return tuple(match for match in rule.matches if isinstance(match, InSet))


def _table(state: State, pods: Sequence[Pod], device: Device, writer: Writer) -> nf.Table:
    chains: Chains = {}
    for chain, direction in DISPATCH:
        lead = LEADS[direction][0]
        chains[chain] = (
            *(
                Rule((_port(device(p), direction),), Jump(lead + device(p), goto=True))
                for p in pods
            ),
            Rule((Comment("Unknown interface"),), DROP),
        )
        for pod in pods:
            tiers = _tiers(state, pod, direction)
            title = f"{pod.namespace}/{titles(state).get((pod.namespace, pod.name), pod.name)}"
            chains[lead + device(pod)] = _endpoint(pod, title, direction, tiers)
            asked = [policy for policies in tiers.values() for policy in policies]
            chains |= {_policy_chain(p, direction): writer.rules(p, direction) for p in asked}
            chains[_profile_chain(pod, direction)] = _profile(pod, direction)
    if state.config.proxy_mode == "ipvs":
        chains |= endpoint_marks.chains(map(device, pods), state.config.node_port_range)
    found = [FORWARD, *(nf.Chain(name=name, rules=rules) for name, rules in chains.items())]
    hashed = {chain.name: with_hashes(chain, "cali") for chain in found}
    return nf.Table(name="filter", family=writer.family, chains=hashed)


def _tiers(state: State, pod: Pod, direction: Direction) -> Mapping[str, Sequence[Policy]]:
    """The tiers in their order, each with the policies about a pod in the order of asking."""
    space = state.get(Namespace, pod.namespace)
    labels = space.labels if space else {}
    admin, baseline = (asked_about(state, pod, labels, tier, direction) for tier in TIERS)
    own = isolating(state, pod, direction)
    return {"kube-admin": admin, "default": own, "kube-baseline": baseline}


def _endpoint(
    pod: Pod, title: str, direction: Direction, tiers: Mapping[str, Sequence[Policy]]
) -> tuple[Rule, ...]:
    """The chain of one pod in one direction; it returns with the mark, or drops."""
    return (
        Rule((CtState(("RELATED", "ESTABLISHED")),), ACCEPT, KNOWN),
        Rule((CtState(("INVALID",)),), DROP),
        Rule((), SetMark(0, ACCEPTED | PASSED)),
        *(NO_TUNNELS if direction == "Egress" else ()),
        *(rule for t, asked in tiers.items() if asked for rule in _tier(t, asked, direction)),
        Rule((), Jump(_profile_chain(pod, direction))),
        Rule(
            (Comment("Return if profile accepted"), IS_ACCEPTED),
            RETURN,
            f"{title} is not isolated for {direction.lower()}.",
        ),
        Rule((Comment("Drop if no profiles matched"),), DROP),
    )


def _tier(name: str, policies: Sequence[Policy], direction: Direction) -> tuple[Rule, ...]:
    """The policies that select the pod, until one accepts or passes; what then, is the tier's."""
    asked = (
        rule
        for policy in policies
        for rule in (
            Rule((NOT_PASSED,), Jump(_policy_chain(policy, direction))),
            Rule((Comment("Return if policy accepted"), IS_ACCEPTED), RETURN),
        )
    )
    end = Comment(f"End of tier {name}. Drop if no policies passed packet")
    return (
        Rule((Comment(f"Start of tier {name}"),), SetMark(0, PASSED)),
        *asked,
        *((Rule((end, NOT_PASSED), DROP),) if name == "default" else ()),
    )


def _port(device: str, direction: Direction) -> nf.InDevice | nf.OutDevice:
    """The cable by which a packet comes from the pod, or goes to it."""
    return nf.InDevice(device) if direction == "Egress" else nf.OutDevice(device)


def _policy_chain(policy: Policy, direction: Direction) -> str:
    kind = "kcnp" if isinstance(policy, ClusterNetworkPolicy) else "knp"
    return shortened(LEADS[direction][1], f"{kind}/{titled(policy)}", LONGEST)


def _profile_chain(pod: Pod, direction: Direction) -> str:
    return shortened(LEADS[direction][2], f"kns.{pod.namespace}", LONGEST)


def _profile(pod: Pod, direction: Direction) -> tuple[Rule, ...]:
    """The namespace's profile: it accepts everything."""
    note = Comment(f"Profile kns.{pod.namespace} {direction.lower()}")
    return Rule((note,), SetMark(ACCEPTED, ACCEPTED)), Rule((IS_ACCEPTED,), RETURN)
