"""The ground under the cluster: nodes' own devices, the switch, the router, and the outside.

*The lab simplifies*: all nodes hang on one switch, behind it stands one router, and behind
the router one machine that is "the internet".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_network

import msgspec

from labkit.api.core import Pod
from labkit.api.discovery import EndpointSlice
from labkit.api.listens import Listen, holder, listening
from labkit.api.names import title_of
from labkit.api.state import State
from labkit.cni import base
from labkit.cni.base import View, interface
from labkit.dns.process import listens as server_doors
from labkit.edge.loadbalancer import VIRTUAL
from labkit.kernel.links import Link
from labkit.kernel.netns import ESTABLISHED_SECONDS, Part, Socket
from labkit.kernel.packet import Address
from labkit.kernel.routes import Prefix, Route
from labkit.traffic.balancer import announced, balancer_address, balancer_part, keeps_clients

replace = msgspec.structs.replace
OUTSIDE = IPv4Address("203.0.113.9")
WORLD = IPv4Network("203.0.113.0/24")
WORLD_GATEWAY = IPv4Address("203.0.113.1")
DEFAULT = IPv4Network("0.0.0.0/0")
OUTSIDE_PORTS = (("TCP", 80), ("TCP", 443), ("UDP", 53))
KUBELET, KUBE_PROXY_HEALTH = 10250, 10256

IPV6_FORWARD = "net.ipv6.conf.all.forwarding"
KUBE_PROXY_SYSCTLS = {ESTABLISHED_SECONDS: 86_400}
"""What kube-proxy sets in every mode: `--conntrack-tcp-timeout-established` is 24 h.

*The lab simplifies*: its timeout for CLOSE_WAIT and the table's size are left out.

Source: `cmd/kube-proxy/app/server_linux.go`; since 1.29 it lowers a larger value too.
"""
NODE_SYSCTLS = {
    # Both are preconditions that kubeadm checks: without the first a node is no router,
    # without the second a bridge hides its traffic from iptables.
    "net.ipv4.ip_forward": 1,
    "net.bridge.bridge-nf-call-iptables": 1,
}


def machine_parts(state: State) -> Mapping[str, Part]:
    """Nodes, `switch`, `router` and `outside` before any plugin or proxy has run."""
    views = base.views(state)
    network = underlay(state)
    gateway = gateway_of(network, {a for view in views for a in view.addresses})
    sockets = node_sockets(state)
    # The mode `ebpf` is a cluster without kube-proxy.
    settings = NODE_SYSCTLS | (KUBE_PROXY_SYSCTLS if state.config.proxy_mode != "ebpf" else {})
    balancer, spoken = balancer_address(state, network), announced(state)
    way_out = balancer if balancer and keeps_clients(state) else gateway
    parts = {
        view.netns: replace(
            _node(view, number, network, way_out, sockets.get(view.name, ())),
            sysctls={**settings, **({IPV6_FORWARD: 1} if view.cidr(6) else {})},
        )
        for number, view in enumerate(views, start=1)
    }
    for view in views:
        parts[view.netns] = _announcing(parts[view.netns], spoken.get(view.name, ()))
    ends = [(view.netns, "eth0") for view in views] + [("router", "eth0")]
    beyond = _beyond(network, gateway, len(ends), _of_router(state, balancer))
    if balancer:
        ends.append(("lb", "eth0"))
        parts["lb"] = _balancer(state, network, gateway, balancer, str(len(ends)))
    return {**parts, "switch": _switch(ends), **beyond}


def underlay(state: State) -> IPv4Network:
    """The nodes' own network: the configured one, or the least that holds all their addresses."""
    network = IPv4Network(state.config.node_cidr)
    nodes = [v for view in base.views(state) if isinstance(v := view.address(4), IPv4Address)]
    if not nodes or all(a in network for a in nodes):
        return network
    network = IPv4Network((nodes[0], 24), strict=False)
    while not all(a in network for a in nodes):
        network = network.supernet()
    return network


def gateway_of(network: IPv4Network, taken: set[Address]) -> IPv4Address:
    """The router's address: the network's first, the last where a node has the first."""
    first, last = network[1], network[-2]
    return last if first in taken else first


def _connected(prefix: Prefix, dev: str, src: Address) -> Route:
    return Route(prefix=prefix, dev=dev, src=src, proto="kernel", scope="link")


def _eth(name: str, index: int, addresses: Iterable[tuple[Address, int]], peer: str) -> Link:
    """A machine's network card, plugged into a port of the switch or into `peer`."""
    own = tuple(interface(a, length) for a, length in addresses)
    end = ("switch", f"port{peer}") if peer.isdigit() else tuple(peer.split(":"))
    return Link(
        name=name,
        kind="veth",
        index=index,
        mac=base.address_mac(own[0].ip, lead="02:42") if own else base.hashed_mac(name, peer),
        addresses=own,
        peer=(end[0], end[1]),
    )


def _node(
    view: View, number: int, network: IPv4Network, gateway: Address, sockets: tuple[Socket, ...]
) -> Part:
    lengths = {4: network.prefixlen, 6: 64}
    addresses = [(a, lengths[a.version]) for a in view.addresses]
    routes: list[Route] = []
    if (own := view.address(4)) is not None:
        routes.append(Route(prefix=DEFAULT, via=gateway, dev="eth0"))
        routes.append(_connected(network, "eth0", own))
    if (six := view.address(6)) is not None:
        routes.append(_connected(ip_network((six, 64), strict=False), "eth0", six))
    return Part(
        links=(base.loopback(), _eth("eth0", 2, addresses, str(number))),
        routes=tuple(routes),
        sockets=sockets,
    )


def _announcing(part: Part, addresses: tuple[Address, ...]) -> Part:
    """The node with a speaker on its card that answers ARP for these addresses."""
    links = (replace(k, announces=addresses) if k.name == "eth0" else k for k in part.links)
    return replace(part, links=tuple(links)) if addresses else part


def _balancer(
    state: State, network: IPv4Network, gateway: Address, own: Address, port: str
) -> Part:
    """The load balancer: one card on the nodes' network, and its rules."""
    part = balancer_part(state)
    card = _eth("eth0", 2, [(own, network.prefixlen)], port)
    out = Route(prefix=DEFAULT, via=gateway, dev="eth0")
    own_routes = (out, _connected(network, "eth0", own), *part.routes)
    return replace(part, links=(base.loopback(), card), routes=own_routes)


def _switch(ends: list[tuple[str, str]]) -> Part:
    ports = (
        Link(
            name=f"port{number}",
            kind="veth",
            index=number + 2,
            mac=base.hashed_mac("switch", str(number)),
            peer=end,
            master="br0",
        )
        for number, end in enumerate(ends, start=1)
    )
    bridge = Link(name="br0", kind="bridge", index=2, mac=base.hashed_mac("switch", "br0"))
    return Part(links=(base.loopback(), bridge, *ports))


def _of_router(state: State, balancer: Address | None) -> tuple[Route, ...]:
    """What the router knows besides its own networks: balanced addresses, and what is nobody's."""
    if balancer is None:
        return _silent(state)
    return (*_silent(state), Route(prefix=VIRTUAL, via=balancer, dev="eth0"))


def _silent(state: State) -> tuple[Route, ...]:
    """The router drops what goes to a service range without a word.

    In life such a packet wanders off to an uplink that filters private addresses, so that
    the client waits in vain.
    """
    cidrs = (ip_network(cidr) for cidr in state.config.service_cidrs)
    return tuple(Route(prefix=cidr, kind="blackhole") for cidr in cidrs)


def _beyond(
    network: IPv4Network, gateway: Address, port: int, known: tuple[Route, ...]
) -> dict[str, Part]:
    """The router, which knows nothing of pods, and the machine behind it."""
    inner = _eth("eth0", 2, [(gateway, network.prefixlen)], str(port))
    outer = _eth("eth1", 3, [(WORLD_GATEWAY, 24)], "outside:eth0")
    far = _eth("eth0", 2, [(OUTSIDE, 24)], "router:eth1")
    router = Part(
        links=(base.loopback(), inner, outer),
        routes=(
            *known,
            _connected(network, "eth0", gateway),
            _connected(WORLD, "eth1", WORLD_GATEWAY),
        ),
        sysctls={"net.ipv4.ip_forward": 1},
    )
    outside = Part(
        links=(base.loopback(), far),
        routes=(
            Route(prefix=DEFAULT, via=WORLD_GATEWAY, dev="eth0"),
            _connected(WORLD, "eth0", OUTSIDE),
        ),
        sockets=tuple(Socket(p, n, None, "server") for p, n in OUTSIDE_PORTS),  # type: ignore[arg-type]  # literals above
    )
    return {"router": router, "outside": outside}


# --- sockets --------------------------------------------------------------------------------


def listens(state: State, pod: Pod) -> tuple[Listen, ...]:
    """Where a pod's processes listen now; a CoreDNS goes by its Corefile."""
    found = server_doors(state, pod)
    return listening(pod, state.now) if found is None else found


def pod_sockets(state: State, pod: Pod) -> tuple[Socket, ...]:
    """Where the processes of a pod with a namespace of its own listen."""
    return tuple(
        _socket(listen, listen.container or holder(pod, listen.protocol, listen.port))
        for listen in listens(state, pod)
    )


def node_sockets(state: State) -> Mapping[str, tuple[Socket, ...]]:
    """Node name -> its own servers and those of hostNetwork pods; who binds first keeps a port."""
    found: dict[str, dict[tuple[str, int, Address | None], Socket]] = {}
    for view in base.views(state):
        own = [
            *_api_server(state, view),
            Socket("TCP", KUBELET, None, "kubelet"),
            Socket("TCP", KUBE_PROXY_HEALTH, None, "kube-proxy"),
        ]
        found[view.name] = {(s.protocol, s.port, s.address): s for s in own}
    for pod in state.list(Pod):
        if pod.spec.host_network and pod.spec.node_name in found:
            held = found[pod.spec.node_name]
            for listen in listens(state, pod):
                key = (listen.protocol, listen.port, listen.address)
                held.setdefault(key, _socket(listen, title_of(state, pod)))
    return {name: tuple(sockets.values()) for name, sockets in found.items()}


def _socket(listen: Listen, owner: str) -> Socket:
    return Socket(listen.protocol, listen.port, listen.address, owner)


def _api_server(state: State, view: View) -> list[Socket]:
    """The API server listens on the node whose address the Service `kubernetes` leads to."""
    slice_ = state.get(EndpointSlice, "kubernetes", "default")
    if slice_ is None:
        return []
    ends = {address for endpoint in slice_.endpoints for address in endpoint.addresses}
    here = any(str(address) in ends for address in view.addresses)
    ports = (port.port for port in slice_.ports if here and port.port)
    return [Socket("TCP", port, None, "kube-apiserver") for port in ports]
