"""The lab's kubectl prints what kubectl 1.37.1 printed: byte for byte, from the same objects.

Source of the captures: kubectl 1.37.1 on manifests of the project's own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from labkit.api.objects import decode
from labkit.api.state import ClusterConfig, State, key_of
from labkit.api.times import stamp
from labkit.commands.kubectl import kubectl

CAPTURES = Path(__file__).parents[2] / "golden" / "captures"


def blocks(name):
    """command -> (what it printed, exit code)"""
    found = {}
    text = (CAPTURES / name).read_text()
    for block in re.split(r"^### kubectl ", text, flags=re.M)[1:]:
        command, _, rest = block.partition("\n")
        printed, _, tail = rest.rpartition("(exit ")
        found[command] = (printed, int(tail.rstrip(")\n")))
    return found


def lab_of(objects, now=0.0, namespace="default"):
    state = State(ClusterConfig(), {key_of(o): o for o in objects}, now=now)
    return SimpleNamespace(state=state, namespace=namespace, asked=[])


@pytest.fixture(scope="module")
def shop():
    kinds = json.loads((CAPTURES / "kubectl_describe_objects.json").read_text())
    return lab_of(decode(m) for group in kinds.values() for m in group.values())


DESCRIBE = blocks("kubectl_describe_1.37.1.txt")
NO_NAMESPACE = "-n shop describe service gone"


@pytest.mark.parametrize("command", sorted(DESCRIBE.keys() - {NO_NAMESPACE}))
def test_describe_prints_what_kubectl_printed(shop, command):
    printed, code = DESCRIBE[command]
    output = kubectl(shop, command)
    assert output + "\n" == printed
    assert output.exit_code == code


WORKLOADS = blocks("kubectl_workloads_1.37.1.txt")


@pytest.fixture(scope="module")
def workloads():
    objects = json.loads((CAPTURES / "kubectl_workloads_objects.json").read_text())
    return lab_of(decode(manifest) for manifest in objects)


@pytest.mark.parametrize("command", WORKLOADS)
def test_other_kinds_are_described_as_kubectl_does(workloads, command):
    printed, code = WORKLOADS[command]
    output = kubectl(workloads, command)
    assert output.rstrip("\n") == printed.rstrip("\n")
    assert output.exit_code == code


def test_an_object_that_is_not_there_is_not_found(shop):
    output = kubectl(shop, NO_NAMESPACE)
    assert output == 'Error from server (NotFound): services "gone" not found'
    assert output.exit_code == 1


# --- get: the captured tables, with objects that they could have been made of -------------

NOW = 15 * 86400.0


def made(kind, name, age, spec, version="v1", **more):
    """An object of the namespace `shop` that is so many seconds old."""
    meta = {"name": name, "namespace": "shop", "creationTimestamp": stamp(NOW - age)}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec, **more}


def container(ready, restarts=0, waiting=None, ended=None):
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    last = (
        {"lastState": {"terminated": {"exitCode": 1, "finishedAt": stamp(NOW - ended)}}}
        if ended
        else {}
    )
    return {"name": "c", "ready": ready, "restartCount": restarts, "state": state, **last}


def pod(name, age, node, ip, *statuses, phase="Running"):
    status = {"phase": phase, "containerStatuses": list(statuses)} | ({"podIP": ip} if ip else {})
    return made("Pod", name, age, {"containers": [{"name": "c"}], "nodeName": node}, status=status)


def service(name, age, type, ip, selector, *ports, **more):
    ports = [dict(zip(("port", "nodePort"), port, strict=False)) for port in ports]
    given = {"clusterIP": ip, "clusterIPs": [ip]} if ip else {}
    return made(
        "Service", name, age, {"type": type, "selector": selector, "ports": ports, **given, **more}
    )


def slice_(name, age, ports, addresses):
    more = {"addressType": "IPv4", "ports": [{"port": p} for p in ports]}
    more["endpoints"] = [{"addresses": [a]} for a in addresses]
    return made("EndpointSlice", name, age, {}, "discovery.k8s.io/v1", **more)


NETWORKING = "networking.k8s.io/v1"
LAYOUT = {
    "Service": [
        service("db", 12000, "ClusterIP", "None", {"app": "db"}, (5432,)),
        service("ext", 26 * 3600, "ExternalName", "", {}, externalName="db.example.com"),
        service("lb", 45, "LoadBalancer", "10.96.10.21", {"app": "web"}, (80, 30080), (443, 30443)),
    ],
    "Pod": [
        pod("web-0", 302, "node-a", "10.244.1.5", container(True)),
        pod("web-1", 302, "node-b", "10.244.2.6", container(False, 3, "CrashLoopBackOff", 40)),
        pod("x", 1, "", "", phase="Pending"),
    ],
    "EndpointSlice": [
        slice_(
            "web-abc12", 12000, (8080, 9091), [f"10.244.1.{n}" for n in (5, 6)] + ["10.244.2.7"] * 3
        ),
        slice_("hl-zz9", 26 * 3600, (), ()),
    ],
    "Ingress": [
        made(
            "Ingress",
            "edge",
            12 * 86400,
            {"ingressClassName": "nginx", "rules": [{"host": "shop.example"}], "tls": [{}]},
            NETWORKING,
            status={"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}},
        ),
        made("Ingress", "dflt", 12 * 86400, {"rules": [{}]}, NETWORKING),
    ],
    "NetworkPolicy": [
        made("NetworkPolicy", "deny-all", 900, {"podSelector": {}}, NETWORKING),
        made(
            "NetworkPolicy",
            "api",
            900,
            {"podSelector": {"matchLabels": {"app": "api"}}},
            NETWORKING,
        ),
    ],
}
GET = blocks("kubectl_get_layout_1.37.1.txt")


class InOrder(State):
    """Lists objects in the order of the capture, whose server did not sort them."""

    def list(self, type_, namespace=None):
        found = (o for o in self.objects.values() if type(o) is type_)
        return tuple(o for o in found if namespace in (None, o.namespace))


@pytest.fixture(scope="module")
def captured():
    objects = [decode(manifest) for group in LAYOUT.values() for manifest in group]
    state = InOrder(ClusterConfig(), {key_of(o): o for o in objects}, now=NOW)
    return SimpleNamespace(state=state, namespace="default", asked=[])


@pytest.mark.parametrize("command", GET)
def test_get_prints_the_captured_table(captured, command):
    printed, code = GET[command]
    output = kubectl(captured, command)
    assert output + "\n" == printed
    assert output.exit_code == code


def test_a_list_is_sorted_by_name():
    lab = lab_of([decode(m) for m in reversed(LAYOUT["Pod"])], NOW, "shop")
    assert kubectl(lab, "get pods -o name") == "pod/web-0\npod/web-1\npod/x"
