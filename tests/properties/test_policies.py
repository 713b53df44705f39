"""What policies mean and what the compiled rules do to a packet is the same."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from labkit.api.core import Pod
from labkit.api.networking import NetworkPolicy
from labkit.api.state import Key, State
from labkit.cni.base import pod_netns
from labkit.kernel.dice import FirstDice
from labkit.kernel.netns import Network
from labkit.kernel.packet import Packet
from labkit.kernel.trace import Trace
from labkit.kernel.walk import source_address, walk
from labkit.policy.matcher import Verdict, judge
from labkit.policy.reach import reachability
from labkit.policy.reading import Reading
from labkit.traffic.program import program
from tests.policies import Question, cluster, questions

RANDOMS = st.randoms(use_true_random=False)


def sent(network: Network, question: Question) -> Trace:
    """The walk of the first packet of a flow."""
    flow, dst = question.flow, ip_address(question.address)
    src = source_address(network, question.start, dst)
    assert src is not None
    flags = "SYN" if flow.protocol == "TCP" else ""
    packet = Packet(
        src=src, dst=dst, protocol=flow.protocol, sport=41000, dport=flow.port, flags=flags
    )
    return walk(network, question.start, packet, FirstDice())


@settings(max_examples=50)
@given(RANDOMS)
def test_a_packet_arrives_exactly_where_the_policies_let_it(dice):
    state = cluster(dice, tiers=dice.choice([0, 4]))
    network = program(state)
    for question in questions(state):
        trace, verdict = sent(network, question), judge(state, question.flow)
        assert (trace.outcome != "dropped") == verdict.allowed, (str(question), trace.hops)
        hop = trace.hops[-1]
        if hop.action == "drop":
            assert hop.stage == "FORWARD"
            assert words_of_the_drop(verdict) in hop.why


def words_of_the_drop(verdict: Verdict) -> str:
    """What the row says that drops: the first end that does not agree is met first."""
    side = verdict.entering if verdict.leaving.allowed else verdict.leaving
    if side.decider is not None and side.decider.decided is not None:
        return f"kcnp/{side.decider.decided.policy.name} "
    return "End of tier default. Drop if no policies passed packet"


@settings(max_examples=30)
@given(RANDOMS)
def test_iptables_and_nft_let_the_same_packets_through(dice):
    state = cluster(dice, tiers=dice.choice([0, 4]))
    one, other = (
        program(State(replace(state.config, proxy_mode=mode), state.objects))
        for mode in ("iptables", "nftables")
    )
    for question in questions(state):
        was, now = sent(one, question), sent(other, question)
        assert was.outcome == now.outcome, str(question)
        assert [h.says for h in was.hops if not h.quiet] == [
            h.says for h in now.hops if not h.quiet
        ]


@settings(max_examples=50)
@given(RANDOMS, st.sampled_from([("TCP", 8080), ("TCP", 9090), ("UDP", 53)]))
def test_all_pairs_at_once_are_what_packets_find(dice, what):
    protocol, port = what
    state = cluster(dice, tiers=dice.choice([0, 4]))
    network, reach = program(state), reachability(state, port, protocol)
    number = {pod_netns(pod): n for n, pod in enumerate(reach.pods)}
    at = {str(pod.addresses[0]): n for n, pod in enumerate(reach.pods)}
    for question in questions(state):
        flow = question.flow
        pods = question.start in number and flow.destination.pod is not None
        if pods and (flow.protocol, flow.port) == what:
            arrives = sent(network, question).outcome != "dropped"
            assert reach.open(number[question.start], at[question.address]) == arrives


@settings(max_examples=50)
@given(RANDOMS, st.sampled_from([("TCP", 8080), ("TCP", 9090), ("UDP", 53)]))
def test_all_pairs_at_once_are_what_the_verdicts_say_under_any_reading(dice, what):
    protocol, port = what
    state = cluster(dice, tiers=4)
    reading = Reading(
        hostnet=dice.random() < 0.5, ipblock_pods=dice.random() < 0.5, experimental=True
    )
    reach = reachability(state, port, protocol, reading=reading)
    for a, b in product(range(len(reach.pods)), repeat=2):
        if not on_one_node_network(reach.pods[a], reach.pods[b]):
            assert reach.open(a, b) == reach.why(a, b).allowed, (a, b)


def on_one_node_network(one: Pod, other: Pod) -> bool:
    """Two ends that are one machine: nothing travels between them."""
    return one.spec.host_network and other.spec.host_network


@settings(max_examples=20)
@given(RANDOMS, st.randoms(use_true_random=False))
def test_the_order_in_which_policies_were_written_does_not_matter(dice, shuffle):
    state = cluster(dice, tiers=4)
    keys = list(state.objects)
    shuffle.shuffle(keys)
    other = State(state.config, {key: state.objects[key] for key in keys})
    assert program(other) == program(state)
    flows = [question.flow for question in questions(state)]
    assert [judge(other, f).allowed for f in flows] == [judge(state, f).allowed for f in flows]


@settings(max_examples=20)
@given(RANDOMS)
def test_the_names_of_policies_do_not_matter(dice):
    state = cluster(dice)
    policies = state.list(NetworkPolicy)
    last = {Key("NetworkPolicy", p.namespace, p.name): p for p in policies}
    renamed = [renamed_to(p, f"p{len(policies) - n}") for n, p in enumerate(policies)]
    objects = {k: o for k, o in state.objects.items() if k not in last}
    objects |= {Key("NetworkPolicy", p.namespace, p.name): p for p in renamed}
    network, other = program(state), program(State(state.config, objects))
    for question in questions(state):
        was, now = sent(network, question).outcome, sent(other, question).outcome
        assert was == now, str(question)


def renamed_to(policy: NetworkPolicy, name: str) -> NetworkPolicy:
    return replace(policy, metadata=replace(policy.metadata, name=name))
