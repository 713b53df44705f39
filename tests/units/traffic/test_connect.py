"""Connections through a whole cluster: who is answered, refused, or waits in vain, and why."""

from __future__ import annotations

import pytest

from labkit.api.core import Pod
from labkit.errors import CommandError
from labkit.traffic import faults
from labkit.traffic.chances import outcomes
from labkit.traffic.connect import connect, trace
from labkit.traffic.counters import device_counters
from labkit.traffic.program import program
from tests.clusters import node, pod, service, state_of, three_nodes

VXLAN, HOST_GW = three_nodes(), three_nodes(cni="flannel/host-gw")


def run(source, target, *broken, state=VXLAN, **options):
    """A connection in `state` with the faults `broken` in its network."""
    network = faults.faulty(program(state), broken)
    return connect(state, network, source, target, **options)


HEALTHY = {
    # (source, target, protocol): what the client sees, and where the request ended
    ("pod/frontend", "pod/backend", "TCP"): ("answered", "backend"),
    ("pod/client", "pod/backend", "TCP"): ("answered", "backend"),
    ("pod/frontend", "svc/backend:80", "TCP"): ("answered", "backend"),
    ("pod/client", "svc/backend:80", "TCP"): ("answered", "backend"),
    ("pod/backend", "svc/backend:80", "TCP"): ("answered", "backend"),
    ("node/node-1", "svc/backend:80", "TCP"): ("answered", "backend"),
    ("node/node-2", "pod/backend", "TCP"): ("answered", "backend"),
    ("pod/frontend", "pod/frontend", "TCP"): ("answered", "frontend"),
    ("pod/frontend", "127.0.0.1:8080", "TCP"): ("answered", "frontend"),
    ("pod/frontend", "node/node-2:10250", "TCP"): ("answered", "node-2"),
    ("pod/frontend", "outside", "TCP"): ("answered", "outside"),
    ("pod/frontend", "pod/db", "ICMP"): ("answered", "db"),
    ("pod/frontend", "pod/db:9999", "TCP"): ("refused", "db"),
    ("pod/frontend", "pod/db:5432", "UDP"): ("refused", "db"),
    ("pod/frontend", "svc/empty:80", "TCP"): ("refused", "node-1"),
    ("pod/frontend", "10.96.0.20:81", "TCP"): ("timed out", "router"),
    ("pod/frontend", "svc/backend", "ICMP"): ("timed out", "router"),
    ("pod/frontend", "10.244.1.77:80", "TCP"): ("unreachable", "frontend"),
    ("pod/frontend", "10.244.2.77:80", "TCP"): ("unreachable", "node-2"),
    ("outside", "pod/backend", "TCP"): ("unreachable", "router"),
}


@pytest.mark.parametrize("state", [VXLAN, HOST_GW], ids=["vxlan", "host-gw"])
@pytest.mark.parametrize(("asked", "found"), HEALTHY.items(), ids=["-".join(k) for k in HEALTHY])
def test_a_healthy_cluster(state, asked, found):
    source, target, protocol = asked
    connection = run(source, target, state=state, protocol=protocol)
    end = connection.places[connection.request.end].title
    assert (connection.outcome, end) == found, f"\n{connection}"


SOURCES = {
    # (source, target): (seen over VXLAN, seen with host-gw)
    ("pod/frontend", "svc/backend:80"): ("10.244.1.2", "10.244.1.2"),
    ("pod/client", "pod/backend"): ("10.244.2.3", "10.244.2.3"),
    ("pod/backend", "svc/backend:80"): ("10.244.2.1", "10.244.2.1"),
    ("node/node-1", "pod/backend"): ("10.244.1.0", "192.168.7.11"),
    ("pod/frontend", "outside"): ("192.168.7.11", "192.168.7.11"),
    ("pod/frontend", "node/node-2:10250"): ("192.168.7.11", "192.168.7.11"),
    ("pod/frontend", "node/node-1:10250"): ("10.244.1.2", "10.244.1.2"),
}


@pytest.mark.parametrize(("asked", "seen"), SOURCES.items(), ids=["-".join(k) for k in SOURCES])
def test_the_source_that_a_server_sees(asked, seen):
    ends = [run(*asked, state=state).request.packet for state in (VXLAN, HOST_GW)]
    assert tuple(str(packet.src) for packet in ends) == seen


BROKEN = {
    # what it shows: (state, source, target, fault, what the client sees)
    "no way there": (
        HOST_GW,
        "pod/frontend",
        "pod/backend",
        faults.missing_route("node-1", "10.244.2.0/24"),
        "timed out",
    ),
    "no way back": (
        HOST_GW,
        "pod/frontend",
        "pod/backend",
        faults.missing_route("node-2", "10.244.1.0/24"),
        "timed out",
    ),
    "a route is not needed on the same node": (
        HOST_GW,
        "pod/client",
        "pod/backend",
        faults.missing_route("node-2", "10.244.1.0/24"),
        "answered",
    ),
    "a node that does not forward": (
        VXLAN,
        "pod/frontend",
        "pod/backend",
        faults.ip_forward_off("node-2"),
        "timed out",
    ),
    "a bridge that iptables cannot see hurts neighbours": (
        VXLAN,
        "pod/client",
        "svc/backend:80",
        faults.bridge_nf_off("node-2"),
        "timed out",
    ),
    "a bridge that iptables cannot see does not hurt others": (
        VXLAN,
        "pod/frontend",
        "svc/backend:80",
        faults.bridge_nf_off("node-2"),
        "answered",
    ),
    "a pod cannot reach itself without hairpin mode": (
        VXLAN,
        "pod/backend",
        "svc/backend:80",
        faults.hairpin_off("node-2"),
        "timed out",
    ),
    "a flushed chain forgets the Service": (
        VXLAN,
        "pod/frontend",
        "svc/backend:80",
        faults.flushed_chain("node-1", "nat", "KUBE-SERVICES"),
        "timed out",
    ),
    "a filtered tunnel port": (
        VXLAN,
        "pod/frontend",
        "pod/backend",
        faults.port_filtered("node-2", 8472),
        "timed out",
    ),
    "a tunnel that has forgotten its end": (
        VXLAN,
        "pod/frontend",
        "pod/backend",
        faults.missing_fdb("node-1", "192.168.7.12"),
        "timed out",
    ),
    "a device that is down": (
        VXLAN,
        "pod/frontend",
        "pod/backend",
        faults.link_down("node-2", "cni0"),
        "timed out",
    ),
    "a lost refusal is silence": (
        HOST_GW,
        "pod/frontend",
        "pod/db:9999",
        faults.missing_route("node-3", "10.244.1.0/24"),
        "timed out",
    ),
}


@pytest.mark.parametrize(
    ("state", "source", "target", "fault", "outcome"), BROKEN.values(), ids=BROKEN
)
def test_a_broken_cluster(state, source, target, fault, outcome):
    fault.check(program(state))
    connection = run(source, target, fault, state=state)
    assert connection.outcome == outcome, f"\n{connection}"


MISSING = {
    "a machine": (faults.ip_forward_off("node-7"), "node-7: no machine or pod of this name"),
    "a route": (faults.missing_route("node-1", "10.9.0.0/16"), "node-1: there is no route"),
    "a device": (faults.mtu("node-1", "eth7", 1400), "node-1: no device eth7; it has lo, eth0"),
    "a chain": (
        faults.flushed_chain("node-1", "nat", "KUBE-SERVICE"),
        "no chain KUBE-SERVICE in nat; did you mean KUBE-SERVICES?",
    ),
}


@pytest.mark.parametrize(("fault", "message"), MISSING.values(), ids=MISSING)
def test_a_fault_needs_something_to_break(fault, message):
    with pytest.raises(faults.NotFound) as error:
        fault.check(program(VXLAN))
    assert message in str(error.value)


NARROW = faults.mtu("node-1", "eth0", 1400)

TRANSFERS = {
    # what it shows: (bytes, faults, what the client sees, size of the last packet)
    "small data pass a narrow road": (100, (NARROW,), "answered", 152),
    "large data shrink to fit": (20000, (NARROW,), "answered", 1400),
    "a wide road needs no second try": (20000, (), "answered", 1500),
    "without ICMP nobody learns": (
        20000,
        (NARROW, faults.icmp_filtered("node-1")),
        "timed out",
        1500,
    ),
    "without ICMP small data still pass": (
        100,
        (NARROW, faults.icmp_filtered("node-1")),
        "answered",
        152,
    ),
}


@pytest.mark.parametrize(("size", "broken", "outcome", "last"), TRANSFERS.values(), ids=TRANSFERS)
def test_a_transfer(size, broken, outcome, last):
    connection = run("pod/frontend", "pod/backend", *broken, state=HOST_GW, size=size)
    assert connection.outcome == outcome, f"\n{connection}"
    assert connection.request.frames[0].packet.size == last


def test_the_try_that_taught_the_client_is_kept():
    connection = run("pod/frontend", "pod/backend", NARROW, state=HOST_GW, size=20000)
    assert [t.outcome for t in connection.earlier] == [
        "delivered",
        "delivered",
        "too-big",
        "delivered",
    ]


def test_a_connection_leaves_its_entry_on_the_nodes():
    connection = run("pod/frontend", "svc/backend:80")
    entry = connection.conntrack["node/node-1"][0]
    assert (str(entry.original.dst), str(entry.reply.src)) == ("10.96.0.20", "10.244.2.2")
    assert entry.seen_reply


def test_every_place_that_a_frame_passed_is_named():
    connection = run("pod/frontend", "svc/backend:80")
    named = set(connection.places)
    assert {frame.netns for t in connection.traces for frame in t.frames} <= named
    assert connection.places["pod/default/backend"].machine == "node/node-2"


def test_a_trace_shows_the_request_and_knows_the_outcome():
    connection = trace(run("pod/frontend", "svc/backend:80"))
    assert connection
    assert connection.reply is None
    assert "\nreply" not in str(connection)


def test_chances_of_a_service_are_exact():
    pods = [pod(f"web-{i}", f"10.244.{i}.9", on=i) for i in (1, 2, 3)]
    state = state_of(
        node(1),
        node(2),
        node(3),
        *pods,
        pod("a", "10.244.1.2"),
        service("web", "10.96.0.9", *pods),
    )
    found = outcomes(state, program(state), "pod/a", "svc/web:80")
    assert str(found) == (
        "default/a -> svc/web:80, TCP: 3 ends\n  web-1  1/3\n  web-2  1/3\n  web-3  1/3"
    )
    assert list(found.frame()["chance"]) == ["1/3", "1/3", "1/3"]


def test_chances_count_what_the_client_sees():
    pods = [pod(f"web-{i}", f"10.244.{i}.9", on=i) for i in (1, 2)]
    state = state_of(
        node(1), node(2), *pods, pod("a", "10.244.1.2"), service("web", "10.96.0.9", *pods)
    )
    broken = faults.faulty(program(state), [faults.link_down("node-2", "cni0")])
    found = outcomes(state, broken, "pod/a", "svc/web:80")
    assert {end: str(chance) for end, chance in found.ends.items()} == {
        "web-1": "1/2",
        "timed out": "1/2",
    }


def test_counters_count_frames_on_both_sides_of_a_device():
    connection = run("pod/frontend", "pod/backend", state=HOST_GW)
    rows = {(row.title, row.device): row for row in device_counters([connection, connection])}
    card = rows["node-1", "eth0"]
    assert (card.packets_in, card.packets_out) == (2, 2)
    assert (card.bytes_in, card.bytes_out) == (2 * 74, 2 * 74)


def test_a_protocol_may_be_written_small():
    assert run("pod/frontend", "pod/db", protocol="icmp").protocol == "ICMP"


BAD = {
    "a protocol": ({"protocol": "HTTP"}, "protocol `HTTP`: choose one of TCP, UDP, SCTP, ICMP"),
    "a size": ({"size": -1}, "size -1: bytes of payload are 0 or more"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_a_bad_option_is_refused_in_one_line(options, message):
    with pytest.raises(CommandError) as error:
        run("pod/frontend", "pod/db", **options)
    assert str(error.value) == message


def test_a_stopped_kube_proxy_keeps_the_rules_of_an_earlier_network():
    before = three_nodes()
    after = state_of(*before, service("late", "10.96.0.40", *before.list(Pod, "default")[:1]))
    stopped = faults.kube_proxy_stopped("node-1", program(before))
    assert run("pod/frontend", "svc/late:80", state=after)
    assert run("pod/frontend", "svc/late:80", stopped, state=after).outcome == "timed out"


def test_a_wrong_route_wins_over_the_right_one():
    wrong = faults.extra_route("node-1", "10.244.2.0/24", via="192.168.7.13")
    found = run("pod/frontend", "pod/backend", wrong, state=HOST_GW)
    assert "node/node-3" in found.places, str(found)


@pytest.mark.parametrize("text", ["10.244.2.0/33", "10.244.2.5/24", "node-2"])
def test_a_fault_refuses_what_is_no_prefix(text):
    with pytest.raises(CommandError, match=r"is not a prefix; write for example 10\.244\.2\.0/24"):
        faults.missing_route("node-1", text)
