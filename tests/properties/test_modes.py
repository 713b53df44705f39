"""Four proxy modes are four ways of one thing: they agree wherever Kubernetes says what happens.

Where it leaves the answer open (a ping, an undefined port, localhost) nothing is asked here, and
IPVS is left out where it is known to break the word of Local (it falls back to other nodes' pods
when a node has none); `tests/units/proxy/test_modes.py` says what each mode does there.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api.core import Service, ServicePortSpec
from labkit.api.state import State
from labkit.kernel.dice import FirstDice
from labkit.proxy import MODES
from labkit.traffic.chances import FAILURES, outcomes
from labkit.traffic.connect import connect
from labkit.traffic.program import program
from tests.clusters import node, pod, service, state_of

NODES = (1, 2, 3)
ADDRESSES = {n: f"192.168.7.{10 + n}" for n in NODES}
POLICIES = st.sampled_from(["Cluster", "Local"])
Calls = list[tuple[str, str]]


@st.composite
def clusters(draw: st.DrawFn) -> tuple[tuple, Calls, Calls]:
    """(objects, calls that must be answered alike, calls that nobody may answer)."""
    places = draw(st.lists(st.sampled_from(NODES), min_size=1, max_size=5))
    pods = [pod(f"p{i}", f"10.244.{on}.{i + 10}", on=on) for i, on in enumerate(places)]
    clients = [pod(f"c{n}", f"10.244.{n}.9", on=n) for n in NODES]
    behind = draw(st.lists(st.sampled_from(pods), unique_by=lambda p: p.name, max_size=4))
    inside, outside = draw(POLICIES), draw(POLICIES)
    svc, slice_ = service(
        "s",
        "10.96.0.20",
        *behind,
        type="NodePort",
        internal_traffic_policy=inside,
        external_traffic_policy=outside,
        session_affinity=draw(st.sampled_from(["None", "ClientIP"])),
    )
    ports = (ServicePortSpec(port=80, target_port=8080, node_port=30080),)
    svc = msgspec.structs.replace(svc, spec=msgspec.structs.replace(svc.spec, ports=ports))
    near = {p.spec.node_name for p in behind}
    objects = (*map(node, NODES), *pods, *clients, svc, slice_)
    promised = calls(inside, outside, [p.name for p in behind], near)
    some = (
        draw(st.lists(st.sampled_from(c), max_size=4, unique=True)) if c else [] for c in promised
    )
    return (objects, *some)


def calls(inside: str, outside: str, behind: list[str], near: set[str]) -> tuple[Calls, Calls]:
    """What Kubernetes promises: pods and nodes by the inner policy, the outside by the outer."""
    answered: Calls = []
    refused: Calls = []
    for n in NODES:
        served = bool(behind) and (inside == "Cluster" or f"node-{n}" in near)
        for source in (f"pod/c{n}", f"node/node-{n}"):
            (answered if served else refused).append((source, "10.96.0.20:80"))
        door = ADDRESSES[n] + ":30080"
        served = bool(behind) and (outside == "Cluster" or f"node-{n}" in near)
        if served or not behind:
            (answered if served else refused).append(("outside", door))
        if outside == "Cluster":
            (answered if behind else refused).append((f"pod/c{n}", door))
    if inside == "Cluster":
        answered += [(f"pod/{name}", "10.96.0.20:80") for name in behind]
    return answered, refused


def ends(state: State, source: str, target: str) -> dict[str, Fraction]:
    """Who may answer, and how often. IPVS is asked once for each of its turns."""
    if state.config.proxy_mode != "ipvs":
        return dict(outcomes(state, program(state), source, target).ends)
    turns = list(in_turn(state, source, target))
    return {end: Fraction(turns.count(end), len(turns)) for end in turns}


def in_turn(state: State, source: str, target: str) -> Iterator[str]:
    """The ends of as many connections as there are pods: every number up to 4 divides 12."""
    table = {}
    for sport in range(41000, 41012):
        how = {"conntrack": table, "dice": FirstDice(), "sport": sport}
        found = connect(state, program(state), source, target, **how)
        table = found.conntrack
        yield found.places[found.request.end].title if found else found.outcome


@settings(max_examples=60)
@given(clusters())
def test_the_modes_agree_on_who_answers_and_how_often(drawn):
    objects, answered, refused = drawn
    states = {mode: state_of(*objects, proxy_mode=mode) for mode in MODES}
    for source, target in answered:
        found = {mode: ends(state, source, target) for mode, state in states.items()}
        first, turns = found["iptables"], found.pop("ipvs")
        words = f"{source} -> {target}: {found}, ipvs {turns}"
        assert not first.keys() & set(FAILURES), words
        assert all(each == first for each in found.values()), words
        # A client with affinity has one pod; without, IPVS goes round all of them.
        assert turns.keys() <= first.keys(), words
        assert len(turns) == 1 if sticky(objects) else turns == first, words
    for source, target in refused:
        asked = [mode for mode in MODES if mode != "ipvs" or not local(objects)]
        found = {mode: ends(states[mode], source, target) for mode in asked}
        assert all(end.keys() <= set(FAILURES) for end in found.values()), f"{target}: {found}"


def local(objects: tuple) -> bool:
    specs = [o.spec for o in objects if isinstance(o, Service)]
    return any("Local" in (s.internal_traffic_policy, s.external_traffic_policy) for s in specs)


def sticky(objects: tuple) -> bool:
    return any(isinstance(o, Service) and o.spec.session_affinity == "ClientIP" for o in objects)
