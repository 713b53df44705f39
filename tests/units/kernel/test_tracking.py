"""What a machine remembers of connections, and for how long."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from labkit.kernel.dice import FirstDice
from labkit.kernel.rows import conntrack_row
from labkit.kernel.text import conntrack_list
from labkit.kernel.walk import walk
from tests.units.kernel.networks import Plan, packet

RULES = """
*nat
:PREROUTING ACCEPT
:POSTROUTING ACCEPT
:OUTPUT ACCEPT
-A PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 53 -j DNAT --to-destination {udp}
-A PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.2.2:8080
-A POSTROUTING -s 10.244.1.0/24 -d 10.244.2.0/24 -m mark --mark 0x0 -j {snat}
COMMIT
"""
A, NODE = "pod/default/a", "node/node-1"
DNS = packet("10.244.1.2", "10.96.0.10", 53, "UDP", sport=40000)


def network(udp="10.244.2.2:8080", snat="ACCEPT"):
    rules = RULES.format(udp=udp, snat=snat)
    return Plan({"node-1": ["a", "b"], "node-2": ["c"]}, "host-gw", {"": rules}).network()


def exchange(net, start, what, conntrack=None, now=0.0):
    """The table after a request and its answer."""
    there = walk(net, start, what, FirstDice(), conntrack or {}, now)
    if there.answer is None:
        return there, there.conntrack
    back = walk(net, there.end, there.answer, FirstDice(), there.conntrack, now)
    return back, back.conntrack


def listed(conntrack, now=0.0) -> str:
    return conntrack_list(conntrack.get(NODE, ()), now)


ROWS = {
    # what it shows: (packet, answered, the node's row)
    "a first packet": (packet("10.244.1.2", "10.96.0.10"), False,
        "tcp      6 120 SYN_SENT src=10.244.1.2 dst=10.96.0.10 sport=41000 dport=80 [UNREPLIED]"
        " src=10.244.2.2 dst=10.244.1.2 sport=8080 dport=41000 mark=0 use=1\n"),
    "a connection": (packet("10.244.1.2", "10.96.0.10"), True,
        "tcp      6 432000 ESTABLISHED src=10.244.1.2 dst=10.96.0.10 sport=41000 dport=80"
        " src=10.244.2.2 dst=10.244.1.2 sport=8080 dport=41000 [ASSURED] mark=0 use=1\n"),
    "a question of UDP": (DNS, False,
        "udp      17 30 src=10.244.1.2 dst=10.96.0.10 sport=40000 dport=53 [UNREPLIED]"
        " src=10.244.2.2 dst=10.244.1.2 sport=8080 dport=40000 mark=0 use=1\n"),
    "its answer": (DNS, True,
        "udp      17 30 src=10.244.1.2 dst=10.96.0.10 sport=40000 dport=53"
        " src=10.244.2.2 dst=10.244.1.2 sport=8080 dport=40000 mark=0 use=1\n"),
    "a ping": (packet("10.244.1.2", "10.244.2.2", protocol="ICMP", sport=7), True,
        "icmp     1 30 src=10.244.1.2 dst=10.244.2.2 type=8 code=0 id=7"
        " src=10.244.2.2 dst=10.244.1.2 type=0 code=0 id=7 mark=0 use=1\n"),
    "a refused connection is forgotten": (packet("10.244.1.2", "10.244.2.2", 81), True, ""),
}  # fmt: skip


@pytest.mark.parametrize(("what", "answered", "row"), ROWS.values(), ids=ROWS)
def test_what_conntrack_lists(what, answered, row):
    net = network()
    after = exchange(net, A, what)[1] if answered else walk(net, A, what, FirstDice()).conntrack
    assert listed(after) == row


def test_the_ends_of_processes_are_no_connections_of_the_machine():
    after = walk(network(), A, DNS, FirstDice()).conntrack
    assert [e.socket for e in after[A]] == [True]
    assert conntrack_list(after[A], 0) == ""


STALE = {
    # what it shows: (source port, seconds later, does it arrive although the endpoint moved)
    "the same port is led to the endpoint that is gone": (40000, 10, False),
    "a new port is not": (40001, 10, True),
    "nor the same port when the entry has run out": (40000, 31, True),
}


@pytest.mark.parametrize(("sport", "later", "arrives"), STALE.values(), ids=STALE)
def test_a_stale_udp_entry_is_a_black_hole(sport, later, arrives):
    gone = network(udp="10.244.2.9:8080")
    after = walk(gone, A, DNS, FirstDice()).conntrack
    again = walk(network(), A, replace(DNS, sport=sport), FirstDice(), after, later)
    assert (again.outcome == "delivered") == arrives


def test_a_udp_exchange_that_lasts_is_assured_and_lives_longer():
    net = network()
    _, after = exchange(net, A, DNS)
    _, after = exchange(net, A, DNS, after, now=5)
    assert listed(after, now=5).split()[2] == "120"
    assert "[ASSURED]" in listed(after, now=5)


def test_a_second_connection_on_the_same_port_gets_another_one():
    net = network(snat="SNAT --to-source 192.168.7.11")
    first = walk(net, A, packet("10.244.1.2", "10.244.2.2", 8080), FirstDice())
    what = packet("10.244.1.3", "10.244.2.2", 8080)
    second = walk(net, "pod/default/b", what, FirstDice(), first.conntrack)
    assert first.packet.source == "192.168.7.11:41000"
    assert second.packet.source == "192.168.7.11:41001"
    back = walk(net, second.end, second.answer, FirstDice(), second.conntrack)
    assert (back.end, back.packet.destination) == ("pod/default/b", "10.244.1.3:41000")


def test_a_dropped_first_packet_leaves_no_entry():
    rules = "*filter\n:FORWARD DROP\nCOMMIT"
    net = Plan({"node-1": ["a"], "node-2": ["c"]}, rules={"": rules}).network()
    after = walk(net, A, packet("10.244.1.2", "10.244.2.2", 8080), FirstDice()).conntrack
    assert NODE not in after


def test_a_refused_first_packet_is_known_to_its_error_only():
    rules = "*filter\n:FORWARD ACCEPT\n-A FORWARD -p tcp -j REJECT\nCOMMIT"
    net = Plan({"node-1": ["a"], "node-2": ["c"]}, rules={"": rules}).network()
    trace = walk(net, A, packet("10.244.1.2", "10.244.2.2", 8080), FirstDice())
    assert conntrack_list(trace.conntrack[NODE], -1) == ""
    assert [e.confirmed for e in trace.conntrack[NODE]] == [False]


def test_an_answer_without_connection_is_invalid():
    rules = "*filter\n:FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT"
    net = Plan({"node-1": ["a"], "node-2": ["c"]}, "host-gw", {"": rules}).network()
    stray = packet("10.244.1.2", "10.244.2.2", 8080, flags="SYN,ACK")
    assert walk(net, A, stray, FirstDice()).end == NODE
    data = packet("10.244.1.2", "10.244.2.2", 8080, flags="ACK")
    assert walk(net, A, data, FirstDice()).outcome == "delivered"


def test_a_row_counts_down():
    (entry,) = walk(network(), A, DNS, FirstDice()).conntrack[NODE]
    assert conntrack_row(entry, 12.0).split()[2] == "18"
    assert entry.original.dst == ip_address("10.96.0.10")
