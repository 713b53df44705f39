"""Nodes as their kubelets report them, and the block of pod addresses that each one gets.

*The lab simplifies*: the first block of a range stays free, so that node-1 has 10.244.1.0/24
and its neighbours count on; in life the first node would get 10.244.0.0/24.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import count

import msgspec

from labkit.api.core import Node, NodeAddress, NodeInfo, NodeSpec, NodeStatus
from labkit.api.meta import Condition
from labkit.api.state import State
from labkit.api.times import stamp
from labkit.cni import node_cidrs
from labkit.errors import Exhausted

INFO = NodeInfo(
    kubelet_version="v1.37.1",
    os_image="Debian GNU/Linux 13 (trixie)",
    kernel_version="6.12.48+deb13-amd64",
    container_runtime_version="containerd://2.1.4",
)
FIRST_HOST = 11  # node-1 is 192.168.7.11

HEALTH = (  # type, status, reason, message
    (
        "MemoryPressure",
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def nodes(state: State) -> Iterator[Node]:
    """Fills in what a Node lacks; what its manifest says is kept."""
    specs = [node.spec for node in state.list(Node)]
    blocks = {cidr for spec in specs for cidr in (spec.pod_cidr, *spec.pod_cidrs)}
    hosts = {a.address for node in state.list(Node) for a in node.status.addresses}
    for node in state.list(Node):
        if node.spec.pod_cidr and node.status.addresses and node.status.conditions:
            continue
        spec = node.spec if node.spec.pod_cidr else _with_blocks(state, node.spec, blocks)
        blocks.update(spec.pod_cidrs)
        status = _status(state, node, hosts)
        hosts.update(a.address for a in status.addresses)
        yield msgspec.structs.replace(node, spec=spec, status=status)


def _status(state: State, node: Node, hosts: Set[str]) -> NodeStatus:
    old = node.status
    addresses = old.addresses or (
        NodeAddress(type="InternalIP", address=_free_host(state, hosts)),
        NodeAddress(type="Hostname", address=node.name),
    )
    return NodeStatus(
        addresses=addresses,
        conditions=old.conditions or _conditions(state),
        node_info=old.node_info if old.node_info != NodeInfo() else INFO,
    )


def _conditions(state: State) -> tuple[Condition, ...]:
    now = stamp(state.now)
    return tuple(
        Condition(type=t, status=s, reason=r, message=m, last_transition_time=now)
        for t, s, r, m in HEALTH
    )


def _free_host(state: State, hosts: Set[str]) -> str:
    network = ip_network(state.config.node_cidr)
    for i in range(FIRST_HOST, network.num_addresses - 1):
        if str(network[i]) not in hosts:
            return str(network[i])
    raise Exhausted(f"{network} has no address left for another node; give a larger node_cidr")


def _with_blocks(state: State, spec: NodeSpec, used: Set[str]) -> NodeSpec:
    """The first share of the cluster's ranges that touches nobody's."""
    taken = [ip_network(cidr, strict=False) for cidr in used if cidr]
    for i in count(1):
        cidrs = node_cidrs(state.config, i)
        if cidrs and not any(_overlap(ip_network(c), t) for c in cidrs for t in taken):
            return msgspec.structs.replace(spec, pod_cidr=cidrs[0], pod_cidrs=cidrs)
        if not cidrs:
            break
    return spec


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if one.version != other.version:
        return False
    return one.network_address in other or other.network_address in one
