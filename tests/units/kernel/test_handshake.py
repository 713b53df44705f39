"""A row of conntrack says how far a handshake has come."""

from __future__ import annotations

import pytest

from labkit import faults
from labkit.commands.node import on
from labkit.lessons.scenarios import scenario


def rows(lab, node):
    return [e for e in lab.conntrack[f"node/{node}"] if e.original.protocol == "TCP"]


def test_the_row_that_undoes_a_rewrite_is_half_open_and_established_only_afterwards():
    lab = scenario("shop")
    connection = lab.connect("pod/frontend", "svc/backend:80")
    (restored,) = (h for h in connection.reply.hops if h.action == "restore")
    assert " SYN_RECV " in restored.why
    assert "ASSURED" not in restored.why
    (entry,) = rows(lab, "node-1")
    assert (entry.state, entry.assured) == ("ESTABLISHED", True)


def test_an_answer_that_never_arrives_leaves_its_entries_half_open():
    lab = scenario("shop", cni="flannel/host-gw")
    lab.inject(faults.missing_route("node-2", "10.244.1.0/24"))
    assert lab.connect("pod/frontend", "pod/backend:8080").outcome == "timed out"
    assert [e.state for e in rows(lab, "node-2")] == ["SYN_RECV"]
    assert [e.state for e in rows(lab, "node-1")] == ["SYN_SENT"]


def seconds(lab, netns):
    entries = (e for e in lab.conntrack[netns] if e.original.protocol == "TCP" and not e.socket)
    return {e.expires - lab.state.now for e in entries}


KEPT = {
    # proxy mode: seconds for which a node keeps an established connection
    "iptables": {86400},
    "nftables": {86400},
    "ipvs": {86400},
    "ebpf": {432000},  # no kube-proxy has changed the kernel's default
}


@pytest.mark.parametrize("mode", KEPT)
def test_kube_proxy_shortens_the_life_of_established_connections(mode):
    lab = scenario("shop", proxy_mode=mode)
    assert lab.connect("pod/frontend", "pod/backend:8080")
    assert seconds(lab, "node/node-1") == KEPT[mode]


def test_the_setting_is_shown_on_nodes_and_left_alone_elsewhere():
    lab = scenario("shop")
    setting = "net.netfilter.nf_conntrack_tcp_timeout_established"
    assert on(lab, "node-1", f"sysctl -n {setting}") == "86400"
    assert on(lab, "pod/frontend", f"sysctl -n {setting}") == "432000"
    assert on(lab, "outside", f"sysctl -n {setting}") == "432000"


def test_a_changed_setting_counts_from_the_next_connection_on():
    lab = scenario("shop")
    lab.inject(faults.sysctl("node-1", "net.netfilter.nf_conntrack_tcp_timeout_established", 600))
    lab.connect("pod/frontend", "pod/backend:8080")
    assert seconds(lab, "node/node-1") == {600}
