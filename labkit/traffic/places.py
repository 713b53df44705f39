"""Places and targets as learners write them: `pod/frontend`, `svc/backend:80`, `outside`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address, ip_address

import msgspec

from labkit.api.core import Node, Pod, Service, ServicePortSpec
from labkit.api.discovery import SERVICE_NAME, EndpointSlice
from labkit.api.listens import listening
from labkit.api.names import titles, workloads
from labkit.api.state import State
from labkit.cni.base import internal_addresses, pod_netns
from labkit.errors import CommandError, NotFound
from labkit.kernel.packet import Address, Protocol
from labkit.traffic.machines import OUTSIDE

Pick = Callable[[int], int]
"""Chooses one of n: 0 to n-1."""

FORMS = "pod/NAME, pod/NAMESPACE/NAME, node/NAME, svc/NAME, an IP address or outside"


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """A place where a process can stand: its namespace, its name, its addresses.

    `pod` is set for pods, hostNetwork ones included (their `netns` is the node's);
    `node` for nodes. `text` is the full name: `default/frontend`, `node-1`, `outside`.
    """

    netns: str
    text: str
    addresses: tuple[Address, ...] = ()
    pod: Pod | None = None
    node: Node | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client connects to; `netns` is set where the address belongs to one place."""

    text: str  # as it was asked
    address: Address
    port: int  # 0 for ICMP
    netns: str | None = None


# --- places ---------------------------------------------------------------------------------


def resolve_place(state: State, text: str, namespace: str = "default") -> Spot:
    """The place of that name, where a process can be started.

    `pod/frontend` is the pod of that name, else the first running pod of the workload of
    that name. `namespace` counts where the text names none. A node's bare name will do.

    Raises:
        NotFound: nothing of that name, or a pod without network; with the nearest names.
        CommandError: the text has no form of a place.
    """
    kind, _, rest = text.strip().partition("/")
    if kind in ("pod", "po", "pods") and rest:
        return pod_spot(state, find_pod(state, rest, namespace))
    if kind in ("node", "no", "nodes") and rest:
        return node_spot(find_node(state, rest))
    if text == "outside":
        return Spot(netns="outside", text="outside", addresses=(OUTSIDE,))
    if kind in ("svc", "service", "services"):
        raise CommandError(f"{text}: nothing runs in a Service; start from a pod or a node")
    if state.get(Node, text):
        return node_spot(find_node(state, text))
    address = _as_address(text)
    if address is None:
        raise CommandError(f"{text}: not a place; write {FORMS}")
    return _spot_at(state, address)


def find_pod(state: State, name: str, namespace: str = "default") -> Pod:
    """The pod `NAME` or `NAMESPACE/NAME`, else the first running pod of that workload.

    Raises:
        NotFound: with the nearest names of pods and workloads in that namespace.
    """
    first, _, rest = name.partition("/")
    where, short = (first, rest) if rest else (namespace, first)
    pod = state.get(Pod, short, where)
    if pod is not None:
        return pod
    group = workloads(state).get((where, short), ())
    if group:
        return min(group, key=_usefulness)
    known = [pod.name for pod in state.list(Pod, where)]
    known += [workload for ns, workload in workloads(state) if ns == where]
    raise NotFound(_unknown(f"pod/{name}", f"pod or workload `{short}` in {where}", short, known))


def _usefulness(pod: Pod) -> tuple[bool, bool, str]:
    wired = pod.status.phase == "Running" and bool(pod.addresses)
    return (not wired, bool(pod.metadata.deletion_timestamp), pod.name)


def find_node(state: State, name: str) -> Node:
    """The node of that name; NotFound with the nearest names."""
    node = state.get(Node, name)
    if node is None:
        known = [n.name for n in state.list(Node)]
        raise NotFound(_unknown(f"node/{name}", f"node `{name}`", name, known))
    return node


def find_service(state: State, name: str, namespace: str = "default") -> Service:
    """The Service `NAME` or `NAMESPACE/NAME`; NotFound with the nearest names."""
    first, _, rest = name.partition("/")
    where, short = (first, rest) if rest else (namespace, first)
    service = state.get(Service, short, where)
    if service is None:
        known = [s.name for s in state.list(Service, where)]
        raise NotFound(_unknown(f"svc/{name}", f"Service `{short}` in {where}", short, known))
    return service


def _unknown(text: str, what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    near = get_close_matches(name, names, n=3)
    if near:
        return f"{text}: there is no {what}; did you mean {' or '.join(f'`{n}`' for n in near)}?"
    there = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"{text}: there is no {what}; " + (f"there are {there}" if there else "there are none")


def pod_spot(state: State, pod: Pod) -> Spot:
    """Where the pod's processes stand; NotFound while it has no network."""
    if pod.status.phase != "Running" or not pod.addresses or not pod.spec.node_name:
        raise NotFound(
            f"pod/{pod.namespace}/{pod.name} has no network: it is {pod.status.phase}; "
            f"see kubectl describe pod {pod.name} -n {pod.namespace}"
        )
    if state.get(Node, pod.spec.node_name) is None:
        raise NotFound(
            f"pod/{pod.namespace}/{pod.name} has no network: "
            f"its node {pod.spec.node_name} is gone; see kubectl get nodes"
        )
    title = titles(state).get((pod.namespace, pod.name), pod.name)
    return Spot(
        netns=f"node/{pod.spec.node_name}" if pod.spec.host_network else pod_netns(pod),
        text=f"{pod.namespace}/{title}",
        addresses=pod.addresses,
        pod=pod,
    )


def node_spot(node: Node) -> Spot:
    """The node's own namespace."""
    addresses = internal_addresses(node)
    return Spot(netns=f"node/{node.name}", text=node.name, addresses=addresses, node=node)


def _spot_at(state: State, address: Address) -> Spot:
    for pod in state.list(Pod):
        if address in pod.addresses and not pod.spec.host_network:
            return pod_spot(state, pod)
    for node in state.list(Node):
        if address in internal_addresses(node):
            return node_spot(node)
    if address == OUTSIDE:
        return resolve_place(state, "outside")
    raise NotFound(f"{address}: no pod and no node has this address; see kubectl get pods -o wide")


# --- targets ---------------------------------------------------------------------------------


def resolve_target(
    state: State,
    text: str,
    *,
    namespace: str = "default",
    protocol: Protocol = "TCP",
    pick: Pick = lambda n: 0,
) -> Target:
    """The address and port that a client means by `svc/backend:80` and the like.

    A port is a number or a port's name; a Service with one port and a pod that listens on one
    need none, and `outside` alone means port 80. A headless Service stands for the address of
    one ready endpoint, chosen by `pick`. *The lab simplifies*: names are looked up in the
    objects here, without DNS.

    Raises:
        NotFound: no such place or port; what there is follows.
        CommandError: the text has no form of a target, or lacks a port.
    """
    place, port = split_port(text.strip())
    asked = "" if protocol == "ICMP" else port
    kind, _, rest = place.partition("/")
    if kind in ("svc", "service", "services") and rest:
        return _service_target(
            state, find_service(state, rest, namespace), text, asked, protocol, pick
        )
    spot = resolve_place(state, place, namespace) if _as_address(place) is None else None
    address = spot.addresses[0] if spot and spot.addresses else _as_address(place)
    if address is None:
        raise NotFound(f"{text}: {place} has no address yet; see kubectl get nodes -o wide")
    number = 0 if protocol == "ICMP" else _port_of(spot, text, asked, protocol)
    return Target(text=text, address=address, port=number, netns=spot.netns if spot else None)


def split_port(text: str) -> tuple[str, str]:
    """`svc/backend:80` -> (`svc/backend`, `80`); `[fd00::1]:80` and bare IPv6 are understood."""
    if text.startswith("["):
        place, _, port = text[1:].partition("]")
        return place, port.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    place, _, port = text.partition(":")
    return place, port


def _as_address(text: str) -> Address | None:
    if text == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(text)
    except ValueError:
        return None


def _port_of(spot: Spot | None, text: str, port: str, protocol: Protocol) -> int:
    """The number of a port at a pod, a node, the outside or a bare address."""
    if port.isdigit() and 0 < int(port) < 65536:
        return int(port)
    if spot and spot.netns == "outside" and not port:
        return 80
    if spot is None or spot.pod is None or port.isdigit():
        raise CommandError(
            f"{text}: a port from 1 to 65535 is missing; write {text.split(':')[0]}:80"
        )
    pod = spot.pod
    named = {p.name: p.container_port for c in pod.spec.containers for p in c.ports if p.name}
    if port:
        if port not in named:
            raise NotFound(_unknown(text, f"port named `{port}` in pod/{pod.name}", port, named))
        return named[port]
    ports = [s.port for s in listening(pod) if s.protocol == protocol]
    if len(ports) == 1:
        return ports[0]
    there = " and ".join(map(str, ports)) or "no port"
    raise CommandError(f"{text}: it listens on {there} ({protocol}); write {text}:PORT")


def _service_target(
    state: State, service: Service, text: str, port: str, protocol: Protocol, pick: Pick
) -> Target:
    spec = service.spec
    if spec.type == "ExternalName":
        raise CommandError(
            f"{text}: an ExternalName Service has no address, DNS answers with the name "
            f"{spec.external_name}; connect to that address"
        )
    if spec.cluster_ip == "None":
        return _headless_target(state, service, text, port, protocol, pick)
    if not spec.cluster_ip:
        raise NotFound(f"{text}: the Service has no clusterIP yet; see kubectl get service")
    ping = protocol == "ICMP"
    number = 0 if ping else service_port(service, text, port, protocol).port
    return Target(text=text, address=ip_address(spec.cluster_ip), port=number)


def service_port(service: Service, text: str, port: str, protocol: Protocol) -> ServicePortSpec:
    """The port of a Service by number, by name, or its only one.

    Raises:
        NotFound: it has none such; the message lists those it has.
        CommandError: it has several and none was named.
    """
    ports = service.spec.ports
    has = ", ".join(f"{p.name} {p.port}/{p.protocol}".strip() for p in ports) or "none"
    fitting = [p for p in ports if p.protocol == protocol]
    if not port and len(fitting) == 1:
        return fitting[0]
    if not port and fitting:
        raise CommandError(f"{text}: the Service has several ports; name one of {has}")
    found = [p for p in ports if port in (str(p.port), p.name)]
    for candidate in found:
        if candidate.protocol == protocol:
            return candidate
    wanted = f"port {port}" if port else "port for it"
    cure = f'; add protocol="{found[0].protocol}"' if found else ""
    raise NotFound(f"{text}: the Service has no {protocol} {wanted}; its ports: {has}{cure}")


def _headless_target(
    state: State, service: Service, text: str, port: str, protocol: Protocol, pick: Pick
) -> Target:
    """One ready endpoint of a headless Service, as a client gets it from DNS.

    Nothing translates ports here: a number is used as it is, although the pods may listen on
    the targetPort. Only a port's name (an SRV record) leads to the pods' port.
    """
    by_name = not port.isdigit() and protocol != "ICMP"
    chosen = service_port(service, text, port, protocol) if by_name else None
    number = chosen.port if chosen else int(port or 0)
    found = [
        (address, _slice_port(slice_, chosen.name) if chosen and port else number)
        for slice_ in slices_of(state, service)
        for endpoint in slice_.endpoints
        if endpoint.conditions.ready is not False or service.spec.publish_not_ready_addresses
        for address in endpoint.addresses
    ]
    if not found:
        raise NotFound(
            f"{text}: a headless Service has its pods' addresses, and no pod of it is ready; "
            f"see kubectl get endpointslices -n {service.namespace}"
        )
    address, number = found[pick(len(found))]
    return Target(text=text, address=ip_address(address), port=number)


def _slice_port(slice_: EndpointSlice, name: str) -> int:
    return next((p.port or 0 for p in slice_.ports if (p.name or "") == name), 0)


def slices_of(state: State, service: Service) -> tuple[EndpointSlice, ...]:
    """The EndpointSlices that carry the Service's label, by name."""
    label: Mapping[str, str] = {SERVICE_NAME: service.name}
    slices = state.list(EndpointSlice, service.namespace)
    return tuple(
        s for s in slices if label.items() <= s.labels.items() and s.address_type != "FQDN"
    )
