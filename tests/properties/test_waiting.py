"""Time stops wherever something is due: one long wait tells what many short ones tell."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from labkit import kubectl
from labkit.cluster import Cluster
from tests.units.controllers.test_time import PROBE, web
from tests.units.controllers.worlds import node, service

CRASHING = """apiVersion: v1
kind: Pod
metadata: {name: twins}
spec:
  containers:
  - {name: a, image: a:1, ports: [{containerPort: 80}]}
  - {name: b, image: b:1, ports: [{containerPort: 80}]}
"""
times = st.integers(0, 9).map(str)


@st.composite
def lifetimes(draw):
    probe = draw(st.sampled_from([None, PROBE, {**PROBE, "initialDelaySeconds": 5}]))
    hook = draw(st.sampled_from([None, {"preStop": {"sleep": {"seconds": 4}}}]))
    surge, unavailable = draw(st.sampled_from([(1, 0), (0, 1), (2, 1), ("25%", "100%")]))
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return {
        "probe": probe,
        "hook": hook,
        "starts": f"0-{draw(times)}",
        "stops": draw(times),
        "strategy": rolling,
    }


def story(lab):
    return [(m.state.now, m.events) for m in lab.history if m.events]


@settings(max_examples=15)
@given(lifetimes(), lifetimes(), st.sampled_from(["", CRASHING]))
def test_a_wait_of_a_minute_is_sixty_of_a_second(first, then, more):
    lab = Cluster.from_manifests([node("a"), node("b"), service("web")])
    lab.apply([web(3, **first)])
    if more:
        lab.apply(more)
    lab.wait(7)
    lab.apply([web(3, **then)])
    kubectl(lab, "scale deployment web --replicas=2")
    one, many = lab.fork(), lab.fork()
    one.wait(60)
    for _ in range(60):
        many.wait(1)
    assert story(one) == story(many)
    assert one.state.objects == many.state.objects
