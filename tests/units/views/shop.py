"""Clusters made by hand, as far as a topology reads them."""

from __future__ import annotations

from ipaddress import IPv4Address
from types import SimpleNamespace

from labkit.api.core import Node, NodeAddress, NodeSpec, NodeStatus, Pod, PodSpec, PodStatus
from labkit.api.meta import Condition, Meta, OwnerReference
from labkit.api.state import ClusterConfig, State, key_of
from labkit.traffic.program import program

SHOP = ("frontend", "backend", "db", "pay/payments", "ops/monitoring")


def machine(i: int, name: str = "") -> Node:
    address = NodeAddress(type="InternalIP", address=f"192.168.7.{10 + i}")
    cidr = f"10.244.{i}.0/24"
    return Node(
        metadata=Meta(name=name or f"node-{i}"),
        spec=NodeSpec(pod_cidr=cidr, pod_cidrs=(cidr,)),
        status=NodeStatus(addresses=(address,)),
    )


def pod(name: str, i: int, host: int, *, ready: bool = True, workload: str = "",
        host_network: bool = False, node: str = "") -> Pod:  # fmt: skip
    namespace, _, short = name.rpartition("/")
    owner = (
        OwnerReference(api_version="apps/v1", kind="StatefulSet", name=workload, controller=True),
    )
    address = IPv4Address(f"192.168.7.{10 + i}" if host_network else f"10.244.{i}.{host}")
    return Pod(
        metadata=Meta(name=short, namespace=namespace or "default",
                      owner_references=owner if workload else ()),
        spec=PodSpec(node_name=node or f"node-{i}", host_network=host_network),
        status=PodStatus(phase="Running", pod_ip=address, conditions=(
            Condition(type="Ready", status="True" if ready else "False"),)),
    )  # fmt: skip


def lab(
    nodes: int, pods: list[Pod], backend: str = "vxlan", names: tuple[str, ...] = ()
) -> SimpleNamespace:
    machines = [machine(i + 1, names[i] if names else "") for i in range(nodes)]
    state = State(ClusterConfig(cni_options={"backend": backend})).put_all(
        (key_of(o), o) for o in (*machines, *pods)
    )
    return SimpleNamespace(state=state, network=program(state))


def small(backend: str = "vxlan") -> SimpleNamespace:
    pods = [pod(name, 1 + i % 3, 2 + i // 3, ready=name != "db") for i, name in enumerate(SHOP)]
    pods.append(pod("ops/agent-x7k2p", 2, 0, host_network=True))
    pods += [pod(f"kube-system/coredns-{i}", 1, 8 + i) for i in range(2)]
    return lab(3, pods, backend)


def many(nodes: int = 3, each: int = 22) -> SimpleNamespace:
    pods = []
    for n in range(nodes * each):
        i, workload = 1 + n % nodes, SHOP[(n // nodes) % len(SHOP)]
        pods.append(pod(f"{workload}-6d4cf56db6-{n:05d}", i, 2 + n // nodes, ready=n != 4,
                        workload=workload.rpartition("/")[2]))  # fmt: skip
    return lab(nodes, pods)


CLUSTERS = {
    "shop": small,
    "shop without a tunnel": lambda: small("host-gw"),
    "66 pods": many,
    "one machine": lambda: lab(1, [pod("web", 1, 2)]),
    "two machines": lambda: lab(2, [pod("web", 1, 2), pod("long-name-of-a/long-name-of-p", 2, 3)]),
    "four machines": lambda: many(4, 3),
    "seven machines": lambda: many(7, 2),
}  # fmt: skip
