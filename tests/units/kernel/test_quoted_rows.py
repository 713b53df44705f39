"""What hops quote is what the tools of the same machine print."""

from __future__ import annotations

import pytest

from labkit import faults
from labkit.commands.node import on
from labkit.lessons.scenarios import scenario


@pytest.fixture(scope="module")
def lab():
    return scenario("shop")


@pytest.fixture(scope="module")
def answered(lab):
    return lab.connect("pod/frontend", "svc/backend:80")


def hop(trace, action):
    (found,) = (h for h in trace.hops if h.action == action)
    return found


def place(netns):
    return netns.removeprefix("node/")


def test_a_tunnel_quotes_the_line_of_the_forwarding_database(lab, answered):
    wrap = hop(answered.request, "wrap")
    assert wrap.why in on(lab, place(wrap.netns), "bridge fdb show").splitlines()
    assert " dev flannel.1 dst 192.168.7.12 self permanent" in wrap.why


def test_a_database_asked_for_one_device_does_not_repeat_its_name(lab, answered):
    row = hop(answered.request, "wrap").why.replace(" dev flannel.1", "")
    shown = on(lab, "node-1", "bridge fdb show dev flannel.1").splitlines()
    assert row in shown
    assert not any(" dev " in line for line in shown)


def test_a_database_asked_for_one_bridge_names_every_port(lab):
    shown = on(lab, "node-1", "bridge fdb show br cni0").splitlines()
    assert shown
    assert all(" dev " in line for line in shown)


def test_the_tunnels_end_quotes_the_devices_settings(lab, answered):
    unwrap = hop(answered.request, "unwrap")
    shown = on(lab, place(unwrap.netns), "ip -d link show flannel.1").splitlines()
    assert f"    {unwrap.why}" in shown


def test_a_listening_process_quotes_its_line_of_ss(lab, answered):
    last = answered.request.hops[-1]
    assert last.why in on(lab, "pod/backend", "ss -ltnp").splitlines()


@pytest.mark.parametrize(("protocol", "target"), [("TCP", "outside:80"), ("UDP", "outside:53")])
def test_a_listener_outside_quotes_its_line_of_ss_too(protocol, target):
    lab = scenario("shop")
    connection = lab.connect("pod/frontend", target, protocol=protocol)
    flag = "t" if protocol == "TCP" else "u"
    assert connection.request.hops[-1].why in on(lab, "outside", f"ss -l{flag}np").splitlines()


def test_a_client_with_its_answer_is_established(answered):
    words = answered.reply.hops[-1].why.split()
    assert words[:4] == ["ESTAB", "0", "0", "10.244.1.2:41000"]


ASKED = {
    # target: the client's socket as the answer finds it
    "pod/backend:99": ["SYN-SENT", "0", "1"],  # RST
    "10.9.9.9:80": ["SYN-SENT", "0", "1"],  # ICMP from the router
}


@pytest.mark.parametrize("target", ASKED)
def test_a_client_that_is_refused_has_not_got_beyond_its_syn(target):
    connection = scenario("shop").connect("pod/frontend", target)
    last = connection.reply.hops[-1]
    assert (last.stage, last.action) == ("socket", "accept")
    assert last.why.split()[:3] == ASKED[target]


def test_a_client_that_is_told_a_smaller_size_is_established_by_then():
    lab = scenario("shop")
    lab.inject(faults.mtu("node-1", "flannel.1", 1400))
    connection = lab.connect("pod/frontend", "pod/backend:8080", size=1450)
    told = [t.hops[-1] for t in connection.earlier if t.hops[-1].after.icmp]
    assert told
    assert all(h.why.startswith("ESTAB ") for h in told)


def test_what_has_no_row_is_said_to_have_none(lab):
    connection = scenario("shop").connect("pod/frontend", "10.9.9.9:80")
    last = connection.request.hops[-1]
    assert last.why == "(no row: no route matches 10.9.9.9)"
    assert "Network is unreachable" in last.says


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs", "ebpf"])
@pytest.mark.parametrize("target", ["svc/backend:80", "pod/backend:99", "10.9.9.9:80"])
def test_what_a_hop_says_is_one_short_sentence(mode, target):
    connection = scenario("shop", proxy_mode=mode).connect("pod/frontend", target)
    for hop in (*connection.request.hops, *connection.reply.hops):
        assert 3 <= len(hop.says.split()) < 20, hop.says
