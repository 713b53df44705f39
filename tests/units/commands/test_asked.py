"""Questions put to a cluster are remembered, one for each line typed."""

from __future__ import annotations

import pytest

from labkit import kubectl, on, scenario

LINES = {
    # what it shows: (what is typed, what is remembered)
    "kubectl asks": (lambda lab: kubectl(lab, "kubectl get pods"), ["kubectl get pods"]),
    "a line in a pod": (
        lambda lab: on(lab, "pod/frontend", "curl http://backend"),
        ["pod/frontend: curl http://backend"],
    ),
    "the same by exec": (
        lambda lab: kubectl(lab, "exec deploy/frontend -- curl http://backend"),
        ["kubectl exec deploy/frontend -- curl http://backend"],
    ),
    "a call": (lambda lab: lab.trace("pod/frontend", "svc/backend:80"), ["trace"]),
    "what changes asks nothing": (lambda lab: kubectl(lab, "scale deploy/db --replicas=2"), []),
}


@pytest.mark.parametrize(("act", "remembered"), LINES.values(), ids=LINES)
def test_each_line_is_one_question(act, remembered):
    lab = scenario("shop")
    act(lab)
    assert lab.asked == remembered


def test_a_fork_is_asked_on_its_own():
    lab = scenario("shop")
    lab.fork().outcomes("pod/frontend", "svc/backend:80")
    assert lab.asked == []
