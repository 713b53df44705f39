"""What the API server fills in, hands out and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.api.acts import apply, create, delete, replace
from labkit.api.admission import admit
from labkit.api.objects import encode
from labkit.api.state import ClusterConfig, Key, State
from labkit.api.store import write
from labkit.cluster import Cluster
from labkit.errors import Conflict, Exhausted, LabError, ManifestError, NotFound


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def service(name: str = "web", meta: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    ports = spec.pop("ports", [{"port": 80}])
    spec = {"selector": {"app": "web"}, "ports": ports, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, **(meta or {})},
        "spec": spec,
    }


def deployment(name: str = "web", app: str = "web", **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "c:1", "ports": [{"containerPort": 80}]}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": app}}, "template": template, **spec},
    }


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "c:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "n"},
        "spec": spec,
    }


def cluster(*manifests: dict[str, Any], **config: Any) -> State:
    state = State(ClusterConfig(**config))
    return create(state, [namespace("default"), *manifests], "default").state


def admitted(manifest: dict[str, Any], state: State | None = None) -> dict[str, Any]:
    return encode(admit(state or cluster(), manifest))


DEFAULTS = {
    # what is filled in: (manifest, path, value)
    "a Service is a ClusterIP": (service(), "spec.type", "ClusterIP"),
    "a port is TCP": (service(), "spec.ports.0.protocol", "TCP"),
    "a target port is the port": (service(), "spec.ports.0.targetPort", 80),
    "a Service has no affinity": (service(), "spec.sessionAffinity", "None"),
    "affinity lasts three hours": (
        service(sessionAffinity="ClientIP"),
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        10800,
    ),
    "inside traffic goes everywhere": (service(), "spec.internalTrafficPolicy", "Cluster"),
    "outside traffic goes everywhere": (
        service(type="NodePort"),
        "spec.externalTrafficPolicy",
        "Cluster",
    ),
    "families follow the cluster": (service(), "spec.ipFamilies", ["IPv4"]),
    "one family is the policy": (service(), "spec.ipFamilyPolicy", "SingleStack"),
    "a headless Service has no address": (
        service(clusterIP="None"),
        "spec.clusterIPs",
        ["None"],
    ),
    "a Deployment has one replica": (deployment(), "spec.replicas", 1),
    "a rollout goes by quarters": (
        deployment(),
        "spec.strategy.rollingUpdate",
        {"maxSurge": "25%", "maxUnavailable": "25%"},
    ),
    "a template's port is TCP": (
        deployment(),
        "spec.template.spec.containers.0.ports.0.protocol",
        "TCP",
    ),
    "a pod asks the cluster's DNS": (pod(), "spec.dnsPolicy", "ClusterFirst"),
    "a pod is restarted": (pod(), "spec.restartPolicy", "Always"),
    "a pod has 30 seconds to leave": (pod(), "spec.terminationGracePeriodSeconds", 30),
    "a pod has an identity": (pod(), "spec.serviceAccountName", "default"),
    "an image without a tag is pulled always": (
        pod(containers=[{"name": "c", "image": "host:5000/c"}]),
        "spec.containers.0.imagePullPolicy",
        "Always",
    ),
    "an image with a tag is pulled once": (
        pod(),
        "spec.containers.0.imagePullPolicy",
        "IfNotPresent",
    ),
    "a policy is about ingress": (policy(podSelector={}), "spec.policyTypes", ["Ingress"]),
    "egress rules make it about egress too": (
        policy(podSelector={}, egress=[{}]),
        "spec.policyTypes",
        ["Ingress", "Egress"],
    ),
    "an empty list of egress rules counts as none": (
        policy(podSelector={}, egress=[]),
        "spec.policyTypes",
        ["Ingress"],
    ),
    "a policy's port is TCP": (
        policy(podSelector={}, ingress=[{"ports": [{"port": 80}]}]),
        "spec.ingress.0.ports.0.protocol",
        "TCP",
    ),
    "a namespace carries its name": (
        namespace("pay"),
        "metadata.labels",
        {"kubernetes.io/metadata.name": "pay"},
    ),
    "an object is in default": (service(), "metadata.namespace", "default"),
}


def at(manifest: Any, path: str) -> Any:
    for step in path.split("."):
        manifest = manifest[int(step)] if step.isdecimal() else manifest[step]
    return manifest


@pytest.mark.parametrize(("manifest", "path", "value"), DEFAULTS.values(), ids=DEFAULTS)
def test_the_api_server_fills_in(manifest, path, value):
    assert at(admitted(manifest), path) == value


def test_what_is_written_is_not_overwritten_by_a_default():
    written = service(ports=[{"port": 53, "protocol": "UDP", "targetPort": "dns"}])
    assert admitted(written)["spec"]["ports"] == written["spec"]["ports"]


def test_a_null_is_no_value():
    shown = admitted({**deployment(), "metadata": {"name": "web", "labels": None}})
    assert "labels" not in shown["metadata"]


def test_the_manifest_that_comes_in_is_left_alone():
    manifest = service(type="NodePort")
    admitted(manifest)
    assert manifest == service(type="NodePort")


# --- addresses and ports ------------------------------------------------------------------------


def addresses(state: State) -> dict[str, tuple[str, ...]]:
    return {k.name: o.spec.cluster_ips for k, o in state.objects.items() if k.kind == "Service"}


def test_cluster_ips_are_the_lowest_of_the_upper_band():
    state = cluster(service("a"), service("b"))
    assert addresses(state) == {"a": ("10.96.1.1",), "b": ("10.96.1.2",)}


def test_an_address_that_somebody_asks_for_later_in_the_file_is_not_given_away():
    state = cluster(service("a"), service("b", clusterIP="10.96.1.1"))
    assert addresses(state) == {"a": ("10.96.1.2",), "b": ("10.96.1.1",)}


def test_a_deleted_services_address_is_free_again():
    from labkit.api.acts import delete

    state = delete(cluster(service("a"), service("b")), [Key("Service", "default", "a")]).state
    state = create(state, [service("c")], "default").state
    assert addresses(state)["c"] == ("10.96.1.1",)


def test_two_families_give_two_addresses():
    ranges = ("10.96.0.0/12", "fd00:10:96::/112")
    state = cluster(service("a", ipFamilyPolicy="PreferDualStack"), service_cidrs=ranges)
    assert addresses(state) == {"a": ("10.96.1.1", "fd00:10:96::101")}


def test_a_service_may_ask_for_the_second_family_only():
    ranges = ("10.96.0.0/12", "fd00:10:96::/112")
    state = cluster(service("a", ipFamilies=["IPv6"]), service_cidrs=ranges)
    assert addresses(state) == {"a": ("fd00:10:96::101",)}


def test_a_full_range_is_exhausted():
    state = State(ClusterConfig(service_cidrs=("10.0.0.0/30",), dns_ip="10.0.0.2"))
    state = create(state, [namespace("default")], "default").state
    with pytest.raises(Exhausted, match=r"no ClusterIP is left in 10\.0\.0\.0/30"):
        create(state, [service("a")], "default")


def test_node_ports_leave_the_lower_band_to_hands():
    state = cluster(service("a", type="NodePort"), service("b", type="NodePort"))
    ports = [o.spec.ports[0].node_port for k, o in state.objects.items() if k.kind == "Service"]
    assert ports == [30086, 30087]


def test_one_node_port_may_serve_two_protocols_of_a_service():
    both = [
        {"name": "t", "port": 53, "protocol": "TCP", "nodePort": 30053},
        {"name": "u", "port": 53, "protocol": "UDP", "nodePort": 30053},
    ]
    shown = admitted(service(type="NodePort", ports=both))
    assert [p["nodePort"] for p in shown["spec"]["ports"]] == [30053, 30053]


def test_a_local_load_balancer_has_a_health_check_port_of_its_own():
    shown = admitted(service(type="LoadBalancer", externalTrafficPolicy="Local"))
    assert shown["spec"]["healthCheckNodePort"] != shown["spec"]["ports"][0]["nodePort"]


def test_back_to_cluster_ip_gives_the_node_port_back():
    state = cluster(service(type="NodePort"))
    state = apply(state, [service(type="ClusterIP")], "default").state
    web = encode(state.objects[Key("Service", "default", "web")])["spec"]
    assert "nodePort" not in web["ports"][0]
    assert "externalTrafficPolicy" not in web


def test_without_local_the_health_check_port_is_given_back():
    local = service(type="LoadBalancer", externalTrafficPolicy="Local")
    state = cluster(local)
    port = state.objects[Key("Service", "default", "web")].spec.health_check_node_port
    assert port
    state = apply(state, [local], "default").state
    assert state.objects[Key("Service", "default", "web")].spec.health_check_node_port == port
    wide = service(type="LoadBalancer", externalTrafficPolicy="Cluster")
    state = apply(state, [wide], "default").state
    assert (
        "healthCheckNodePort" not in encode(state.objects[Key("Service", "default", "web")])["spec"]
    )


REFUSED = {
    # what is refused: (what is there, what comes, the API server's words)
    "a taken ClusterIP": (
        [service("a", clusterIP="10.96.0.77")],
        service(clusterIP="10.96.0.77"),
        'The Service "web" is invalid: spec.clusterIPs[0]: Invalid value: "10.96.0.77": '
        "provided IP is already allocated; default/a has it: leave clusterIP out, and one is found",
    ),
    "a ClusterIP from elsewhere": (
        [],
        service(clusterIP="10.0.0.1"),
        'The Service "web" is invalid: spec.clusterIPs[0]: Invalid value: "10.0.0.1": failed to '
        "allocate IP 10.0.0.1: the provided IP (10.0.0.1) is not in the valid range. The range of "
        "valid IPs is 10.96.0.0/12",
    ),
    "another ClusterIP": (
        [service(clusterIP="10.96.0.77")],
        service(clusterIP="10.96.0.78"),
        'The Service "web" is invalid: spec.clusterIPs[0]: Invalid value: ["10.96.0.78"]: may not '
        "change once set; write 10.96.0.77, or delete the Service first",
    ),
    "a node port out of range": (
        [],
        service(type="NodePort", ports=[{"port": 80, "nodePort": 25000}]),
        'The Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 25000: provided port '
        "is not in the valid range. The range of valid ports is 30000-32767",
    ),
    "a taken node port": (
        [service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])],
        service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}]),
        'The Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port '
        "is already allocated; default/a has it: leave it out, and one is found",
    ),
    "a family that the cluster lacks": (
        [],
        service(ipFamilies=["IPv6"]),
        'The Service "web" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": not configured '
        "on this cluster",
    ),
    "a Deployment's other selector": (
        [deployment()],
        deployment(app="other"),
        'The Deployment "web" is invalid: spec.selector: Invalid value: '
        '{"matchLabels":{"app":"other"}}: field is immutable',
    ),
    "an object of an unknown namespace": (
        [],
        service(meta={"namespace": "pay"}),
        'namespaces "pay" not found',
    ),
}


@pytest.mark.parametrize(("there", "manifest", "words"), REFUSED.values(), ids=REFUSED)
def test_the_api_server_refuses(there, manifest, words):
    with pytest.raises(LabError) as refused:
        apply(cluster(*there), [manifest], "default")
    assert str(refused.value) == words


def test_a_pods_ports_may_not_change_but_its_image_may():
    state = cluster(pod())
    newer = pod(containers=[{"name": "c", "image": "c:2"}])
    assert str(apply(state, [newer], "default").lines[0]) == "pod/p configured"
    other = pod(containers=[{"name": "c", "image": "c:1", "ports": [{"containerPort": 1}]}])
    with pytest.raises(Conflict, match="pod updates may not change fields other than"):
        apply(state, [other], "default")


def test_a_bad_listens_annotation_is_refused():
    bad = pod()
    bad["metadata"]["annotations"] = {"labkit.dev/listens": "http"}
    with pytest.raises(ManifestError, match="`http` is not a port to listen on"):
        apply(cluster(), [bad], "default")


def test_a_dump_keeps_an_address_of_another_range():
    dumped = service(meta={"uid": "3c5c"}, clusterIP="172.20.4.4", clusterIPs=["172.20.4.4"])
    assert admitted(dumped)["spec"]["clusterIPs"] == ["172.20.4.4"]


# --- apply, create, replace ----------------------------------------------------------------------


def said(state: State, *manifests: dict[str, Any]) -> list[str]:
    return [str(line) for line in apply(state, list(manifests), "default").lines]


def test_apply_says_what_it_did():
    state = apply(cluster(), [service(), deployment()], "default").state
    assert said(state, service(), deployment(replicas=2), namespace("pay")) == [
        "service/web unchanged",
        "deployment.apps/web configured",
        "namespace/pay created",
    ]


def labelled(**labels: str) -> dict[str, Any]:
    return service(meta={"labels": labels})


def test_apply_takes_away_only_what_the_last_apply_had_written():
    key = Key("Service", "default", "web")
    state = apply(cluster(), [labelled(a="1", b="2")], "default").state
    web = encode(state.objects[key])
    web["metadata"]["labels"]["by-hand"] = "yes"
    state = replace(state, [web], "default").state
    state = apply(state, [labelled(b="3")], "default").state
    assert state.objects[key].labels == {"b": "3", "by-hand": "yes"}


def test_apply_matches_ports_by_number_and_keeps_the_node_port():
    state = apply(cluster(), [service(type="NodePort")], "default").state
    two = service(type="NodePort", ports=[{"name": "b", "port": 81}, {"name": "a", "port": 80}])
    web = apply(state, [two], "default").state.objects[Key("Service", "default", "web")]
    assert {p.port: p.node_port for p in web.spec.ports} == {81: 30087, 80: 30086}


def test_a_refused_manifest_takes_the_whole_file_with_it():
    state = cluster()
    with pytest.raises(NotFound):
        apply(state, [service("a"), service("b", meta={"namespace": "gone"})], "default")
    assert [k.name for k in state.objects if k.kind == "Service"] == []


def test_create_refuses_what_is_there_and_replace_what_is_not():
    with pytest.raises(Conflict, match=r'^services "web" already exists$'):
        create(cluster(service()), [service()], "default")
    with pytest.raises(NotFound, match=r'^deployments\.apps "web" not found$'):
        replace(cluster(), [deployment()], "default")


# --- stamps --------------------------------------------------------------------------------------


def test_stamps_come_from_key_revision_and_clock():
    state = cluster().at_time(90)
    first, again = (write(state, "t", [admit(state, service())])[0] for _ in range(2))
    key = Key("Service", "default", "web")
    meta = first.objects[key].metadata
    assert meta == again.objects[key].metadata
    assert meta.creation_timestamp == "2026-11-22T10:01:30Z"
    assert meta.resource_version == str(first.revision) == "2"
    assert meta.uid.count("-") == 4


def test_generation_counts_changes_of_the_spec_only():
    state = apply(cluster(), [deployment()], "default").state
    labelled = deployment()
    labelled["metadata"]["labels"] = {"a": "b"}
    state = apply(state, [labelled], "default").state
    key = Key("Deployment", "default", "web")
    assert state.objects[key].metadata.generation == 1
    labelled["spec"]["replicas"] = 5
    state = apply(state, [labelled], "default").state
    assert state.objects[key].metadata.generation == 2


FOREIGN = {
    "a foreign kind": ("cert-manager.io/v1", "Certificate", {"a": None, "b": 1}, {"b": 1}),
    "a foreign Service": ("serving.knative.dev/v1", "Service", {"b": 1}, {"b": 1}),
    "a spec that is a text": ("example.org/v1", "Thing", "text", "text"),
}


@pytest.mark.parametrize(("group", "kind", "spec", "kept"), FOREIGN.values(), ids=FOREIGN)
def test_foreign_kinds_get_no_defaults(group, kind, spec, kept):
    manifest = {"apiVersion": group, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    assert admitted(manifest)["spec"] == kept


def test_a_foreign_service_does_not_stand_in_the_way_of_the_real_one():
    foreign = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "web"},
    }
    state = cluster(service(), foreign)
    assert Key("Service", "default", "web") in state.objects
    assert Key("Service.serving.knative.dev", "default", "web") in state.objects


WARNINGS = {
    "external addresses": (
        [],
        service(externalIPs=["198.51.100.9"]),
        "spec.externalIPs: deprecated in v1.36+",
    ),
    "an object that apply did not make": (
        [service()],
        service(),
        "resource services/web is missing the kubectl.kubernetes.io/last-applied-configuration",
    ),
    "Endpoints": (
        [],
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e"}},
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ),
}


@pytest.mark.parametrize(("there", "manifest", "words"), WARNINGS.values(), ids=WARNINGS)
def test_kubectl_warns_of(there, manifest, words):
    (line,) = apply(cluster(*there), [manifest], "default").lines
    (warning,) = line.warnings
    assert warning.startswith(words)


PORTS = {
    # what it shows: (ports of two containers, what is said)
    "the same number twice": (
        ({"containerPort": 80}, {"containerPort": 80}),
        "{0}containers[1].ports[0]: duplicate port definition with {0}containers[0].ports[0]",
    ),
    "another protocol is another port": (
        ({"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}),
        "",
    ),
    "a host port is the lab's own matter": (
        ({"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}),
        "# the lab places pods by {0}containers[0].ports[0].hostPort, but forwards nothing",
    ),
}


@pytest.mark.parametrize("kind", ["Pod", "Deployment"])
@pytest.mark.parametrize(("ports", "words"), PORTS.values(), ids=PORTS)
def test_whoever_declares_ports_is_warned_once(kind, ports, words):
    containers = [{"name": f"c{i}", "image": "c:1", "ports": [p]} for i, p in enumerate(ports)]
    manifest = deployment()
    manifest["spec"]["template"]["spec"]["containers"] = containers
    path = "spec.template.spec."
    if kind == "Pod":
        path, manifest = "spec.", pod(containers=containers)
    done = apply(cluster(), [manifest], "default")
    said = list(done.lines[0].warnings)
    assert [w[: len(words.format(path))] for w in said] == ([words.format(path)] if words else [])
    assert apply(done.state, [manifest], "default").lines[0].warnings == ()


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_may_not_be_deleted(name):
    state = create(cluster(), [namespace(name)] if name != "default" else [], "default").state
    words = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    with pytest.raises(Conflict, match=words):
        delete(state, [Key("Namespace", "", name)])


def test_what_has_no_namespace_loses_the_one_that_is_written_and_makes_none():
    manifest = {**namespace("pay"), "metadata": {"name": "pay", "namespace": "nowhere"}}
    lab = Cluster.from_manifests([manifest])
    assert lab.get("ns/pay").namespace == ""
    assert "nowhere" not in [n.name for n in lab.list("namespaces")]


def test_an_ordinary_apply_warns_of_nothing():
    state = apply(cluster(), [service()], "default").state
    assert [line.warnings for line in apply(state, [service()], "default").lines] == [()]
