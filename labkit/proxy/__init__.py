"""kube-proxy: each Service's addresses become rules in the kernel of every node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_address, ip_network

import msgspec

from labkit.api.core import Node, Pod
from labkit.api.state import ClusterConfig, State
from labkit.errors import NotFound
from labkit.kernel.ipvs import SCHEDULERS
from labkit.kernel.netns import Part
from labkit.proxy.base import FAMILIES, NodeView, ProxyMode
from labkit.proxy.ebpf import Ebpf
from labkit.proxy.iptables import Iptables
from labkit.proxy.ipvs import Ipvs
from labkit.proxy.nftables import Nftables
from labkit.proxy.services import service_ports
from labkit.proxy.stale import without_stale

__all__ = [
    "MODES",
    "NodeView",
    "ProxyMode",
    "mode_of",
    "node_view",
    "proxy_parts",
    "service_ports",
    "without_stale",
]

replace = msgspec.structs.replace
BRIDGE = "cni0"  # what BridgeInterface is set to: the CNI bridge plugin's own name
ZONE = "topology.kubernetes.io/zone"
MODES: Mapping[str, Callable[[ClusterConfig], ProxyMode]] = {
    "iptables": lambda config: Iptables(),
    "nftables": lambda config: Nftables(),
    "ipvs": lambda config: _ipvs(config),
    "ebpf": lambda config: Ebpf(),
}
"""What `proxy_mode=` takes."""

SWITCH = ("true", "false")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "detectLocalMode": ("ClusterCIDR", "NodeCIDR", "BridgeInterface"),
    "localhostNodePorts": SWITCH,
    "masqueradeAll": SWITCH,
    "scheduler": tuple(SCHEDULERS),
    "strictARP": SWITCH,
}
"""What `proxy_options=` takes: fields of KubeProxyConfiguration, with the values of each."""


def mode_of(config: ClusterConfig) -> ProxyMode:
    """The mode that the configuration names.

    Raises:
        NotFound: no such mode, option or value of one; the message lists the choices.
    """
    for name, value in config.proxy_options.items():
        _check_option(name, value)
    if config.proxy_mode in MODES:
        return MODES[config.proxy_mode](config)
    near = get_close_matches(config.proxy_mode, MODES, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"choose one of {', '.join(MODES)}"
    raise NotFound(f"proxy_mode: the lab has no `{config.proxy_mode}`; {hint}")


def _check_option(name: str, value: str) -> None:
    if name not in OPTIONS:
        near = get_close_matches(name, OPTIONS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"choose one of {', '.join(OPTIONS)}"
        raise NotFound(f"proxy_options: kube-proxy has no `{name}` here; {hint}")
    if value not in OPTIONS[name]:
        choices = ", ".join(OPTIONS[name])
        raise NotFound(f"proxy_options {name}: no `{value}`; choose one of {choices}")


def _ipvs(config: ClusterConfig) -> ProxyMode:
    options = config.proxy_options
    return Ipvs(options.get("scheduler", "rr"), options.get("strictARP", "false") == "true")


def proxy_parts(state: State, then: Mapping[str, State] | None = None) -> Mapping[str, Part]:
    """What kube-proxy puts into the namespace of each node, by its name (`node/NAME`).

    A node that `then` names knows Services and their endpoints as they were in that state.
    In the mode `ebpf` also what the node's programs see of each of its pods (`pod/NS/NAME`).
    """
    mode, behind = mode_of(state.config), then or {}
    parts = {
        f"node/{node.name}": mode.program(
            service_ports(behind.get(node.name, state)), node_view(node, state.config)
        )
        for node in state.list(Node)
    }
    return {**parts, **dict(_pod_parts(state, parts))}


def _pod_parts(state: State, nodes: Mapping[str, Part]) -> Iterator[tuple[str, Part]]:
    """connect(2) in a pod is looked at by the programs of its node; tc is the node's alone."""
    for pod in state.list(Pod):
        node = nodes.get(f"node/{pod.spec.node_name}")
        wired = pod.status.phase == "Running" and pod.addresses and not pod.spec.host_network
        if wired and node is not None and node.maps is not None:
            yield f"pod/{pod.namespace}/{pod.name}", Part(maps=replace(node.maps, devices=()))


def node_view(node: Node, config: ClusterConfig) -> NodeView:
    """kube-proxy's start-up options on one node: kubeadm's, with those of the configuration.

    What `OPTIONS` lists is read from `proxy_options`.
    """
    pods = tuple(ip_network(cidr) for cidr in config.pod_cidrs)
    options = config.proxy_options
    detect = options.get("detectLocalMode", "ClusterCIDR")
    cidrs = node.spec.pod_cidrs or ((node.spec.pod_cidr,) if node.spec.pod_cidr else ())
    own = tuple(ip_network(cidr) for cidr in cidrs)
    services = tuple(ip_network(cidr) for cidr in config.service_cidrs)
    addresses = tuple(
        ip_address(a.address) for a in node.status.addresses if a.type == "InternalIP"
    )
    versions = {each.version for each in (*pods, *services, *addresses)}
    return NodeView(
        name=node.name,
        zone=node.labels.get(ZONE, ""),
        addresses=addresses,
        pod_cidrs=own if detect == "NodeCIDR" else pods,
        pod_bridge=BRIDGE if detect == "BridgeInterface" else "",
        service_cidrs=services,
        masquerade_all=options.get("masqueradeAll", "false") == "true",
        localhost_node_ports=options.get("localhostNodePorts", "true") == "true",
        families=tuple(name for name, version in FAMILIES if version in versions),
    )
