"""A load balancer in the walk: whose address arrives, who gets a share, who is left out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from labkit import Cluster, kubectl, scenario
from labkit.traffic.balancer import rotations

THIRD, HALF, ONE = Fraction(1, 3), Fraction(1, 2), Fraction(1)
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  externalTrafficPolicy: %s
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
"""
POD = """---
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: web}, annotations: {labkit.dev/listens: "8080/TCP"}}
spec: {nodeName: %s, containers: [{name: web, image: web}]}
"""
MODES = ("iptables", "nftables", "ebpf")
WALKED = ("aws-nlb-instance", "aws-clb", "aws-nlb-ip", "gcp-passthrough", "azure-lb", "metallb-l2")
OUTSIDE, BALANCER = "203.0.113.9", "192.168.7.5"


def shop(who: str, policy: str, *nodes: int, mode: str = "iptables", more: str = ""):
    """A Service `web` with a pod on each of the nodes: w1, w2 and so on."""
    lab = scenario("shop", proxy_mode=mode, load_balancer=who)
    pods = "".join(POD % (f"w{i}", f"node-{n}") for i, n in enumerate(nodes, start=1))
    lab.apply(SERVICE % policy + more + pods)
    return lab


def address(lab) -> str:
    return lab.get("svc/web").status.load_balancer.ingress[0].ip


def ends(lab) -> dict[str, Fraction]:
    return dict(lab.outcomes("outside", f"{address(lab)}:80").ends)


def source(lab) -> str:
    """The address that the pod sees."""
    connection = lab.trace("outside", f"{address(lab)}:80")
    assert connection.request.end.startswith("pod/")
    return str(connection.request.packet.src)


SHARES = {
    # what it shows: (balancer, policy, nodes of the pods, ends)
    "Cluster is fair, wherever pods are": (
        "aws-nlb-instance", "Cluster", (1, 1, 2), {"w1": THIRD, "w2": THIRD, "w3": THIRD}),
    "Local is fair to nodes": (
        "aws-nlb-instance", "Local", (1, 1, 2), {"w1": HALF / 2, "w2": HALF / 2, "w3": HALF}),
    "a checked node without pods gets nothing": ("aws-nlb-instance", "Local", (2,), {"w1": ONE}),
    "a proxy asks for health, too": ("aws-clb", "Local", (2,), {"w1": ONE}),
    "who asks nobody loses two of three": (
        "naive", "Local", (2,), {"w1": THIRD, "timed out": 2 * THIRD}),
    "who asks nobody is right with a pod on each": (
        "naive", "Local", (1, 2, 3), {"w1": THIRD, "w2": THIRD, "w3": THIRD}),
    "targets that are pods leave kube-proxy out": (
        "aws-nlb-ip", "Local", (1, 1, 2), {"w1": THIRD, "w2": THIRD, "w3": THIRD}),
    "equal routes share by nodes, too": (
        "gcp-passthrough", "Local", (1, 1, 2), {"w1": HALF / 2, "w2": HALF / 2, "w3": HALF}),
    "nobody is healthy, so all are asked, and refuse": (
        "aws-nlb-instance", "Local", (), {"refused": ONE}),
    "layer 2 has one node, which spreads under Cluster": (
        "metallb-l2", "Cluster", (1, 1, 2), {"w1": THIRD, "w2": THIRD, "w3": THIRD}),
    "layer 2 under Local has the pods of one node": (
        "metallb-l2", "Local", (2, 2), {"w1": HALF, "w2": HALF}),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("who", "policy", "nodes", "wanted"), SHARES.values(), ids=SHARES)
def test_shares(who, policy, nodes, wanted, mode):
    assert ends(shop(who, policy, *nodes, mode=mode)) == wanted


SOURCES = {
    # (balancer, policy): the address that a pod on node-2 sees
    ("aws-nlb-instance", "Local"): OUTSIDE,
    ("aws-clb", "Local"): BALANCER,
    ("aws-nlb-ip", "Cluster"): BALANCER,
    ("aws-nlb-ip", "Local"): BALANCER,
    ("gcp-passthrough", "Local"): OUTSIDE,
    ("azure-lb", "Local"): OUTSIDE,
    ("metallb-l2", "Local"): OUTSIDE,
    ("naive", "Local"): OUTSIDE,
}


@pytest.mark.parametrize(("who", "policy"), SOURCES)
def test_whose_address_a_pod_sees(who, policy):
    nodes = (1, 2, 3) if who == "naive" else (2,)
    assert source(shop(who, policy, *nodes)) == SOURCES[who, policy]


@pytest.mark.parametrize("who", ["aws-nlb-instance", "aws-clb", "gcp-passthrough", "metallb-l2"])
def test_under_cluster_a_node_hides_the_client(who):
    lab = shop(who, "Cluster", 2)
    own = {a for v in rotations(lab.state)[0].nodes for a in (v.cidrs[0][0], v.cidrs[0][1])}
    assert source(lab) in map(str, own)  # of flannel.1 or cni0 of some node


@pytest.mark.parametrize("who", WALKED)
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_the_client_hears_from_the_address_that_it_asked(who, policy):
    lab = shop(who, policy, 1, 2)
    connection = lab.connect("outside", f"{address(lab)}:80")
    assert connection
    assert str(connection.reply.packet.src) == address(lab)


def test_what_went_in_unchanged_is_answered_past_the_balancer():
    lab = shop("gcp-passthrough", "Local", 1)
    connection = lab.connect("outside", f"{address(lab)}:80", size=4000)
    assert connection
    assert all("lb" not in {hop.netns for hop in t.hops} for t in connection.traces[1::2])


def test_all_packets_of_a_connection_take_one_of_the_equal_routes():
    lab = shop("gcp-passthrough", "Cluster", 1, 2, 3)
    for sport in range(41000, 41020):
        one = lab.connect("outside", f"{address(lab)}:80", sport=sport, size=4000)
        assert one
        ends = {trace.end for trace in one.traces[::2]}
        assert len(ends) == 1


@pytest.mark.parametrize("who", ["aws-nlb-instance", "gcp-passthrough"])
def test_a_port_that_the_service_lacks_is_silence(who):
    lab = shop(who, "Local", 1)
    assert lab.trace("outside", f"{address(lab)}:81").outcome == "timed out"


@pytest.mark.parametrize("who", ["aws-nlb-instance", "gcp-passthrough"])
def test_source_ranges_keep_others_out(who):
    ranges = "  loadBalancerSourceRanges: [%s]\n"
    lab = shop(who, "Local", 1, more=ranges % "192.0.2.0/24")
    assert ends(lab) == {"timed out": ONE}
    lab = shop(who, "Local", 1, more=ranges % "203.0.113.0/24")
    assert ends(lab) == {"w1": ONE}


def test_a_node_may_be_excluded_by_its_label():
    lab = shop("naive", "Local", 1)
    label = "node.kubernetes.io/exclude-from-external-load-balancers=true"
    kubectl(lab, f"label node node-2 {label}")
    assert ends(lab) == {"timed out": HALF, "w1": HALF}


def test_a_pod_that_leaves_turns_its_node_unhealthy():
    lab = shop("aws-nlb-instance", "Local", 1, 2)
    assert rotations(lab.state)[0].failing == {"node-3"}
    lab.delete("pod/w2")
    assert rotations(lab.state)[0].failing == {"node-2", "node-3"}
    assert ends(lab) == {"w1": ONE}


# --- who gives an address --------------------------------------------------------------------


def external_ip(lab) -> str:
    return str(kubectl(lab, "get service web --no-headers")).split()[3]


def test_without_a_provider_it_is_pending_for_ever():
    assert external_ip(shop("", "Cluster", 1)) == "<pending>"


def test_addresses_are_counted_up_and_kept():
    lab = shop("aws-nlb-instance", "Cluster", 1)
    lab.apply((SERVICE % "Cluster").replace("web}\nspec", "shop}\nspec").replace("30080", "30081"))
    first = external_ip(lab)
    assert first == "198.51.100.10"
    assert lab.get("svc/shop").status.load_balancer.ingress[0].ip == "198.51.100.11"
    lab.apply(SERVICE % "Local")
    assert external_ip(lab) == first


def test_a_class_picks_a_balancer_and_a_strange_one_nobody():
    named = "  loadBalancerClass: %s\n"
    lab = shop("naive", "Local", 2, more=named % "service.k8s.aws/nlb")
    assert rotations(lab.state)[0].balancer.name == "aws-nlb-instance"
    assert external_ip(shop("naive", "Local", 2, more=named % "example.com/other")) == "<pending>"
    assert external_ip(shop("", "Local", 2, more=named % "metallb-l2")) == "192.168.7.240"


def test_another_type_gives_the_address_back():
    lab = shop("aws-nlb-instance", "Cluster", 1)
    lab.apply((SERVICE % "Cluster").replace("LoadBalancer", "NodePort"))
    assert lab.get("svc/web").status.load_balancer.ingress == ()
    assert "lb" not in lab.network.namespaces


def test_another_provider_is_a_fork_away():
    lab = shop("naive", "Local", 2)
    assert ends(lab.fork(load_balancer="aws-nlb-instance")) == {"w1": ONE}
    assert external_ip(lab.fork(load_balancer="metallb-l2")) == "192.168.7.240"


def test_a_status_that_came_with_a_manifest_stays_where_nobody_is_in_charge():
    status = "status: {loadBalancer: {ingress: [{ip: 203.0.113.80}]}}\n"
    lab = Cluster.from_manifests(SERVICE % "Cluster" + status)
    assert external_ip(lab) == "203.0.113.80"


def test_a_pod_takes_the_short_cut_only_where_packets_arrive_with_that_address():
    """`ipMode: VIP`: the client's own node answers; `Proxy`: the packet goes out and comes back."""
    proxy = shop("aws-nlb-instance", "Cluster", 2)
    passed = proxy.trace("pod/frontend", f"{address(proxy)}:80").places
    assert "lb" in passed
    vip = shop("metallb-l2", "Cluster", 2)
    assert "router" not in vip.trace("pod/frontend", f"{address(vip)}:80").places
