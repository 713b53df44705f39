"""What a terminal prints of a connection."""

from __future__ import annotations

import pytest

from labkit.traffic.connect import connect, trace
from labkit.traffic.program import program
from labkit.traffic.text import short
from tests.clusters import three_nodes

ANSWERED = """\
default/frontend -> svc/backend:80, TCP: answered
 1  frontend  socket      send     10.244.1.2 -> 10.96.0.20:80
 2  node-1    PREROUTING  rewrite  -A KUBE-SEP-7NCWE3BUCRMGQPVA … -j DNAT \
--to-destination 10.244.2.2:8080
 3  node-1    route       forward  10.244.2.0/24 via 192.168.7.12 dev eth0
 4  node-2    route       forward  10.244.2.0/24 dev cni0 proto kernel scope link src 10.244.2.1
 5  backend   socket      accept   a process listens on 8080
reply
 6  backend   socket      send     10.244.2.2:8080 -> 10.244.1.2
 7  node-2    route       forward  10.244.1.0/24 via 192.168.7.11 dev eth0
 8  node-1    route       forward  10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1
 9  node-1    POSTROUTING restore  conntrack: source 10.244.2.2:8080 becomes 10.96.0.20:80 again
10  frontend  socket      accept   the client has its answer"""

REFUSED = """\
default/frontend -> svc/empty:80, TCP: refused
 1  frontend  socket      send     10.244.1.2 -> 10.96.0.30:80
 2  node-1    route       forward  default via 192.168.7.1 dev eth0
 3  node-1    FORWARD     reject   -A KUBE-SERVICES -d 10.96.0.30/32 … \
"default/empty has no endpoints" … --dport 80 -j REJECT --reject-with icmp-port-unreachable
reply
 4  node-1    socket      send     10.244.1.1 -> 10.244.1.2, ICMP port-unreachable
 5  frontend  socket      accept   the client is told: port-unreachable"""

LOST = """\
default/frontend -> 10.9.9.9:80, TCP: unreachable
 1  frontend  socket      send     10.244.1.2 -> 10.9.9.9:80
 2  node-1    route       forward  default via 192.168.7.1 dev eth0
 3  node-1    POSTROUTING rewrite  -A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 … \
-j MASQUERADE --random-fully
 4  router    route       reject   (no row: no route matches 10.9.9.9)"""

STATE = three_nodes(cni="flannel/host-gw")


def test_an_answered_connection():
    assert str(connect(STATE, program(STATE), "pod/frontend", "svc/backend:80")) == ANSWERED


def test_a_refused_connection():
    assert str(connect(STATE, program(STATE), "pod/frontend", "svc/empty:80")) == REFUSED


def test_a_trace_into_nowhere():
    assert str(trace(connect(STATE, program(STATE), "pod/frontend", "10.9.9.9:80"))) == LOST


SHORT = {
    "-A KUBE-SEP-X -p tcp -m comment --comment a/b -m tcp -j DNAT --to-destination 10.0.0.1:80": (
        "-A KUBE-SEP-X … -j DNAT --to-destination 10.0.0.1:80"
    ),
    '-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT': (
        "-A FLANNEL-FWD -s 10.244.0.0/16 … -j ACCEPT"
    ),
    "vxlan id 1 local 10.0.0.1 dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto": (
        "vxlan id 1 local 10.0.0.1 dev eth0 … dstport 8472 …"
    ),
    "-A INPUT -p udp -m udp --dport 8472 -j DROP": "-A INPUT --dport 8472 -j DROP",
    "10.244.1.0/24 dev cni0": "10.244.1.0/24 dev cni0",
}


@pytest.mark.parametrize(("why", "said"), SHORT.items(), ids=SHORT)
def test_a_row_loses_only_what_says_nothing_new(why, said):
    assert short(why) == said
