"""Typed objects keep what they do not understand."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from labkit.api.apps import Deployment
from labkit.api.core import Pod, Service
from labkit.api.meta import Custom
from labkit.api.objects import decode, encode
from labkit.errors import ManifestError

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
    "spec": {
        "priority": 7,
        "containers": [
            {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]},
            {"name": "b", "image": "b:1", "stdin": True},
        ],
    },
}


def with_containers(pod: Pod, *containers) -> Pod:
    return replace(pod, spec=replace(pod.spec, containers=containers))


def test_an_untouched_object_is_printed_as_it_came():
    assert encode(decode(POD)) == POD


@pytest.mark.parametrize(
    ("api_version", "kind", "type_"),
    [
        ("v1", "Service", Service),
        ("apps/v1", "Deployment", Deployment),
        ("serving.knative.dev/v1", "Service", Custom),
        ("cert-manager.io/v1", "Certificate", Custom),
    ],
)
def test_the_group_decides_which_type_a_kind_has(api_version, kind, type_):
    manifest = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}
    assert type(decode(manifest)) is type_


def test_a_written_field_is_printed_beside_the_unknown_ones():
    pod = decode(POD)
    shown = encode(replace(pod, spec=replace(pod.spec, node_name="node-1")))
    assert shown == {**POD, "spec": {**POD["spec"], "nodeName": "node-1"}}


def test_a_field_that_is_taken_away_is_not_printed():
    pod = decode(POD)
    shown = encode(replace(pod, metadata=replace(pod.metadata, labels={})))
    assert "labels" not in shown["metadata"]


def test_a_changed_item_of_a_list_keeps_its_unknown_fields():
    pod = decode(POD)
    first, second = pod.spec.containers
    shown = encode(with_containers(pod, replace(first, image="a:2"), second))
    assert shown["spec"]["containers"] == [
        {"name": "a", "image": "a:2", "env": [{"name": "X", "value": "1"}]},
        {"name": "b", "image": "b:1", "stdin": True},
    ]


def test_items_of_a_list_are_matched_by_name_and_not_by_place():
    pod = decode(POD)
    _, second = pod.spec.containers
    shown = encode(with_containers(pod, second))
    assert shown["spec"]["containers"] == [{"name": "b", "image": "b:1", "stdin": True}]


def test_addresses_are_typed_inside_and_text_outside():
    manifest = {**POD, "status": {"podIP": "10.244.1.2", "podIPs": [{"ip": "10.244.1.2"}]}}
    pod = decode(manifest)
    assert pod.addresses == (ip_address("10.244.1.2"),)
    moved = replace(pod, status=replace(pod.status, pod_ip=ip_address("fd00::7")))
    assert encode(moved)["status"]["podIP"] == "fd00::7"


def test_a_container_status_is_printed_with_its_zeros():
    from labkit.api.core import ContainerStatus

    pod = decode(POD)
    status = replace(pod.status, container_statuses=(ContainerStatus(name="a"),))
    (shown,) = encode(replace(pod, status=status))["status"]["containerStatuses"]
    assert (shown["ready"], shown["restartCount"]) == (False, 0)


def test_the_printed_object_is_no_part_of_the_stored_one():
    pod = decode(POD)
    encode(pod)["spec"]["containers"][0]["image"] = "evil"
    assert encode(pod)["spec"]["containers"][0]["image"] == "a:1"


def test_a_value_of_the_wrong_type_is_refused_with_its_object():
    with pytest.raises(ManifestError, match=r"^Pod/web: .*hostNetwork"):
        decode({**POD, "spec": {**POD["spec"], "hostNetwork": "yes"}})
