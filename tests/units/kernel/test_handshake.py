"""A row of conntrack says how far a handshake has come."""

from __future__ import annotations

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
    from labkit import faults

    lab = scenario("shop", cni="flannel/host-gw")
    lab.inject(faults.missing_route("node-2", "10.244.1.0/24"))
    assert lab.connect("pod/frontend", "pod/backend:8080").outcome == "timed out"
    assert [e.state for e in rows(lab, "node-2")] == ["SYN_RECV"]
    assert [e.state for e in rows(lab, "node-1")] == ["SYN_SENT"]
