"""What many Services cost: the rules that a connection's first packet meets, walked in the model.

Each size is a node of its own with that many Services; the packet asks for the last of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address

from labkit.api.core import (
    Node,
    NodeAddress,
    NodeSpec,
    NodeStatus,
    Pod,
    PodIP,
    PodSpec,
    PodStatus,
    Service,
    ServicePortSpec,
    ServiceSpec,
)
from labkit.api.discovery import SERVICE_NAME, Endpoint, EndpointSlice, SlicePort
from labkit.api.meta import Meta, Object
from labkit.api.state import ClusterConfig, State, key_of
from labkit.proxy import MODES
from labkit.traffic.connect import connect
from labkit.traffic.program import program

SIZES = (1, 10, 100, 1000, 10_000)
FIRST = int(ip_address("10.96.1.0"))
CLIENT, SERVERS = "10.244.1.2", ("10.244.1.3", "10.244.1.4")


@cache
def rules_met(mode: str, services: int) -> int:
    """Netfilter rules looked at for the first packet of a connection to the last Service."""
    state = _node(mode, services)
    last = str(ip_address(FIRST + services))
    found = connect(state, program(state), "pod/client", f"{last}:80")
    assert found.outcome == "answered", f"{mode}, {services} Services:\n{found}"
    return found.request.rules


def curve(mode: str, sizes: tuple[int, ...] = SIZES) -> tuple[int, ...]:
    return tuple(rules_met(mode, size) for size in sizes)


def _node(mode: str, services: int) -> State:
    assert mode in MODES
    address = NodeAddress(type="InternalIP", address="192.168.7.11")
    node = Node(
        metadata=Meta(name="node-1"),
        spec=NodeSpec(pod_cidr="10.244.1.0/24", pod_cidrs=("10.244.1.0/24",)),
        status=NodeStatus(addresses=(address,)),
    )
    pods = (_pod("client", CLIENT), *(_pod(f"s{i}", a) for i, a in enumerate(SERVERS)))
    config = ClusterConfig(proxy_mode=mode)
    objects: tuple[Object, ...] = (node, *pods, *_services(services))
    return State(config, {key_of(o): o for o in objects}, revision=len(objects))


def _pod(name: str, address: str) -> Pod:
    ip = ip_address(address)
    return Pod(
        metadata=Meta(
            name=name, namespace="default", annotations={"labkit.dev/listens": "8080/TCP"}
        ),
        spec=PodSpec(node_name="node-1"),
        status=PodStatus(phase="Running", pod_ip=ip, pod_ips=(PodIP(ip=ip),)),
    )


def _services(count: int) -> Iterator[Object]:
    """Services with two endpoints each, in the order of their names and so of their rules."""
    for number in range(1, count + 1):
        name, ip = f"app-{number:05}", str(ip_address(FIRST + number))
        ports = (ServicePortSpec(port=80, target_port=8080),)
        spec = ServiceSpec(cluster_ip=ip, cluster_ips=(ip,), ports=ports)
        yield Service(metadata=Meta(name=name, namespace="default"), spec=spec)
        labels = {SERVICE_NAME: name}
        yield EndpointSlice(
            metadata=Meta(name=name, namespace="default", labels=labels),
            endpoints=tuple(Endpoint(addresses=(a,), node_name="node-1") for a in SERVERS),
            ports=(SlicePort(port=8080),),
        )
