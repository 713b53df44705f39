"""`ip route add|replace|change|del` on a node: what a real kernel and iproute2 say and do."""

from __future__ import annotations

import pytest

from labkit import Cluster, faults, on
from labkit.errors import CommandError, NotFound

ADD = "ip route add 10.244.2.0/24 via 192.168.7.12"


@pytest.fixture
def lab() -> Cluster:
    """Three nodes without a way to each other's pods."""
    lab = Cluster.from_manifests(cni="flannel/host-gw")
    lab.inject(faults.no_pod_routes("node-1"))
    return lab


def test_an_added_route_is_in_the_table_and_nothing_is_printed(lab):
    before = on(lab, "node-1", "ip route").splitlines()
    printed = on(lab, "node-1", ADD)
    assert (printed, printed.exit_code) == ("", 0)
    after = on(lab, "node-1", "ip route").splitlines()
    assert set(after) - set(before) == {"10.244.2.0/24 via 192.168.7.12 dev eth0"}


def test_undo_takes_a_typed_route_back(lab):
    before = on(lab, "node-1", "ip route")
    on(lab, "node-1", ADD)
    lab.undo()
    assert on(lab, "node-1", "ip route") == before


def test_a_typed_route_stays_while_the_cluster_goes_on(lab):
    on(lab, "node-1", ADD)
    lab.wait(60)
    assert on(lab, "node-1", "ip route").grep("10.244.2.0/24 via")


def test_a_fork_is_not_touched(lab):
    on(lab.fork(), "node-1", ADD)
    assert not on(lab, "node-1", "ip route").grep("10.244.2.0/24")


# What is typed after `ip route` -> the row that then stands; every one tried on Linux.
WRITTEN = [
    ("add 10.244.2.0/24 dev eth0 via 192.168.7.12", "10.244.2.0/24 via 192.168.7.12 dev eth0"),
    ("add to 10.244.2.0/24 via 192.168.7.12", "10.244.2.0/24 via 192.168.7.12 dev eth0"),
    ("add 10.244.2.0/24 dev eth0", "10.244.2.0/24 dev eth0 scope link"),
    ("add 10.244.2.0/24 via 192.168.7.11", "10.244.2.0/24 via 192.168.7.11 dev eth0"),
    ("add 10.244.2.0/24 via 10.244.1.7", "10.244.2.0/24 via 10.244.1.7 dev cni0"),
    ("add 10.244.2.4 via 192.168.7.12", "10.244.2.4 via 192.168.7.12 dev eth0"),
    ("add 10.244/16 via 192.168.7.12", "10.244.0.0/16 via 192.168.7.12 dev eth0"),
    (
        "add 10.244.2.0/24 via 192.168.7.12 proto static metric 5",
        "10.244.2.0/24 via 192.168.7.12 dev eth0 proto static metric 5",
    ),
    (
        "add 10.244.2.0/24 via 1.2.3.4 dev eth0 onlink",
        "10.244.2.0/24 via 1.2.3.4 dev eth0 onlink",
    ),
    ("add blackhole 10.244.2.0/24", "blackhole 10.244.2.0/24"),
    ("replace default via 192.168.7.12", "default via 192.168.7.12 dev eth0"),
    ("change default via 192.168.7.12", "default via 192.168.7.12 dev eth0"),
]


@pytest.mark.parametrize(("words", "row"), WRITTEN)
def test_the_row_that_was_typed_stands(lab, words, row):
    printed = on(lab, "node-1", f"ip route {words}")
    assert printed.exit_code == 0, printed
    assert row in on(lab, "node-1", "ip route").splitlines()


# What is refused, with the message of iproute2 or of the kernel, and the exit code.
REFUSED = [
    ("add default via 192.168.7.12", "RTNETLINK answers: File exists", 2),
    ("add 10.244.2.0/24 via 192.168.8.13", "Error: Nexthop has invalid gateway.", 2),
    ("add 10.244.2.0/24 via 192.168.7.255", "Error: Nexthop has invalid gateway.", 2),
    ("add 10.244.2.0/24 via 192.168.7.12 dev cni0", "Error: Nexthop has invalid gateway.", 2),
    ("add 10.244.2.0/24 via 192.168.7.12 dev eth7", 'Cannot find device "eth7"', 1),
    ("add 10.244.2.0/24", "RTNETLINK answers: No such device", 2),
    ("add 10.244.2.5/24 via 192.168.7.12", "Error: Invalid prefix for given prefix length.", 2),
    (
        "add pods via 192.168.7.12",
        'Error: any valid prefix is expected rather than "pods".',
        1,
    ),
    (
        "add 10.244.2.0/33 via 192.168.7.12",
        'Error: any valid prefix is expected rather than "10.244.2.0/33".',
        1,
    ),
    (
        "add 10.244.2.0/24 via node-2",
        'Error: inet address is expected rather than "node-2".',
        1,
    ),
    (
        "add 10.244.2.0/24 vai 192.168.7.12",
        'Error: either "to" is duplicate, or "vai" is a garbage.',
        255,
    ),
    ("add 10.244.2.0/24 via", 'Command line is not complete. Try option "help"', 255),
    ("change 10.244.9.0/24 via 192.168.7.12", "RTNETLINK answers: No such file or directory", 2),
    ("del 10.244.9.0/24", "RTNETLINK answers: No such process", 2),
    ("del default via 192.168.7.12", "RTNETLINK answers: No such process", 2),
]


@pytest.mark.parametrize(("words", "says", "code"), REFUSED)
def test_wrong_input_meets_the_real_message_and_changes_nothing(lab, words, says, code):
    before = on(lab, "node-1", "ip route")
    printed = on(lab, "node-1", f"ip route {words}")
    assert (printed, printed.exit_code) == (says, code)
    assert on(lab, "node-1", "ip route") == before


def test_a_route_by_a_gateway_that_only_another_route_reaches_is_refused(lab):
    on(lab, "node-1", ADD)
    says = on(lab, "node-1", "ip route add 10.244.3.0/24 via 10.244.2.1")
    assert says == "Error: Nexthop has invalid gateway."


@pytest.mark.parametrize("words", ["del 10.244.2.0/24", "delete 10.244.2.0/24 via 192.168.7.12"])
def test_a_deleted_route_is_gone(lab, words):
    on(lab, "node-1", ADD)
    assert on(lab, "node-1", f"ip route {words}").exit_code == 0
    assert not on(lab, "node-1", "ip route").grep("10.244.2.0/24")


def test_two_metrics_are_two_routes_and_del_takes_the_lower_one(lab):
    for metric in (6, 5):
        assert on(lab, "node-1", f"{ADD} metric {metric}") == ""
    on(lab, "node-1", "ip route del 10.244.2.0/24")
    left = on(lab, "node-1", "ip route").grep("10.244.2.0/24")
    assert left == "10.244.2.0/24 via 192.168.7.12 dev eth0 metric 6"


def test_a_pod_may_not_change_its_routes():
    lab = Cluster.from_manifests(cni="flannel/host-gw")
    pods = lab.list("pods", namespace="kube-system")
    pod = next(p for p in pods if not p.spec.host_network)
    says = on(lab, f"pod/kube-system/{pod.name}", "ip route del default")
    assert says == "RTNETLINK answers: Operation not permitted"


def test_a_word_that_the_lab_does_not_model_is_named(lab):
    with pytest.raises(CommandError, match="does not model `table`"):
        on(lab, "node-1", f"{ADD} table 7")


# --- the fault that takes them away -------------------------------------------------------------


@pytest.mark.parametrize("cni", ["flannel", "flannel/host-gw"])
def test_without_pod_routes_a_node_keeps_its_own_and_the_default_route(cni):
    lab = Cluster.from_manifests(cni=cni)
    lab.inject(faults.no_pod_routes("node-1"))
    kept = [row.split()[0] for row in on(lab, "node-1", "ip route").splitlines()]
    assert kept == ["default", "10.244.1.0/24", "192.168.7.0/24"]
    assert on(lab, "node-2", "ip route").grep("10.244.1.0/24 via")


def test_pod_routes_cannot_be_taken_from_where_there_are_none(lab):
    with pytest.raises(NotFound, match="no route leads to other machines' pods"):
        lab.inject(faults.no_pod_routes("node-1"))
