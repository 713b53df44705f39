"""Requests follow their connections, and connections follow the tables."""

from __future__ import annotations

import numpy as np
import pytest

from labkit import LabError, kubectl, scenario
from labkit.kernel.dice import SeededDice
from labkit.traffic import arrivals
from labkit.traffic.load import Demand
from labkit.traffic.ways import Stage, way

MODES = ("iptables", "nftables", "ipvs", "ebpf")
each_mode = pytest.mark.parametrize("mode", MODES)
BACKEND = ("pod/frontend", "svc/backend:80")
STICKY = """apiVersion: v1
kind: Service
metadata: {name: backend}
spec:
  type: NodePort
  selector: {app: backend}
  sessionAffinity: %s
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
"""


def shop(mode="iptables", pods=3, sticky=False, **config):
    lab = scenario("shop", proxy_mode=mode, **config)
    kubectl(lab, f"scale deployment backend --replicas={pods}")
    if sticky:
        lab.apply(STICKY % "ClientIP")
    return lab


def scaled(lab, pods):
    other = lab.fork()
    kubectl(other, f"scale deployment backend --replicas={pods}")
    return other


def chi_square(seen, expected):
    return sum((a - b) ** 2 / b for a, b in zip(seen, expected, strict=True))


# --- chance ------------------------------------------------------------------------------------


def test_the_dice_are_those_of_the_kernels_model():
    dice = SeededDice(7)
    one_by_one = [dice.below(2**64) / 2**64 for _ in range(50)]
    assert np.allclose(arrivals.uniforms(7, 50), one_by_one, atol=2**-53, rtol=0)


LIMIT = {2: 10.8, 3: 13.8, 7: 22.5}  # chi-square: one seed in a thousand lies above


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ebpf"])
@pytest.mark.parametrize("pods", LIMIT)
def test_shares_are_the_exact_chances(mode, pods):
    lab = shop(mode, pods)
    exact = lab.outcomes(*BACKEND).ends
    load = lab.load(*BACKEND, clients=200, rate=1, seconds=60, per_connection=1)
    assert set(load.totals) == set(exact)
    wanted = [float(exact[end]) * 12_000 for end in load.ends]
    assert sum(load.opened) == 12_000
    assert chi_square(load.opened, wanted) < LIMIT[pods]


@each_mode
def test_a_seed_gives_the_same_run_and_another_seed_another(mode):
    lab, other = shop(mode), shop(mode, seed=2)
    how = {"clients": 30, "rate": 1.0, "per_connection": 7}
    assert lab.load(*BACKEND, **how) == lab.load(*BACKEND, **how)
    if mode != "ipvs":  # which takes turns
        assert lab.load(*BACKEND, **how) != other.load(*BACKEND, **how)


# --- agreement with the walk -------------------------------------------------------------------

# Seconds of one client's connections under an affinity of 60 s; some find the memory, some not.
TIMES = (0, 30, 89, 150, 150.5, 210.5, 271, 300)


def walked(lab, times, source="pod/frontend"):
    """(pod, whether the memory decided) of connections at these times, walked one by one."""
    found, now = [], 0.0
    for at in times:
        lab.wait(at - now)
        now = at
        known = len(lab.outcomes(source, "svc/backend:80").ends) == 1
        made = lab.connect(source, "svc/backend:80")
        found.append((made.places[made.request.end].title, known))
    return found


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ebpf"])
def test_affinity_forgets_when_the_walks_own_memory_does(mode):
    lab = shop(mode, 8, sticky=True)
    stage = Stage(0.0, lab.state, lab.network)
    found = way(stage, *BACKEND)
    remembered = [known for _, known in walked(lab, TIMES)]
    at = np.array(TIMES, dtype=float)
    nothing = np.zeros(len(at), dtype=np.int64)
    new = arrivals.Opened(at, nothing, nothing, nothing, nothing)
    luck = np.arange(len(at)) / len(at)  # every fresh choice is another pod
    number = {end: i for i, end in enumerate(found.ends)}
    pods = arrivals.drawn(found, new, luck, number, arrivals.Memory())
    assert [False, *(np.diff(pods) == 0)] == remembered
    assert True in remembered
    assert remembered.count(False) > 2


@pytest.mark.parametrize("scheduler", ["rr", "lc", "sh", "sed", "nq", "wlc"])
@pytest.mark.parametrize("sticky", [False, True])
def test_ipvs_takes_the_turns_that_the_walk_takes(scheduler, sticky):
    lab = shop("ipvs", 4, sticky, proxy_options={"scheduler": scheduler})
    found = way(Stage(0.0, lab.state, lab.network), *BACKEND)
    turn = arrivals.Turn()
    chosen = [found.servers[turn.next(found, at, 1e9)] for at in TIMES]
    assert chosen == [pod for pod, _ in walked(lab, TIMES)]


def test_a_least_connection_scheduler_heeds_connections_that_ended():
    found = way(_stage(shop("ipvs", 2, proxy_options={"scheduler": "lc"})), *BACKEND)
    turn = arrivals.Turn()
    first = turn.next(found, 0, until=1)
    second = turn.next(found, 0, until=100)
    assert first != second
    assert turn.next(found, 2, until=100) == first  # one inactive costs less than one active


def _stage(lab):
    return Stage(0.0, lab.state, lab.network)


# --- what the node sees ------------------------------------------------------------------------


@each_mode
def test_clients_behind_one_address_share_one_memory(mode):
    lab = shop(mode, 3, sticky=True)
    found = way(_stage(lab), "outside", "node/node-1:30080")
    assert found.memory == ("node/node-1", "203.0.113.9")
    load = lab.load("outside", "node/node-1:30080", clients=60, rate=1, per_connection=5)
    assert sorted(load.totals.values()) == [0, 0, 3600]


def test_each_pod_of_a_deployment_has_a_memory_of_its_own():
    lab = shop("iptables", 3, sticky=True)
    kubectl(lab, "scale deployment frontend --replicas=12")
    load = lab.load("deployment/frontend", "svc/backend:80", clients=120, per_connection=5)
    assert all(load.totals.values())
    assert all(n % 6000 == 0 for n in load.totals.values())  # whole pods of ten clients


# --- over time ---------------------------------------------------------------------------------


@each_mode
def test_pods_that_come_later_get_nothing_of_old_connections(mode):
    lab = shop(mode)
    load = lab.load(*BACKEND, after={30: scaled(lab, 6)}, clients=90)
    late = [end for end, since in zip(load.ends, load.since, strict=True) if since]
    assert len(late) == 3
    assert [load.totals[end] for end in late] == [0, 0, 0]
    assert load.spread() > 0.9


@each_mode
@pytest.mark.parametrize("how", [{"max_age": 0.5}, {"chooses": "client"}, {"chooses": "proxy"}])
def test_each_cure_alone_brings_the_later_pods_their_share(mode, how):
    lab = shop(mode)
    load = lab.load(*BACKEND, after={30: scaled(lab, 6)}, clients=200, **how)
    assert load.spread(since=35) < 0.1


@each_mode
def test_connections_to_pods_that_go_are_opened_anew(mode):
    lab = shop(mode, 6)
    load = lab.load(*BACKEND, after={30: scaled(lab, 2)}, clients=60)
    assert sorted(load.until) == [30, 30, 30, 30, 60, 60]
    gone = [row for row, until in zip(load.requests, load.until, strict=True) if until == 30]
    assert all(not any(row[6:]) for row in gone)
    assert sum(load.totals.values()) == 60 * 10 * 60


@each_mode
def test_without_a_pod_all_is_refused_until_one_is_there(mode):
    lab = shop(mode, 0)
    load = lab.load(*BACKEND, after={30: scaled(lab, 1)}, clients=10)
    bad = "unreachable" if mode == "ebpf" else "refused"
    assert load.totals[bad] == 3000
    assert sum(load.totals.values()) == 6000
    assert load.answer.endswith("3000 requests got no answer.")


@pytest.mark.parametrize("chooses", ["node", "client", "proxy"])
@pytest.mark.parametrize("rate", [0.7, 1, 10])
def test_no_request_is_lost_or_made_up(chooses, rate):
    lab = shop()
    load = lab.load(*BACKEND, after={17: scaled(lab, 5)}, clients=13, rate=rate, chooses=chooses)
    wanted = sum(arrivals.Pace(arrivals.uniforms(1, 13) / rate, rate).asked(60))
    assert sum(load.totals.values()) == wanted
    assert load.frame().to_numpy().sum() == wanted


# --- words -------------------------------------------------------------------------------------

MISTAKES = {
    "no such option": ({"ages": 3}, "load: there is no `ages`; there are clients, rate"),
    "a number below 0": ({"max_age": -1}, "load: max_age is -1; give a number above 0"),
    "half a request": ({"per_connection": 2.5}, "load: per_connection is 2.5; give a whole number"),
    "an age of what is kept": ({"chooses": "client", "max_age": 5}, "load: a client with the list"),
    "nobody chooses": ({"chooses": "kube"}, "load: chooses is 'kube'; choose node, client, proxy"),
    "too many": ({"clients": 10**7, "per_connection": 1}, "load: more than 5000000 connections"),
    "no list": ({"target": "pod/backend", "chooses": "client"}, "pod/backend: no Service"),
    "no deployment": ({"source": "deployment/front"}, "deployment/front: no Deployment"),
}


@pytest.mark.parametrize(("how", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_cure(how, says):
    places = {"source": "pod/frontend", "target": "svc/backend:80"}
    with pytest.raises(LabError, match="^" + says.replace("?", r"\?")):
        shop().load(**(places | how))


@pytest.mark.parametrize("second", [-1, 60])
def test_a_change_outside_the_run_is_a_mistake(second):
    lab = shop()
    with pytest.raises(LabError, match="give a second from 0 to below 60"):
        lab.load(*BACKEND, after={second: lab})


def test_a_stage_without_a_change_is_none():
    lab = shop()
    assert lab.load(*BACKEND, after={30: lab.fork()}).changes == ()


WORDS = {
    (): "8 clients, 10 requests a second each; connections that never end",
    ("max_age", 5): "8 clients, 10 requests a second each; connections that end at an age of 5 s",
    ("per_connection", 1): (
        "8 clients, 10 requests a second each; connections that end after 1 request"
    ),
    ("clients", 1): "1 client, 10 requests a second each; one connection that never ends",
}


@pytest.mark.parametrize("how", WORDS)
def test_a_demand_says_what_it_asks(how):
    assert Demand(**dict([how] if how else [])).words == WORDS[how]


# --- other tables ------------------------------------------------------------------------------

DENY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {matchLabels: {app: backend}}, policyTypes: [Ingress]}
"""


def test_what_a_policy_drops_is_counted_as_no_answer():
    lab = scenario("shop", cni="calico")
    closed = lab.fork()
    closed.apply(DENY)
    load = lab.load(*BACKEND, after={30: closed}, clients=10, per_connection=1)
    assert load.totals == {"backend-nhrrn42kln-wrvsg": 3000, "timed out": 3000}


def test_connections_to_a_pod_that_is_no_longer_chosen_go_on():
    lab = shop()
    other = lab.fork()
    name = other.list("pods", selector="app=backend")[0].name
    kubectl(other, f"label pod {name} app=spare --overwrite")
    load = lab.load(*BACKEND, after={30: other}, clients=30)
    row = load.requests[load.ends.index(name)]
    assert row[0] > 0
    assert row[0] == row[-1]
    assert load.until[load.ends.index(name)] == 30


@each_mode
def test_a_node_that_may_use_its_own_pods_only_does_so(mode):
    lab = shop(mode, 3)
    lab.apply((STICKY % "ClientIP").replace("type:", "internalTrafficPolicy: Local\n  type:"))
    kubectl(lab, "scale deployment frontend --replicas=4")
    load = lab.load("deployment/frontend", "svc/backend:80", clients=4, per_connection=1)
    by_node = {pod.name: pod.spec.node_name for pod in lab.list("pods")}
    frontends = [by_node[pod.name] for pod in lab.list("pods", selector="app=frontend")]
    wanted = {end: 600 * frontends.count(by_node[end]) for end in load.ends}
    assert load.totals == wanted
