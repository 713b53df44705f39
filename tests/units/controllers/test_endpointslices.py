"""What stands in the slices of a Service."""

from __future__ import annotations

from labkit.cluster import Cluster
from labkit.lessons.exercises import apply_changed
from labkit.lessons.scenarios import scenario
from tests.units.controllers.worlds import container, node, pod, ready, service, slices, workload


def test_a_slice_has_the_addresses_and_the_target_port():
    lab = Cluster.from_manifests(
        [pod("web", container(8080)), service("web", ports=[{"port": 80, "targetPort": 8080}])]
    )
    (found,) = slices(lab, "web")
    (endpoint,) = found.endpoints
    assert (endpoint.addresses, [p.port for p in found.ports]) == (("10.244.1.2",), [8080])
    assert endpoint.node_name == "node-1"
    assert endpoint.target_ref.uid == lab.get("pod/web").metadata.uid
    assert found.metadata.owner_references[0].name == "web"


def test_a_pod_that_is_not_ready_is_listed_as_such():
    sick = pod(
        "sick", meta={"labels": {"app": "web"}, "annotations": {"labkit.dev/ready": "false"}}
    )
    lab = Cluster.from_manifests([pod("web"), sick, service("web")])
    assert ready(lab, "web") == {"sick": False, "web": True}
    serving = {e.target_ref.name: e.conditions.serving for e in slices(lab, "web")[0].endpoints}
    assert serving == {"sick": False, "web": True}


def test_a_service_may_publish_those_that_are_not_ready():
    sick = pod("web", meta={"annotations": {"labkit.dev/ready": "false"}})
    lab = Cluster.from_manifests([sick, service("web", publishNotReadyAddresses=True)])
    (endpoint,) = slices(lab, "web")[0].endpoints
    assert (endpoint.conditions.ready, endpoint.conditions.serving) == (True, False)


def test_a_named_port_is_looked_up_in_each_pod():
    def named(name: str, port: int) -> dict:
        ports = [{"name": "http", "containerPort": port}]
        web = {"labels": {"app": "web"}}
        return pod(name, {"name": "c", "image": "c:1", "ports": ports}, meta=web)

    port = {"port": 80, "targetPort": "http"}
    lab = Cluster.from_manifests([named("a", 8080), named("b", 9090), service("web", ports=[port])])
    found = {s.ports[0].port: [e.target_ref.name for e in s.endpoints] for s in slices(lab, "web")}
    assert found == {8080: ["a"], 9090: ["b"]}


def test_a_name_that_no_pod_has_leaves_no_port():
    lab = Cluster.from_manifests(
        [pod("web"), service("web", ports=[{"port": 80, "targetPort": "h2"}])]
    )
    (found,) = slices(lab, "web")
    assert (len(found.endpoints), found.ports) == (1, ())


def test_a_service_without_pods_has_one_empty_slice():
    lab = Cluster.from_manifests([service("web", app="typo")])
    (found,) = slices(lab, "web")
    assert (found.endpoints, found.ports) == ((), ())


def test_a_service_without_a_selector_is_left_alone():
    manual = service("web")
    del manual["spec"]["selector"]
    lab = Cluster.from_manifests([pod("web"), manual])
    assert slices(lab, "web") == []
    assert "web" not in [e.name for e in lab.list("endpoints")]


def test_a_hundred_endpoints_fill_a_slice():
    lab = Cluster.from_manifests([workload("Deployment", "web", 230), service("web")])
    assert sorted(len(s.endpoints) for s in slices(lab, "web")) == [30, 100, 100]
    lab.apply([workload("Deployment", "web", 50)])
    assert [len(s.endpoints) for s in slices(lab, "web")] == [50]


def test_slices_come_and_go_as_a_workload_grows_and_shrinks():
    lab = scenario("shop")
    for wanted, sizes in ((250, [50, 100, 100]), (120, [20, 100]), (3, [3]), (201, [1, 100, 100])):
        apply_changed(lab, "deployment/backend", lambda m, n=wanted: m["spec"].update(replicas=n))
        mine = (s for s in lab.list("endpointslices") if s.name.startswith("backend-"))
        assert sorted(len(s.endpoints) for s in mine) == sizes


def test_both_families_have_slices():
    lab = Cluster.from_manifests(
        [pod("web"), service("web", ipFamilyPolicy="RequireDualStack")],
        pod_cidrs="10.244.0.0/16,fd00:10:244::/56",
        service_cidrs="10.96.0.0/12,fd00:10:96::/112",
    )
    found = {s.address_type: s.endpoints[0].addresses for s in slices(lab, "web")}
    assert found == {"IPv4": ("10.244.1.2",), "IPv6": ("fd00:10:244:1::2",)}


def test_zones_and_hints_come_from_the_node():
    nodes = [node("a", {"topology.kubernetes.io/zone": "z1"})]
    near = service("near", app="web", trafficDistribution="PreferSameZone")
    lab = Cluster.from_manifests([*nodes, pod("web"), service("web"), near])
    plain, hinted = (slices(lab, name)[0].endpoints[0] for name in ("web", "near"))
    assert (plain.zone, plain.hints) == ("z1", None)
    assert [z.name for z in hinted.hints.for_zones] == ["z1"]


def test_a_pod_has_its_own_name_under_its_governing_service():
    sts = workload("StatefulSet", "db", 1, serviceName="db")
    lab = Cluster.from_manifests([sts, service("db", clusterIP="None"), service("other", app="db")])
    assert [slices(lab, n)[0].endpoints[0].hostname for n in ("db", "other")] == ["db-0", None]


def test_the_old_endpoints_say_the_same():
    sick = pod(
        "sick", meta={"labels": {"app": "web"}, "annotations": {"labkit.dev/ready": "false"}}
    )
    lab = Cluster.from_manifests(
        [
            pod("web", nodeName="n"),
            {**sick, "spec": {**sick["spec"], "nodeName": "n"}},
            service("web"),
        ]
    )
    (subset,) = lab.get("endpoints/web").subsets
    assert [a.ip for a in subset.addresses] == ["10.244.1.3"]
    assert [a.ip for a in subset.not_ready_addresses] == ["10.244.1.2"]


def test_a_dumps_slices_without_its_pods_are_kept():
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-abc12",
            "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["10.1.1.1"],
                "targetRef": {"kind": "Pod", "name": "w", "namespace": "default"},
            }
        ],
        "ports": [{"port": 80}],
    }
    lab = Cluster.from_manifests([service("web"), slice_])
    assert [s.endpoints[0].addresses for s in slices(lab, "web")] == [("10.1.1.1",)]


def test_deleting_the_service_deletes_its_slices():
    lab = Cluster.from_manifests([pod("web"), service("web")])
    lab.delete("svc/web")
    assert slices(lab, "web") == []
