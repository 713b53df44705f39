"""What nft, ipvsadm, ipset, cilium-dbg and conntrack -D print on a node of each mode."""

from __future__ import annotations

import pytest

from labkit import Cluster, on
from labkit.errors import CommandError

SHOP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, clusterIP: 10.96.0.20, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: main, image: client}]}
"""


def lab(mode):
    return Cluster.from_manifests(SHOP, nodes=2, proxy_mode=mode)


PRINTED = {
    # (mode, command): a line of it
    ("nftables", "nft list tables"): "table ip kube-proxy",
    ("nftables", "nft list table ip kube-proxy"): "\tchain services {",
    ("nftables", "nft list chain ip kube-proxy reject-chain"): "\t\treject",
    ("nftables", "nft list set ip kube-proxy cluster-ips"): '\t\tcomment "Active ClusterIPs"',
    ("nftables", "nft list map ip kube-proxy service-nodeports"): '\t\tcomment "NodePort traffic"',
    ("ipvs", "ipvsadm -Ln"): "TCP  10.96.0.20:80 rr",
    ("ipvs", "ipvsadm -L -n"): "TCP  10.96.0.20:80 rr",
    ("ipvs", "ipset list KUBE-CLUSTER-IP"): "10.96.0.20,tcp:80",
    ("ipvs", "ipset list -n"): "KUBE-LOOP-BACK",
    ("ipvs", "ipset save"): "add KUBE-CLUSTER-IP 10.96.0.20,tcp:80",
    ("ebpf", "cilium-dbg service list"): "Service Type",
    ("iptables", "ipvsadm -Ln"): "Prot LocalAddress:Port Scheduler Flags",
}


@pytest.mark.parametrize(("mode", "command"), PRINTED, ids=" ".join)
def test_the_command_shows(mode, command):
    found = on(lab(mode), "node-1", command)
    assert found.exit_code == 0
    assert any(PRINTED[mode, command] in line for line in found.splitlines()), found


FAILED = {
    # (mode, command): (its error, exit code)
    ("nftables", "nft list chain ip kube-proxy none"): ("Error: No such file or directory", 1),
    ("iptables", "nft list table ip kube-proxy"): ("Error: No such file or directory", 1),
    ("nftables", "nft list set ip kube-proxy service-ips"): ("Error: No such file or directory", 1),
    ("ipvs", "ipset list NONE"): ("The set with the given name does not exist", 1),
    ("iptables", "cilium-dbg service list"): ("command not found", 127),
    ("iptables", "conntrack -D -p udp"): ("0 flow entries have been deleted.", 1),
}


@pytest.mark.parametrize(("mode", "command"), FAILED, ids=" ".join)
def test_the_command_fails_as_the_real_one(mode, command):
    found = on(lab(mode), "node-1", command)
    said, code = FAILED[mode, command]
    assert said in found
    assert found.exit_code == code


@pytest.mark.parametrize("command", ["nft flush ruleset", "ipvsadm -C", "ipset flush", "nft"])
def test_what_changes_a_kernel_is_refused_in_one_line(command):
    with pytest.raises(CommandError) as caught:
        on(lab("ipvs"), "node-1", command)
    assert "\n" not in str(caught.value)


def test_connections_show_at_the_server_that_has_them():
    shop = lab("ipvs")
    assert shop.connect("pod/client", "svc/web:80")
    rows = [row for row in on(shop, "node-1", "ipvsadm -Ln").splitlines() if "8080" in row]
    active = [row.split()[4] for row in rows]
    node = shop.get("pod/client").spec.node_name
    if node != "node-1":
        rows = [r for r in on(shop, node, "ipvsadm -Ln").splitlines() if "8080" in r]
        active = [row.split()[4] for row in rows]
    assert sorted(active) == ["0", "1"]


def test_conntrack_forgets_what_it_is_told_to():
    shop = lab("iptables")
    assert shop.connect("pod/client", "svc/web:80")
    node = shop.get("pod/client").spec.node_name
    assert "dport=80" in on(shop, node, "conntrack -L")
    assert "1 flow entries have been deleted" in on(shop, node, "conntrack -D --dport 80")
    assert "dport=80 " not in on(shop, node, "conntrack -L")
