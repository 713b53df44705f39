"""Small clusters for tests, built of typed objects, with dull defaults."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from labkit.api.apps import ReplicaSet
from labkit.api.core import (
    Condition,
    Container,
    ContainerPort,
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
from labkit.api.discovery import (
    SERVICE_NAME,
    Endpoint,
    EndpointConditions,
    EndpointSlice,
    SlicePort,
)
from labkit.api.meta import Meta, Object, OwnerReference
from labkit.api.state import ClusterConfig, State, key_of


def node(number: int, *, cidr: str | None = None, address: str | None = None) -> Node:
    """`node-1` with 10.244.1.0/24 at 192.168.7.11, and so on."""
    own = address or f"192.168.7.{10 + number}"
    cidr = f"10.244.{number}.0/24" if cidr is None else cidr
    return Node(
        metadata=Meta(name=f"node-{number}"),
        spec=NodeSpec(pod_cidr=cidr, pod_cidrs=(cidr,) if cidr else ()),
        status=NodeStatus(addresses=(NodeAddress(type="InternalIP", address=own),)),
    )


def pod(
    name: str,
    address: str | None,
    *,
    on: int = 1,
    namespace: str = "default",
    ports: tuple[int, ...] = (8080,),
    listens: str | None = None,
    owner: str = "",
    phase: str = "Running",
    host_network: bool = False,
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> Pod:
    """A running pod of one container that declares `ports`; `owner` is `ReplicaSet/web-6f7d`."""
    kind, _, above = owner.partition("/")
    owners = (OwnerReference(api_version="apps/v1", kind=kind, name=above, controller=True),)
    ip = ip_address(address) if address else None
    spec.setdefault(
        "containers",
        (Container(name="main", ports=tuple(ContainerPort(container_port=p) for p in ports)),),
    )
    return Pod(
        metadata=Meta(
            name=name,
            namespace=namespace,
            labels=labels or {"app": name},
            annotations={} if listens is None else {"labkit.dev/listens": listens},
            owner_references=owners if owner else (),
        ),
        spec=PodSpec(node_name=f"node-{on}", host_network=host_network, **spec),
        status=PodStatus(
            phase=phase,
            pod_ip=ip,
            pod_ips=(PodIP(ip=ip),) if ip else (),
            conditions=(Condition(type="Ready", status="True"),),
        ),
    )


def replica_set(name: str, deployment: str, namespace: str = "default") -> ReplicaSet:
    """A ReplicaSet that a Deployment owns."""
    owner = OwnerReference(api_version="apps/v1", kind="Deployment", name=deployment)
    return ReplicaSet(metadata=Meta(name=name, namespace=namespace, owner_references=(owner,)))


def service(
    name: str,
    cluster_ip: str,
    *pods: Pod,
    port: int = 80,
    target: int = 8080,
    port_name: str = "",
    namespace: str = "default",
    **spec: Any,
) -> tuple[Service, EndpointSlice]:
    """A Service with one TCP port, and its slice with those pods in it, all ready."""
    ports = (ServicePortSpec(port=port, name=port_name, target_port=target),)
    address = () if cluster_ip == "None" else (cluster_ip,)
    made = Service(
        metadata=Meta(name=name, namespace=namespace),
        spec=ServiceSpec(cluster_ip=cluster_ip, cluster_ips=address, ports=ports, **spec),
    )
    return made, slice_of(name, *pods, target=target, port_name=port_name, namespace=namespace)


def slice_of(
    name: str, *pods: Pod, target: int = 8080, port_name: str = "", namespace: str = "default"
) -> EndpointSlice:
    """The EndpointSlice of the Service `name`."""
    ready = EndpointConditions(ready=True, serving=True, terminating=False)
    return EndpointSlice(
        metadata=Meta(name=f"{name}-slice", namespace=namespace, labels={SERVICE_NAME: name}),
        endpoints=tuple(
            Endpoint(addresses=(str(p.addresses[0]),), conditions=ready, node_name=p.spec.node_name)
            for p in pods
        ),
        ports=(SlicePort(name=port_name, port=target),),
    )


def state_of(*objects: Object | tuple[Object, ...], **config: Any) -> State:
    """A state of these objects; nested tuples are opened."""
    flat = [o for item in objects for o in (item if isinstance(item, tuple) else (item,))]
    return State(ClusterConfig(**config), {key_of(o): o for o in flat}, revision=len(flat))


def three_nodes(**config: Any) -> State:
    """The shop's middle: frontend on node-1, backend on node-2 and db on node-3.

    `svc/backend` (10.96.0.20:80) leads to backend's port 8080, `svc/empty` nowhere.
    """
    backend = pod("backend", "10.244.2.2", on=2)
    return state_of(
        node(1),
        node(2),
        node(3),
        pod("frontend", "10.244.1.2"),
        pod("client", "10.244.2.3", on=2),
        backend,
        pod("db", "10.244.3.2", on=3, ports=(5432,)),
        service("backend", "10.96.0.20", backend, port_name="http"),
        service("empty", "10.96.0.30"),
        **config,
    )
