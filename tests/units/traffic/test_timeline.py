"""What connections meet while endpoints change and the nodes' rules come late."""

from __future__ import annotations

from fractions import Fraction

import pytest

from labkit import kubectl, scenario
from labkit.errors import CommandError, NotFound
from labkit.traffic.chances import FAILURES, outcomes
from labkit.traffic.faults import faulty, kube_proxy_stopped
from labkit.traffic.program import program
from labkit.traffic.timeline import failed

BACKEND = """apiVersion: apps/v1
kind: Deployment
metadata: {name: backend}
spec:
  replicas: 3
  selector: {matchLabels: {app: backend}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: %(unavailable)s}}
  template:
    metadata:
      labels: {app: backend}
      annotations: {labkit.dev/starts-in: "2-6", labkit.dev/stops-in: "0"}
    spec:
      containers:
      - name: backend
        image: shop.example/backend:%(tag)s
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 2}
        lifecycle: {preStop: {sleep: {seconds: %(sleep)s}}}
"""
WAY = ("pod/frontend", "svc/backend:80")


def rollout(sleep=0, unavailable=1, **config):
    lab = scenario("shop", nodes=2, **config)
    said = {"sleep": sleep, "unavailable": unavailable}
    lab.apply(BACKEND % {"tag": "1", **said})
    lab.wait(30)
    lab.apply(BACKEND % {"tag": "2", **said})
    lab.wait(30)
    return lab


def scaled_down(sleep=5):
    lab = scenario("shop", nodes=2)
    lab.apply(BACKEND % {"tag": "1", "sleep": sleep, "unavailable": 1})
    lab.wait(30)
    kubectl(lab, "scale deployment backend --replicas=0")
    lab.wait(12)
    return lab


FAIL = {
    # what it shows: (preStop in seconds, maxUnavailable, delay in seconds, does any fail?)
    "nobody is late": (0, 1, 0, False),
    "a pod leaves before the rules know": (0, 1, 2, True),
    "it stays, but not long enough": (1, 1, 2, True),
    "it stays as long as the rules are late": (2, 1, 2, False),
    "all leave before the first new one is ready": (2, 3, 2, True),
    "nobody may be missing, and yet one leaves too early": (0, 0, 2, True),
}


@pytest.mark.parametrize(("sleep", "missing", "late", "any_"), FAIL.values(), ids=FAIL)
def test_connections_fail_while_rules_lead_to_pods_that_are_gone(sleep, missing, late, any_):
    found = rollout(sleep, missing).timeline(*WAY, last=32, delay=late)
    assert (found.failed > 0) is any_


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs", "ebpf"])
def test_every_mode_can_be_late(mode):
    lab = rollout(proxy_mode=mode)
    assert lab.timeline(*WAY, last=32).failed == 0
    assert lab.timeline(*WAY, last=32, delay=2).failed > 0


def test_each_tick_is_the_network_of_now_with_the_rules_of_then():
    lab = rollout()
    found = lab.timeline(*WAY, last=32, delay={"node-1": 3, "node-2": 1})
    first = lab.state.now - 32
    for tick in found.ticks:
        now, three, one = (_at(lab, first + tick.at - late) for late in (0, 3, 1))
        stopped = [
            kube_proxy_stopped("node-1", program(three)),
            kube_proxy_stopped("node-2", program(one)),
        ]
        wanted = outcomes(now, faulty(program(now), stopped), *WAY)
        assert tick.failed == sum((wanted[f] for f in FAILURES), Fraction(0))


def _at(lab, now):
    return [m.state for m in lab.history if m.state.now <= now][-1].at_time(now)


def test_the_client_nodes_delay_alone_decides_for_its_connections():
    lab = rollout()
    assert lab.timeline(*WAY, last=32, delay={"node-1": 2}).failed > 0
    assert lab.timeline(*WAY, last=32, delay={"node-2": 2}).failed == 0


def test_when_all_are_leaving_connections_succeed_until_the_last_has_gone():
    found = scaled_down().timeline(*WAY, last=15)
    told = [(t.at, str(t.failed)) for t in found.ticks if t.at in (3, 7, 8, 15)]
    assert told == [(3, "0"), (7, "0"), (8, "1"), (15, "1")]
    assert {life.entry[4] for life in found.lives} == {"serving"}
    assert found.ticks[-1].failures == {"refused": Fraction(1)}


def test_an_open_connection_survives_its_endpoints_end_and_dies_with_the_program():
    found = scaled_down().timeline(*WAY, last=15, delay=0)
    for life in found.lives:
        assert life.entry[3:8] == ("serving",) * 5
        assert life.held == (True,) * 8 + (False,) * 8


def test_an_open_connection_outlives_the_rule_that_made_it():
    lab = rollout(sleep=8)
    old = next(x for x in lab.timeline(*WAY, last=32).lives if "terminating" in x.pod)
    left = old.pod.index("terminating")
    assert not old.used["node-1"][left]
    assert old.held[left + 7]
    assert not old.held[left + 8]


def test_the_lanes_follow_one_another():
    found = rollout(sleep=5).timeline(*WAY, last=32, delay=2)
    new = next(x for x in found.lives if x.pod[0] == "")
    steps = [new.listens.index(True), new.entry.index("ready"), new.used["node-1"].index(True)]
    assert steps == sorted(steps)
    assert steps[2] - steps[1] == 2


def test_acts_are_marked():
    found = rollout().timeline(*WAY, last=32)
    assert found.acts == ((2.0, "deployment/backend configured"),)


@pytest.mark.parametrize(("sleep", "missing", "late", "any_"), FAIL.values(), ids=FAIL)
def test_failed_walks_less_and_finds_the_same(sleep, missing, late, any_):
    said, known = {"sleep": sleep, "unavailable": missing}, {}
    base = rollout(sleep, missing)
    for tag in "345":
        lab, how = base.fork(), {"last": 31, "step": 0.5, "delay": {"node-1": late, "node-2": 1}}
        lab.apply(BACKEND % {"tag": tag, **said})
        lab.wait(30)
        ticks = lab.timeline(*WAY, **how).ticks
        wanted = tuple((t.at, t.failures) for t in ticks if t.failed)
        assert failed(lab.history, *WAY, known, **how) == wanted
        assert bool(wanted) is any_


@pytest.mark.parametrize("how", [{"last": 0}, {"last": 1e6}, {"last": 5, "step": 0}])
def test_a_stretch_that_is_none_is_refused(how):
    with pytest.raises(CommandError, match="ticks"):
        scenario("shop").timeline(*WAY, **how)


def test_names_are_checked():
    with pytest.raises(NotFound, match="backend"):
        rollout().timeline("pod/frontend", "svc/backedn:80")
