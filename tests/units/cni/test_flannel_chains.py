"""flannel's chains as `iptables-save` prints them on node-1.

The rules are those of flannel's `pkg/trafficmngr/iptables/iptables.go` (masqRules, forwardRules).
"""

from __future__ import annotations

from labkit.kernel.text import iptables_save
from labkit.traffic.program import program
from tests.clusters import three_nodes

MASQUERADE = """\
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" \
-j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" \
-j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment "flanneld masq" \
-j MASQUERADE --random-fully"""

FORWARD = """\
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT"""


def saved(table: str) -> list[str]:
    network = program(three_nodes())
    return iptables_save(network.namespaces["node/node-1"], table).splitlines()


def flannels(table: str) -> str:
    return "\n".join(row for row in saved(table) if "flanneld" in row)


def test_what_leaves_the_cluster_is_masqueraded_and_nothing_else():
    assert flannels("nat") == MASQUERADE


def test_pods_traffic_is_let_through():
    assert flannels("filter") == FORWARD


def test_kube_proxys_jump_stands_before_flannels():
    jumps = [row for row in saved("nat") if row.startswith("-A POSTROUTING")]
    assert ["KUBE-POSTROUTING" in jumps[0], "FLANNEL-POSTRTG" in jumps[1]] == [True, True]
