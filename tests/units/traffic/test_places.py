"""Places and targets by the words that learners write."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from labkit.api.core import Pod, Service, ServicePortSpec, ServiceSpec
from labkit.api.meta import Meta
from labkit.errors import CommandError, LabError, NotFound
from labkit.traffic.places import resolve_place, resolve_target, split_port
from tests.clusters import node, pod, replica_set, service, state_of

HASH = {"pod-template-hash": "5d4"}  # its ReplicaSet is not in the state, as in many dumps


def cluster():
    owner = "ReplicaSet/web-6f7d"
    backend = pod("web-6f7d-aaaaa", "10.244.1.3", owner=owner)
    other = pod("web-6f7d-bbbbb", "10.244.2.3", on=2, owner=owner)
    both = ServiceSpec(
        cluster_ip="10.96.0.10",
        ports=(
            ServicePortSpec(name="dns", port=53, protocol="UDP"),
            ServicePortSpec(name="dns-tcp", port=53),
            ServicePortSpec(name="metrics", port=9153),
        ),
    )
    away = ServiceSpec(type="ExternalName", external_name="db.example.com")
    return state_of(
        node(1),
        node(2),
        replica_set("web-6f7d", "web"),
        backend,
        other,
        pod(
            "pay-1",
            "10.244.2.4",
            on=2,
            namespace="pay",
            owner="ReplicaSet/payments-5d4",
            labels=HASH,
        ),
        pod("two-ports", "10.244.1.5", ports=(8080, 9090)),
        pod("left", "10.244.9.2", on=9),
        pod("late", None, phase="Pending"),
        pod("agent", "192.168.7.12", on=2, host_network=True),
        service("web", "10.96.0.20", backend, other, port_name="http"),
        service("headless", "None", other, port=80, target=8080, port_name="http"),
        Service(metadata=Meta(name="dns", namespace="kube-system"), spec=both),
        Service(metadata=Meta(name="away", namespace="default"), spec=away),
    )


STATE = cluster()

PLACES = {
    # what is written: (namespace, the place's full name)
    "pod/two-ports": ("pod/default/two-ports", "default/two-ports"),
    "pod/web": ("pod/default/web-6f7d-aaaaa", "default/web-6f7d-aaaaa"),
    "pod/web-6f7d-bbbbb": ("pod/default/web-6f7d-bbbbb", "default/web-6f7d-bbbbb"),
    "pod/pay/pay-1": ("pod/pay/pay-1", "pay/payments"),
    "pod/agent": ("node/node-2", "default/agent"),
    "node/node-1": ("node/node-1", "node-1"),
    "node-1": ("node/node-1", "node-1"),
    "outside": ("outside", "outside"),
    "10.244.2.3": ("pod/default/web-6f7d-bbbbb", "default/web-6f7d-bbbbb"),
    "192.168.7.12": ("node/node-2", "node-2"),
}


@pytest.mark.parametrize(("text", "found"), PLACES.items(), ids=PLACES)
def test_a_place(text, found):
    spot = resolve_place(STATE, text)
    assert (spot.netns, spot.text) == found


def test_the_only_pod_of_a_workload_goes_by_the_workloads_name():
    replicas = replica_set("web-6f7d", "web")
    lone = pod("web-6f7d-aaaaa", "10.244.1.3", owner="ReplicaSet/web-6f7d")
    assert resolve_place(state_of(node(1), replicas, lone), "pod/web").text == "default/web"


def test_a_workload_means_its_first_pod_that_runs():
    owner = "ReplicaSet/web-6f7d"
    state = state_of(
        node(1),
        replica_set("web-6f7d", "web"),
        pod("web-6f7d-aaaaa", None, owner=owner, phase="Pending"),
        pod("web-6f7d-bbbbb", "10.244.1.3", owner=owner),
    )
    assert resolve_place(state, "pod/web").pod.name == "web-6f7d-bbbbb"


def test_the_namespace_counts_where_the_text_names_none():
    assert resolve_place(STATE, "pod/pay-1", "pay").text == "pay/payments"


TARGETS = {
    # (text, protocol): address:port
    ("svc/web:80", "TCP"): ("10.96.0.20", 80),
    ("svc/web:http", "TCP"): ("10.96.0.20", 80),
    ("svc/web", "TCP"): ("10.96.0.20", 80),
    ("svc/web", "ICMP"): ("10.96.0.20", 0),
    ("svc/kube-system/dns:53", "UDP"): ("10.96.0.10", 53),
    ("svc/kube-system/dns:53", "TCP"): ("10.96.0.10", 53),
    ("svc/kube-system/dns", "UDP"): ("10.96.0.10", 53),
    ("svc/headless:80", "TCP"): ("10.244.2.3", 80),
    ("svc/headless:http", "TCP"): ("10.244.2.3", 8080),
    ("pod/web-6f7d-bbbbb:9", "TCP"): ("10.244.2.3", 9),
    ("pod/web-6f7d-bbbbb", "TCP"): ("10.244.2.3", 8080),
    ("node/node-2:30080", "TCP"): ("192.168.7.12", 30080),
    ("10.96.0.20:81", "TCP"): ("10.96.0.20", 81),
    ("[fd00::5]:81", "TCP"): ("fd00::5", 81),
    ("8.8.8.8", "ICMP"): ("8.8.8.8", 0),
    ("outside", "TCP"): ("203.0.113.9", 80),
    ("outside:443", "TCP"): ("203.0.113.9", 443),
}


@pytest.mark.parametrize(("asked", "found"), TARGETS.items(), ids=["-".join(k) for k in TARGETS])
def test_a_target(asked, found):
    text, protocol = asked
    target = resolve_target(STATE, text, protocol=protocol)
    assert (target.address, target.port) == (ip_address(found[0]), found[1])


def test_a_headless_service_offers_every_ready_pod():
    other = pod("b", "10.244.1.9")
    state = state_of(node(1), pod("a", "10.244.1.8"), other)
    made = service("h", "None", *state.list(Pod))
    state = state_of(*state, made)
    found = {str(resolve_target(state, "svc/h:80", pick=lambda n, i=i: i).address) for i in (0, 1)}
    assert found == {"10.244.1.8", "10.244.1.9"}


ERRORS = {
    "pod/webb": (NotFound, "there is no pod or workload `webb` in default; did you mean `web`"),
    "pod/left": (NotFound, "has no network: its node node-9 is gone; see kubectl get nodes"),
    "pod/late": (NotFound, "pod/default/late has no network: it is Pending"),
    "node/node-3": (NotFound, "did you mean `node-2` or `node-1`?"),
    "svc/web": (CommandError, "nothing runs in a Service; start from a pod or a node"),
    "10.244.9.9": (NotFound, "no pod and no node has this address"),
    "web": (CommandError, "not a place; write pod/NAME, pod/NAMESPACE/NAME, node/NAME"),
}


@pytest.mark.parametrize(("text", "expected"), ERRORS.items(), ids=ERRORS)
def test_a_place_that_is_not_there(text, expected):
    kind, message = expected
    with pytest.raises(kind) as error:
        resolve_place(STATE, text)
    assert message in str(error.value)


TARGET_ERRORS = {
    # (text, protocol): what the error says
    ("svc/web:8080", "TCP"): "the Service has no TCP port 8080; its ports: http 80/TCP",
    ("svc/web:80", "UDP"): 'no UDP port 80; its ports: http 80/TCP; add protocol="TCP"',
    ("svc/kube-system/dns", "TCP"): "several ports; name one of dns 53/UDP, dns-tcp 53/TCP",
    ("svc/wob:80", "TCP"): "there is no Service `wob` in default; did you mean `web`?",
    ("svc/away:80", "TCP"): "ExternalName Service has no address, DNS answers with the name db.ex",
    ("pod/two-ports", "TCP"): "it listens on 8080 and 9090 (TCP); write pod/two-ports:PORT",
    ("pod/web:htp", "TCP"): "there is no port named `htp`",
    ("node/node-1", "TCP"): "a port from 1 to 65535 is missing; write node/node-1:80",
    ("10.96.0.20", "TCP"): "a port from 1 to 65535 is missing",
    ("node/node-1:70000", "TCP"): "a port from 1 to 65535 is missing",
}


@pytest.mark.parametrize(
    ("asked", "message"), TARGET_ERRORS.items(), ids=["-".join(k) for k in TARGET_ERRORS]
)
def test_a_target_that_is_not_there(asked, message):
    with pytest.raises(LabError) as error:
        resolve_target(STATE, asked[0], protocol=asked[1])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_ipv6_address_keeps_its_colons():
    assert split_port("[fd00::1]:80") == ("fd00::1", "80")
    assert split_port("fd00::1") == ("fd00::1", "")


def test_localhost_is_the_senders_own_address():
    target = resolve_target(STATE, "localhost:9100")
    assert (str(target.address), target.port, target.netns) == ("127.0.0.1", 9100, None)


def test_localhost_without_a_port_is_asked_for_one():
    with pytest.raises(CommandError, match="localhost:80"):
        resolve_target(STATE, "localhost")
