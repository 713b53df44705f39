"""The map of all ports, the blocks outside, idle rules and proposals hold to the matcher."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from labkit.api.core import Pod
from labkit.api.networking import NetworkPolicy
from labkit.api.objects import decode
from labkit.api.state import State, key_of
from labkit.policy.ends import address_end, pod_end
from labkit.policy.idle import idle_rules
from labkit.policy.matcher import DEFAULT, Flow, judge, policy_types
from labkit.policy.outside import blocks_of, outside
from labkit.policy.portmap import PortMap, port_map
from labkit.policy.propose import kind_of, propose
from labkit.policy.reach import reachability
from tests.policies import cluster

RANDOMS = st.randoms(use_true_random=False)
EDGES = (1, 53, 80, 8079, 8080, 8081, 9089, 9090, 9091, 65535)


def opens(found: PortMap, source: str, destination: str, protocol: str, port: int) -> bool:
    spans = found.between(source, destination)
    return any(s.protocol == protocol and s.first <= port <= s.last for s in spans)


def named(state: State) -> dict[str, Pod]:
    return {f"{p.namespace}/{p.name}": p for p in state.list(Pod)}


@settings(max_examples=40)
@given(RANDOMS, st.sampled_from(["TCP", "UDP", "SCTP"]), st.integers(1, 65535))
def test_the_map_answers_for_every_port_as_the_matcher_does(dice, protocol, any_port):
    state = cluster(dice, tiers=dice.choice([0, 4]))
    found, pods = port_map(state), named(state)
    ends = {name: pod_end(state, pod, DEFAULT) for name, pod in pods.items()}
    for source in found.pods:
        for destination in found.pods:
            for port in (*EDGES, any_port):
                flow = Flow(ends[source], ends[destination], protocol, port)
                wanted = judge(state, flow).allowed
                assert opens(found, source, destination, protocol, port) == wanted, str(flow)


@settings(max_examples=40)
@given(RANDOMS)
def test_the_map_counts_what_it_shows(dice):
    found = port_map(cluster(dice))
    shown = [cell for row in found.frame().itertuples(index=False) for cell in row]
    some = sum(cell not in ("every port", "none") for cell in shown)
    assert found.counts == (shown.count("every port"), some)


@settings(max_examples=40)
@given(RANDOMS, st.ip_addresses(v=4))
def test_each_address_outside_is_judged_like_its_block(dice, address):
    state = cluster(dice, tiers=dice.choice([0, 4]))
    far = address_end(state, address, DEFAULT)
    if far.pod or far.node:
        return
    found = outside(reachability(state, 8080))
    row = next(
        n
        for n, block in reversed(list(enumerate(found.blocks)))
        if address in block.network and not any(address in hole for hole in block.holes)
    )
    pods = named(state)
    for column, name in enumerate(found.pods):
        near = pod_end(state, pods[name], DEFAULT)
        assert found.enters[row][column] == judge(state, Flow(far, near, "TCP", 8080)).allowed
        assert found.leaves[row][column] == judge(state, Flow(near, far, "TCP", 8080)).allowed


def without(state: State, policies: tuple[NetworkPolicy, ...]) -> State:
    """The state with all idle rules taken out; the directions of each policy stay."""
    gone = {(r.policy.name, r.at) for r in idle_rules(state, policies, DEFAULT)}
    changed = []
    for policy in policies:
        kept = {
            direction: tuple(
                rule
                for n, rule in enumerate(getattr(policy.spec, direction) or ())
                if (policy.name, f".spec.{direction}[{n}]") not in gone
            )
            for direction in ("ingress", "egress")
        }
        spec = replace(policy.spec, **kept, policy_types=policy_types(policy))
        changed.append(replace(policy, spec=spec))
    objects = {**state.objects, **{key_of(policy): policy for policy in changed}}
    return State(state.config, objects)


@settings(max_examples=60)
@given(RANDOMS)
def test_idle_rules_can_all_go_at_once(dice):
    state = cluster(dice, policies=6, tiers=dice.choice([0, 4]))
    policies = tuple(state.list(NetworkPolicy))
    less = without(state, policies)
    assert port_map(less).frame().equals(port_map(state).frame())
    for block in blocks_of(state):
        far = address_end(state, block.address, DEFAULT)
        for pod in state.list(Pod):
            flow = Flow(far, pod_end(state, pod, DEFAULT), "TCP", 8080)
            assert judge(less, flow).allowed == judge(state, flow).allowed
    assert not list(idle_rules(less, tuple(less.list(NetworkPolicy)), DEFAULT))


@settings(max_examples=40)
@given(RANDOMS)
def test_a_proposal_opens_what_was_seen_and_nothing_else(dice):
    state = cluster(dice, policies=0)
    pods = [pod for pod in state.list(Pod) if not pod.spec.host_network]
    ends = [pod_end(state, pod, DEFAULT) for pod in pods]
    drawn = [
        Flow(dice.choice(ends), dice.choice(ends), "TCP", dice.choice([8080, 9090]))
        for _ in range(dice.randint(1, 6))
    ]
    policies = [decode(dict(manifest)) for manifest in propose(state, drawn).policies]
    after = State(state.config, {**state.objects, **{key_of(p): p for p in policies}})
    seen = {
        (kind_of(f.source.pod), kind_of(f.destination.pod), f.port)
        for f in drawn
        if f.source.pod and f.destination.pod
    }
    spaces = {end.pod.namespace for f in drawn for end in (f.source, f.destination) if end.pod}
    for one in ends:
        for other in ends:
            assert one.pod
            assert other.pod
            if other.pod.namespace not in spaces or one.pod is other.pod:
                continue
            for port in (8080, 9090, 7070):
                wanted = (kind_of(one.pod), kind_of(other.pod), port) in seen
                assert judge(after, Flow(one, other, "TCP", port)).allowed == wanted


def test_a_visitor_from_outside_gets_a_door_of_its_own():
    state = cluster(Random(1), policies=0)
    near = pod_end(state, next(iter(state.list(Pod))), DEFAULT)
    far = address_end(state, ip_address("203.0.113.9"), DEFAULT)
    (rule,) = propose(state, [Flow(far, near, "TCP", 8080)]).policies[1]["spec"]["ingress"]
    assert rule["from"] == [{"ipBlock": {"cidr": "203.0.113.9/32"}}]
