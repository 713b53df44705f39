"""How long programs take to start and to stop, and what cuts them off."""

from __future__ import annotations

import pytest

from labkit.api.lifecycle import farewell, parse_span, pre_stop, starts_in
from labkit.api.objects import decode
from labkit.cluster import Cluster
from labkit.errors import Conflict, ManifestError
from tests.units.controllers.worlds import container, node, pod, workload


def made(stops: str = "0", grace: int = 30, **hook):
    lifecycle = {"lifecycle": {"preStop": hook}} if hook else {}
    plain = pod(
        "web",
        container(80, **lifecycle),
        meta={"annotations": {"labkit.dev/stops-in": stops}},
        terminationGracePeriodSeconds=grace,
    )
    return decode(plain)


def sleep(seconds: int):
    return {"sleep": {"seconds": seconds}}


HOOKS = {
    # what it shows: (hook, seconds)
    "the sleep action": (sleep(5), 5),
    "a command": ({"exec": {"command": ["sleep", "15"]}}, 15),
    "a shell's command": ({"exec": {"command": ["sh", "-c", "touch /tmp/off; sleep 7"]}}, 7),
    "another command takes no time": ({"exec": {"command": ["nginx", "-s", "quit"]}}, 0),
    "nor does a request": ({"httpGet": {"port": 80, "path": "/bye"}}, 0),
    "no hook": ({}, 0),
}


@pytest.mark.parametrize(("hook", "seconds"), HOOKS.values(), ids=HOOKS)
def test_a_hook_takes_its_time(hook, seconds):
    assert pre_stop(made(**hook).spec.containers[0]) == seconds


ENDS = {
    # what it shows: (pod, seconds from its deletion to its end)
    "neither hook nor work to finish": (made(), 0),
    "the hook, then the program": (made("3", **sleep(5)), 8),
    "SIGKILL ends both": (made("60", 10, **sleep(5)), 10),
    "a hook is cut, and the program still has two seconds": (
        made("60", 10, exec={"command": ["sleep", "60"]}),
        12,
    ),
    "a quick program does not need them": (made("0", 10, exec={"command": ["sleep", "60"]}), 10),
}


@pytest.mark.parametrize(("leaving", "seconds"), ENDS.values(), ids=ENDS)
def test_hook_and_program_share_the_grace_period(leaving, seconds):
    assert farewell(leaving, leaving.spec.termination_grace_period_seconds) == seconds


def test_a_span_gives_each_pod_its_own_number():
    notes = {"annotations": {"labkit.dev/starts-in": "2-6"}}
    drawn = [starts_in(decode(pod(f"web-{i}", meta=notes))) for i in range(40)]
    assert set(drawn) == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("text", ["", "soon", "-1", "6-2", "1.5", "3s"])
def test_a_bad_span_is_refused_in_one_line(text):
    with pytest.raises(ManifestError, match="whole seconds") as caught:
        parse_span(text)
    assert len(str(caught.value).splitlines()) == 1


def test_a_bad_span_never_gets_into_a_state():
    notes = {"annotations": {"labkit.dev/stops-in": "never"}}
    with pytest.raises(ManifestError, match="never"):
        Cluster.from_manifests([node("a"), workload("Deployment", "web", 1, template=notes)])


def test_the_api_server_refuses_a_sleep_longer_than_the_grace_period():
    spec = {"containers": [container(80, lifecycle={"preStop": sleep(31)})]}
    with pytest.raises(Conflict, match=r"less than terminationGracePeriodSeconds \(30\)"):
        Cluster.from_manifests([node("a"), workload("Deployment", "web", 1, pod=spec)])
