"""Placing and running pods: which node, which address, ready or not."""

from __future__ import annotations

import pytest

from labkit.cluster import Cluster
from labkit.controllers.kubelet import last_words
from tests.units.controllers.worlds import container, node, placed, pod, workload

TAINT = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
NODES = [node("a", {"zone": "x"}), node("b", {"zone": "y"}), node("c", taints=TAINT)]
IN_Y = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["y"]}]}
            ]
        }
    }
}
PLACES = {
    # what it shows: (spec, node; empty if it stays pending)
    "the emptiest node, the first by name": ({}, "a"),
    "a named node": ({"nodeName": "b"}, "b"),
    "a node selector": ({"nodeSelector": {"zone": "y"}}, "b"),
    "a node affinity": ({"affinity": IN_Y}, "b"),
    "a taint keeps away": ({"nodeSelector": {"kubernetes.io/hostname": "c"}}, ""),
    "a toleration lets in": (
        {
            "nodeSelector": {"kubernetes.io/hostname": "c"},
            "tolerations": [{"key": "gpu", "operator": "Equal", "value": "yes"}],
        },
        "c",
    ),
    "another value does not": (
        {
            "nodeSelector": {"kubernetes.io/hostname": "c"},
            "tolerations": [{"key": "gpu", "operator": "Equal", "value": "no"}],
        },
        "",
    ),
    "nobody has the label": ({"nodeSelector": {"zone": "z"}}, ""),
}


@pytest.mark.parametrize(("spec", "where"), PLACES.values(), ids=PLACES)
def test_a_pod_is_placed(spec, where):
    lab = Cluster.from_manifests([*NODES, pod("p", **spec)])
    assert lab.get("pod/p").spec.node_name == where


def test_a_pod_without_a_node_says_why():
    lab = Cluster.from_manifests([*NODES, pod("p", nodeSelector={"zone": "z"})])
    status = lab.get("pod/p").status
    (condition,) = status.conditions
    assert status.phase == "Pending"
    assert condition.message == (
        "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, "
        "2 node(s) didn't match Pod's node affinity/selector."
    )


def test_a_waiting_pod_starts_when_a_node_comes():
    lab = Cluster.from_manifests([node("a"), pod("p", nodeSelector={"zone": "z"})])
    lab.apply([node("b", {"zone": "z"})])
    assert (placed(lab)["p"], lab.get("pod/p").status.phase) == ("b", "Running")


def test_pods_spread_over_the_nodes():
    lab = Cluster.from_manifests([workload("Deployment", "web", 6)])
    assert sorted(placed(lab).values()) == sorted(["node-1", "node-2", "node-3"] * 2)


def test_a_host_port_is_given_once_a_node():
    port = {"name": "c", "image": "c:1", "ports": [{"containerPort": 80, "hostPort": 8080}]}
    lab = Cluster.from_manifests([workload("Deployment", "web", 3, pod={"containers": [port]})], 2)
    assert sorted(placed(lab).values()) == ["", "node-1", "node-2"]


# --- addresses -----------------------------------------------------------------------------------


def test_pods_get_addresses_of_their_node_in_order():
    lab = Cluster.from_manifests([pod("a", nodeName="node-2"), pod("b", nodeName="node-2")])
    assert [str(p.status.pod_ip) for p in lab.list("pods")] == ["10.244.1.2", "10.244.1.3"]
    assert lab.get("node/node-2").spec.pod_cidr == "10.244.1.0/24"


def test_nodes_count_on_from_one():
    lab = Cluster.from_manifests((), nodes=2)
    rows = [(n.spec.pod_cidr, n.status.addresses[0].address) for n in lab.list("nodes")]
    assert rows == [("10.244.1.0/24", "192.168.7.11"), ("10.244.2.0/24", "192.168.7.12")]


def test_a_pod_on_the_host_has_the_hosts_address():
    lab = Cluster.from_manifests([pod("p", hostNetwork=True)])
    status = lab.get("pod/p").status
    assert str(status.pod_ip) == status.host_ip == "192.168.7.11"


def test_dual_stack_pods_have_two_addresses():
    lab = Cluster.from_manifests([pod("p")], pod_cidrs="10.244.0.0/16, fd00:10:244::/56")
    assert [str(a) for a in lab.get("pod/p").addresses] == ["10.244.1.2", "fd00:10:244:1::2"]


def test_a_dump_keeps_what_it_carries():
    status = {
        "phase": "Running",
        "podIP": "172.16.9.9",
        "podIPs": [{"ip": "172.16.9.9"}],
        "hostIP": "10.0.0.5",
        "conditions": [{"type": "Ready", "status": "False"}],
    }
    lab = Cluster.from_manifests([{**pod("p", nodeName="ip-10-0-0-5"), "status": status}])
    kept = lab.get("pod/p")
    assert (str(kept.status.pod_ip), kept.ready) == ("172.16.9.9", False)
    assert [a.address for a in lab.get("node/ip-10-0-0-5").status.addresses] == [
        "10.0.0.5",
        "ip-10-0-0-5",
    ]
    assert [n.name for n in lab.list("nodes")] == ["ip-10-0-0-5"]


# --- readiness -----------------------------------------------------------------------------------


def probed(**probe: object) -> dict:
    ports = [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}]
    return pod("p", {"name": "c", "image": "c:1", "ports": ports, "readinessProbe": probe})


READY = {
    # what it shows: (probe, ready)
    "the port listens": ({"httpGet": {"port": 80}}, True),
    "the port has a name": ({"httpGet": {"port": "http"}}, True),
    "the port is silent": ({"httpGet": {"port": 8080}}, False),
    "the name is unknown": ({"httpGet": {"port": "web"}}, False),
    "a TCP probe": ({"tcpSocket": {"port": 81}}, False),
    "TCP is not answered by UDP": ({"tcpSocket": {"port": 53}}, False),
    "a command always passes": ({"exec": {"command": ["false"]}}, True),
}


@pytest.mark.parametrize(("probe", "ready"), READY.values(), ids=READY)
def test_readiness_follows_the_probes_port(probe, ready):
    lab = Cluster.from_manifests([probed(**probe)])
    assert lab.get("pod/p").ready is ready


def test_the_annotation_forces_a_pod_out():
    lab = Cluster.from_manifests([pod("p", meta={"annotations": {"labkit.dev/ready": "false"}})])
    sick = lab.get("pod/p")
    assert (sick.status.phase, sick.ready) == ("Running", False)
    lab.apply([pod("p", meta={"annotations": {"labkit.dev/ready": "true"}})])
    assert lab.get("pod/p").ready


# --- one port, two processes ---------------------------------------------------------------------


def crashes(lab: Cluster, name: str) -> dict[str, str]:
    """container -> what it waits for; empty if it runs."""
    statuses = lab.get(f"pod/{name}").status.container_statuses
    return {s.name: s.state.waiting.reason if s.state.waiting else "" for s in statuses}


def test_the_second_container_on_a_port_cannot_bind():
    lab = Cluster.from_manifests([pod("p", container(80, name="a"), container(80, name="b"))])
    assert crashes(lab, "p") == {"a": "", "b": "CrashLoopBackOff"}
    last = lab.get("pod/p").status.container_statuses[1].last_state.terminated
    assert (last.reason, last.exit_code) == ("Error", 1)
    words = {"b": "listen tcp :80: bind: address already in use"}
    assert last_words(lab.state, lab.get("pod/p")) == words
    assert not lab.get("pod/p").ready


def sidecar(*ports: int, name: str) -> dict:
    return {**container(*ports, name=name), "restartPolicy": "Always"}


def test_a_sidecar_starts_first_and_keeps_the_port():
    helpers = [sidecar(80, name="side")]
    lab = Cluster.from_manifests([pod("p", container(80, name="a"), initContainers=helpers)])
    assert crashes(lab, "p") == {"a": "CrashLoopBackOff"}
    assert lab.get("pod/p").status.init_container_statuses[0].state.running


def test_an_init_container_that_ends_leaves_its_port_to_the_others():
    helpers = [container(80, name="setup")]
    lab = Cluster.from_manifests([pod("p", container(80, name="a"), initContainers=helpers)])
    assert crashes(lab, "p") == {"a": ""}


def test_of_two_sidecars_on_a_port_the_second_cannot_bind():
    helpers = [sidecar(80, name="one"), sidecar(80, name="two")]
    lab = Cluster.from_manifests([pod("p", container(81, name="a"), initContainers=helpers)])
    one, two = lab.get("pod/p").status.init_container_statuses
    assert one.state.running
    assert two.state.waiting.reason == "CrashLoopBackOff"
    assert crashes(lab, "p") == {"a": ""}
    assert not lab.get("pod/p").ready


def test_a_port_that_only_the_annotation_names_clashes_with_nobody():
    meta = {"annotations": {"labkit.dev/listens": "80,9100"}}
    lab = Cluster.from_manifests(
        [pod("p", container(80, name="a"), container(name="b"), meta=meta)]
    )
    assert crashes(lab, "p") == {"a": "", "b": ""}


def test_containers_on_two_ports_live_together():
    lab = Cluster.from_manifests([pod("p", container(80, name="a"), container(81, name="b"))])
    assert crashes(lab, "p") == {"a": "", "b": ""}


def test_the_same_number_of_two_protocols_is_two_ports():
    ports = [{"containerPort": 53, "protocol": "UDP"}]
    both = pod("p", container(53, name="a"), {"name": "b", "image": "b:1", "ports": ports})
    assert crashes(Cluster.from_manifests([both]), "p") == {"a": "", "b": ""}


def test_what_the_annotation_does_not_listen_on_is_not_bound():
    meta = {"annotations": {"labkit.dev/listens": "81/TCP"}}
    lab = Cluster.from_manifests(
        [pod("p", container(80, name="a"), container(80, 81, name="b"), meta=meta)]
    )
    assert crashes(lab, "p") == {"a": "", "b": ""}


def test_two_pods_on_one_host_cannot_share_a_port():
    meta = {"annotations": {"labkit.dev/listens": "9100/TCP"}}
    one, two = (pod(n, container(), meta=meta, hostNetwork=True, nodeName="n") for n in "ab")
    lab = Cluster.from_manifests([one, two])
    assert (crashes(lab, "a"), crashes(lab, "b")) == ({"c": ""}, {"c": "CrashLoopBackOff"})


def test_restarts_go_on_with_the_clock_and_ever_more_slowly():
    lab = Cluster.from_manifests([pod("p", container(80, name="a"), container(80, name="b"))])
    counts = []
    for seconds in (0, 20, 40, 80, 160, 300, 300):
        lab.wait(seconds)
        counts.append(lab.get("pod/p").status.container_statuses[1].restart_count)
    assert counts == [1, 2, 3, 4, 5, 6, 7]
