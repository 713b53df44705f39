"""Whatever cluster: every connection has a path and a verdict, and a sound one is reachable."""

from __future__ import annotations

from fractions import Fraction
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api.core import Pod
from labkit.api.state import State
from labkit.traffic import faults
from labkit.traffic.chances import outcomes
from labkit.traffic.connect import Outcome, connect
from labkit.traffic.program import program
from tests.clusters import node, pod, service, state_of

BACKENDS = st.sampled_from(["flannel", "flannel/host-gw", "calico", "calico/vxlan"])
FOREIGN = ("172.16.9.9", "10.244.3.200", "10.50.0.7", "192.168.7.99")


@st.composite
def sound(draw) -> State:
    """Pods with addresses of their nodes' ranges, and Services in front of some of them."""
    nodes = draw(st.integers(1, 3))
    places = draw(st.lists(st.integers(1, nodes), min_size=1, max_size=5))
    pods = [pod(f"p{i}", f"10.244.{on}.{i + 2}", on=on) for i, on in enumerate(places)]
    backends = draw(st.lists(st.sampled_from(pods), unique_by=lambda p: p.name, max_size=4))
    return state_of(
        *(node(i) for i in range(1, nodes + 1)),
        *pods,
        service("s", "10.96.0.20", *backends, port_name="http"),
        cni=draw(BACKENDS),
    )


@st.composite
def dumped(draw) -> State:
    """What a dump of some other cluster may hold: strange addresses, nodes without ranges."""
    state = draw(sound())
    strange = [
        pod(f"x{i}", address, on=draw(st.integers(1, 2)))
        for i, address in enumerate(draw(st.lists(st.sampled_from(FOREIGN), unique=True)))
    ]
    bare = node(2, cidr=draw(st.sampled_from(["", "10.77.0.0/26"])), address="172.18.0.5")
    return state_of(*state, *strange, bare, cni=state.config.cni)


BREAKS = st.lists(
    st.sampled_from(
        [
            faults.missing_route("node-1", "10.244.2.0/24"),
            faults.ip_forward_off("node-1"),
            faults.bridge_nf_off("node-1"),
            faults.flushed_chain("node-1", "nat", "KUBE-SERVICES"),
            faults.link_down("node-1", "cni0"),
            faults.hairpin_off("node-1"),
            faults.mtu("node-1", "eth0", 1400),
            faults.icmp_filtered("node-1"),
            faults.extra_route("node-1", "10.244.2.0/24", via="192.168.7.1"),
        ]
    ),
    max_size=3,
)


def targets(state: State) -> list[str]:
    pods = [f"pod/{p.name}:{port}" for p in state.list(Pod) for port in (8080, 81)]
    return [*pods, "svc/s:80", "10.96.0.20:81", "node/node-1:10250", "outside", "10.9.9.9:80"]


@settings(max_examples=40, deadline=None)
@given(st.one_of(sound(), dumped()), BREAKS, st.sampled_from([0, 20000]))
def test_every_connection_has_a_path_and_a_verdict(state, broken, size):
    network = faults.faulty(program(state), broken)
    for source in [f"pod/{p.name}" for p in state.list(Pod)] + ["node/node-1", "outside"]:
        for target in targets(state):
            found = connect(state, network, source, target, size=size)
            assert found.outcome in get_args(Outcome)
            assert found.request.hops, f"{source} {target}"
            assert all(hop.why and hop.says for hop in found.hops), str(found)
            assert {hop.netns for hop in found.hops} <= set(found.places)
            assert str(found).startswith(found.heading)


@settings(max_examples=40, deadline=None)
@given(sound())
def test_every_pod_of_a_sound_cluster_is_reached_by_its_own_address(state):
    network = program(state)
    for one in state.list(Pod):
        for other in state.list(Pod):
            found = connect(state, network, f"pod/{one.name}", f"pod/{other.name}:8080")
            assert found.outcome == "answered", str(found)
            assert found.request.packet.src == one.addresses[0], "pods see each other without NAT"


@settings(max_examples=30, deadline=None)
@given(sound(), BREAKS)
def test_the_chances_of_all_ends_add_up_to_one(state, broken):
    network = faults.faulty(program(state), broken)
    for one in state.list(Pod):
        found = outcomes(state, network, f"pod/{one.name}", "svc/s:80")
        assert sum(found.ends.values()) == Fraction(1)
