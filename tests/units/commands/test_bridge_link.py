"""`bridge link set dev DEV hairpin on`: what it changes, and how it refuses."""

from __future__ import annotations

import pytest

from labkit import faults, on, scenario
from labkit.errors import CommandError


@pytest.fixture
def lab():
    found = scenario("shop")
    found.inject(faults.hairpin_off("node-2"))
    return found


def port(lab):
    return next(k.name for k in lab.network.namespaces["node/node-2"].links if k.master)


def test_a_port_that_may_send_back_lets_a_pod_reach_itself(lab):
    assert lab.trace("pod/backend", "svc/backend:80").outcome == "timed out"
    assert on(lab, "node-2", f"bridge link set dev {port(lab)} hairpin on") == ""
    assert "hairpin on" in on(lab, "node-2", f"ip -d link show dev {port(lab)}")
    assert lab.trace("pod/backend", "svc/backend:80").outcome == "answered"


def test_undo_takes_it_back(lab):
    on(lab, "node-2", f"bridge link set dev {port(lab)} hairpin on")
    lab.undo()
    assert lab.trace("pod/backend", "svc/backend:80").outcome == "timed out"


REFUSED = {
    # what it shows: (place, device, what a real bridge prints)
    "no such device": ("node-2", "nope", 'Cannot find bridge device "nope"'),
    "no port of a bridge": ("node-2", "eth0", "RTNETLINK answers: Operation not supported"),
    "a pod may not": ("pod/backend", "eth0", "RTNETLINK answers: Operation not permitted"),
}


@pytest.mark.parametrize(("place", "device", "says"), REFUSED.values(), ids=REFUSED)
def test_refusals_are_those_of_the_tool(lab, place, device, says):
    out = on(lab, place, f"bridge link set dev {device} hairpin on")
    assert (out, out.exit_code) == (says, 255)


def test_other_settings_are_not_modelled(lab):
    with pytest.raises(CommandError, match="hairpin on"):
        on(lab, "node-2", "bridge link set dev eth0 learning off")
