"""The one handle: what a learner can do to a cluster, and what it says back."""

from __future__ import annotations

from pathlib import Path

import pytest

import labkit
from labkit import Cluster, LabError, diff, faults
from labkit.errors import CommandError, Conflict, ManifestError, NotFound

SHOP = Path(__file__).parents[2] / "data" / "shop.yaml"
PAIR = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: c:1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: c, image: c:1, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
"""


@pytest.fixture
def lab() -> Cluster:
    return Cluster.from_manifests(PAIR)


def test_the_shop_runs():
    shop = Cluster.from_manifests(SHOP)
    pods = shop.list("pods", namespace="*")
    assert {p.status.phase for p in pods} == {"Running"}
    rows = {
        n: shop.get(f"pod/{n}")
        for n in ("frontend", "backend", "db", "pay/payments", "ops/monitoring")
    }
    assert {n: p.spec.node_name for n, p in rows.items()} == {
        "frontend": "node-1",
        "backend": "node-2",
        "db": "node-3",
        "pay/payments": "node-1",
        "ops/monitoring": "node-3",
    }
    assert [str(rows[n].status.pod_ip) for n in ("frontend", "backend", "db")] == [
        "10.244.1.2",
        "10.244.2.2",
        "10.244.3.2",
    ]


def test_the_same_input_gives_the_same_cluster():
    one, other = (Cluster.from_manifests(SHOP) for _ in range(2))
    assert one.state.objects == other.state.objects


def test_every_cluster_has_its_system(lab):
    assert lab.get("svc/kubernetes").spec.cluster_ip == "10.96.0.1"
    assert lab.get("svc/kube-system/kube-dns").spec.cluster_ip == "10.96.0.10"
    assert len(lab.list("pods", namespace="kube-system", selector="k8s-app=kube-dns")) == 2
    assert len(lab.list("pods", namespace="kube-system", selector="k8s-app=kube-proxy")) == 3
    assert "disable success cluster.local" in lab.get("cm/kube-system/coredns").data["Corefile"]


def test_the_input_may_bring_its_own_system():
    own = """
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data: {Corefile: mine}
---
apiVersion: v1
kind: Pod
metadata: {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {containers: [{name: c, image: c:1}]}
"""
    brought = Cluster.from_manifests(own)
    assert brought.get("cm/kube-system/coredns").data == {"Corefile": "mine"}
    assert [
        p.name for p in brought.list("pods", namespace="kube-system", selector="k8s-app=kube-dns")
    ] == ["dns"]


def test_namespaces_are_made_from_names_by_from_manifests_only(lab):
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: pay}, data: {}}"
    assert Cluster.from_manifests(text).get("ns/pay").name == "pay"
    with pytest.raises(NotFound, match=r'^namespaces "pay" not found$'):
        lab.apply(text)


# --- text, file, list ----------------------------------------------------------------------------


def test_a_line_that_ends_in_yaml_is_a_file(tmp_path):
    file = tmp_path / "deny.yaml"
    file.write_text(POLICY)
    for source in (str(file), file, POLICY):
        assert [str(line) for line in Cluster.from_manifests(PAIR).apply(source)] == [
            "networkpolicy.networking.k8s.io/deny created"
        ]
    with pytest.raises(NotFound):
        Cluster.from_manifests("missing.yaml")


# --- acts ----------------------------------------------------------------------------------------


def test_apply_says_created_configured_unchanged(lab):
    said = [
        lab.apply(text) for text in (POLICY, POLICY, POLICY.replace("{}", "{matchLabels: {a: b}}"))
    ]
    assert [str(line) for (line,) in said] == [
        f"networkpolicy.networking.k8s.io/deny {word}"
        for word in ("created", "unchanged", "configured")
    ]


def test_an_unchanged_apply_is_no_act(lab):
    before = lab.history
    lab.apply(PAIR)
    assert lab.history == before


def test_a_refused_apply_changes_nothing(lab):
    before, lines = lab.history, dict(lab.lines)
    taken = PAIR.rpartition("---")[2].replace("name: web", "name: x")
    taken = taken.replace("ports", "clusterIP: 10.96.0.1, ports")
    for bad in (f"{POLICY}\n---\n{taken}", POLICY.replace("podSelector", "podSelectr")):
        with pytest.raises(LabError):
            lab.apply(bad)
    assert (lab.history, lab.lines) == (before, lines)


def test_what_kubectl_create_and_replace_refuse(lab):
    with pytest.raises(Conflict, match='pods "client" already exists'):
        lab.create(PAIR)
    with pytest.raises(NotFound, match=r'networkpolicies\.networking\.k8s\.io "deny"'):
        lab.replace(POLICY)


def test_delete_says_where_it_deleted(lab):
    assert [str(line) for line in lab.delete("pod/client", "svc/web")] == [
        'pod "client" deleted from default namespace',
        'service "web" deleted from default namespace',
    ]
    with pytest.raises(NotFound, match="svc/web: no such svc in namespace default"):
        lab.delete("svc/web")


def test_undo_takes_back_what_followed_from_the_act(lab):
    before = lab.state
    lab.delete("pod/web")
    assert lab.get("endpoints/web").subsets == ()
    lab.undo()
    assert lab.state is before
    with pytest.raises(NotFound, match="nothing was changed"):
        lab.undo()


def test_undo_mends_a_fault_and_forgets_later_connections(lab):
    lab.inject(faults.link_down("node-1", "cni0"))
    lab.connect("node/node-1", "10.244.1.2:80")
    assert lab.faults
    lab.undo()
    assert (lab.faults, lab.conntrack) == ((), {})


def test_a_fault_that_breaks_nothing_is_refused(lab):
    with pytest.raises(NotFound):
        lab.inject(faults.missing_route("node-1", "192.0.2.0/24"))
    assert lab.faults == ()


def test_time_passes_only_by_wait(lab):
    assert (lab.state.now, lab.wait(90), lab.state.now) == (0, 90, 90)
    lab.apply(POLICY)
    assert lab.get("netpol/deny").metadata.creation_timestamp == "2026-11-22T10:01:30Z"


# --- history -------------------------------------------------------------------------------------


def test_watch_gives_every_write_with_its_revision(lab):
    events = lab.watch()
    assert [e.revision for e in events] == list(range(1, lab.state.revision + 1))
    lab.apply(POLICY)
    (event,) = lab.watch(since=events[-1].revision)
    assert (event.actor, event.verb, event.key.name) == ("kubectl", "created", "deny")


def test_at_goes_back_without_touching_the_present(lab):
    revision = lab.state.revision
    lab.delete("svc/web")
    past = lab.at(revision)
    assert past.get("svc/web").name == "web"
    past.delete("pod/client")
    assert lab.get("pod/client").name == "client"
    assert lab.at(0).list("pods") == ()
    with pytest.raises(NotFound, match="revisions go from 0 to"):
        lab.at(10_000)


def test_steps_of_a_paused_cluster_are_single_controllers(lab):
    lab.pause()
    lab.delete("pod/web")
    assert len(lab.get("endpoints/web").subsets) == 1
    actors = []
    while events := lab.step():
        actors.append(events[0].actor)
    assert actors == ["endpointslice-controller", "endpoints-controller"]
    lab.undo()
    assert lab.get("pod/web").name == "web"


def test_a_resumed_cluster_settles(lab):
    lab.pause()
    lab.delete("pod/web")
    lab.resume()
    assert lab.get("endpoints/web").subsets == ()
    assert lab.step() == ()


# --- fork and diff -------------------------------------------------------------------------------


def test_a_fork_goes_its_own_way(lab):
    fork = lab.fork()
    fork.delete("svc/web")
    assert lab.get("svc/web").name == "web"
    assert [str(c.key) for c in diff(lab, fork).objects if c.kind == "only in a"] == [
        f"EndpointSlice default/{lab.list('endpointslices')[-1].name}",
        "Endpoints default/web",
        "Service default/web",
    ]


def test_a_fork_with_other_ranges_gives_other_addresses(lab):
    fork = lab.fork(pod_cidrs="10.8.0.0/16", service_cidrs="10.7.0.0/16")
    assert str(fork.get("pod/web").status.pod_ip) == "10.8.2.2"
    assert fork.get("svc/web").spec.cluster_ip == "10.7.1.1"
    assert fork.get("svc/kube-system/kube-dns").spec.cluster_ip == "10.7.0.10"
    assert str(lab.get("pod/web").status.pod_ip) == "10.244.2.2"


def test_kube_proxy_leaves_with_the_mode_that_has_none_and_comes_back(lab):
    proxies = {"selector": "k8s-app=kube-proxy", "namespace": "kube-system"}
    without = lab.fork(proxy_mode="ebpf")
    assert without.list("pods", **proxies) == ()
    again = without.fork(proxy_mode="nftables")
    assert len(again.list("pods", **proxies)) == len(lab.list("nodes"))
    assert again.get("pod/web").status.pod_ip == lab.get("pod/web").status.pod_ip


def test_a_fork_with_another_backend_keeps_all_that_it_can(lab):
    fork = lab.fork(cni_options={"backend": "host-gw"})
    changed = diff(lab, fork)
    assert [str(c.key) for c in changed.objects] == ["ConfigMap kube-flannel/kube-flannel-cfg"]
    routes = {t.netns: t for t in changed.tables if t.command == "ip route"}
    assert "10.244.2.0/24 via 192.168.7.12 dev eth0" in routes["node/node-1"].only_b
    assert changed.reachability == ()


def test_diff_shows_fields_rows_and_cells(lab):
    fork = lab.fork()
    fork.inject(faults.missing_route("node-1", "10.244.2.0/24"))
    assert str(diff(lab, fork)).splitlines() == [
        "tables: 1 differ",
        "  node/node-1, ip route",
        "    - 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
        "reachability: 1 cells differ",
        "  pod/default/client -> pod/default/web:80/TCP: answered -> timed out",
    ]
    assert str(diff(lab, lab.fork())) == "no difference"


# --- traffic -------------------------------------------------------------------------------------


def test_a_trace_leaves_no_memory_and_a_connection_does(lab):
    trace = lab.trace("pod/client", "svc/web:80")
    assert (bool(trace), trace.reply, lab.conntrack) == (True, None, {})
    connection = lab.connect("pod/client", "svc/web:80")
    assert connection.reply is not None
    assert lab.last is connection
    assert lab.conntrack == connection.conntrack != {}


def test_two_connections_have_two_ports(lab):
    one, other = (lab.connect("pod/client", "svc/web:80") for _ in range(2))
    ports = [c.request.hops[0].before.sport for c in (one, other)]
    assert ports == [41000, 41001]


def test_outcomes_are_exact(lab):
    assert dict(lab.outcomes("pod/client", "svc/web:80").ends) == {"web": 1}


# --- asking --------------------------------------------------------------------------------------


def test_names_without_a_namespace_follow_the_labs():
    shop = Cluster.from_manifests(SHOP)
    with pytest.raises(NotFound):
        shop.get("svc/payments")
    shop.namespace = "pay"
    assert shop.get("svc/payments").namespace == "pay"
    assert [p.namespace for p in shop.list("pods")] == ["pay"]
    assert shop.get("svc/default/backend").name == "backend"


SELECTORS = {
    "": ["client", "web"],
    "app=web": ["web"],
    "app==web": ["web"],
    "app!=web": ["client"],
    "app in (web, db)": ["web"],
    "app notin (web)": ["client"],
    "app": ["web"],
    "!app": ["client"],
    "app=web,app!=db": ["web"],
    "app=web,!app": [],
}


@pytest.mark.parametrize(("selector", "names"), SELECTORS.items(), ids=SELECTORS)
def test_a_selector_reads_as_kubectl_reads_it(lab, selector, names):
    assert [p.name for p in lab.list("pods", selector=selector)] == names


def test_nonsense_is_no_selector(lab):
    with pytest.raises(CommandError, match="not a selector"):
        lab.list("pods", selector="app=web=db,")


WRONG = {
    # what is asked: what is said
    "svc/wep": "svc/wep: no such svc in namespace default; did you mean web?",
    "srv/web": "srv: no such kind; did you mean `svc`?",
    "web": "web: write a kind and a name, such as svc/backend",
    "deploy/web": "deploy/web: no such deploy in namespace default; there are some in kube-system",
}


@pytest.mark.parametrize(("text", "says"), WRONG.items(), ids=WRONG)
def test_a_wrong_name_is_answered_with_the_nearest(lab, text, says):
    with pytest.raises(LabError) as refused:
        lab.get(text)
    assert str(refused.value) == says


OPTIONS = {
    "cni": ({"cni": "flanel"}, "did you mean `flannel`?"),
    "proxy_mode": ({"proxy_mode": "iptable"}, "did you mean `iptables`?"),
    "an option": ({"pod_cidr": "10.0.0.0/8"}, "did you mean `pod_cidrs`?"),
    "a range": ({"pod_cidrs": "10.0.0.300/8"}, "cluster option: "),
}


@pytest.mark.parametrize(("config", "says"), OPTIONS.values(), ids=OPTIONS)
def test_a_wrong_option_is_one_line(config, says):
    with pytest.raises(LabError) as refused:
        Cluster.from_manifests((), **config)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_object_that_comes_twice_is_refused():
    with pytest.raises(LabError, match="Pod/client stands in the input twice"):
        Cluster.from_manifests(PAIR + "---\n" + PAIR)


def test_a_mistake_in_a_file_names_its_line():
    with pytest.raises(ManifestError, match=":5 NetworkPolicy/deny"):
        Cluster.from_manifests(POLICY.replace("podSelector", "podSelectr"))


def test_public_names_are_found_and_others_are_not():
    assert labkit.Cluster is Cluster
    assert set(labkit.__all__) <= set(dir(labkit))
    with pytest.raises(AttributeError, match="has no attribute 'Clutser'"):
        labkit.Clutser  # noqa: B018


def test_a_fork_remembers_the_connections_of_the_present(lab):
    lab.connect("pod/client", "svc/web:80")
    assert lab.fork().conntrack == lab.conntrack != {}
