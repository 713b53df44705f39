"""The four numbers of a connection to a Service, each with its owner, and where they part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import msgspec

from labkit.api.core import Pod, PortProtocol, Service, ServicePortSpec
from labkit.api.state import State
from labkit.controllers.selected import selected
from labkit.errors import CommandError
from labkit.kernel.netns import Network, Socket
from labkit.proxy.services import Endpoint, service_ports, usable_endpoints
from labkit.traffic.connection import Connection
from labkit.traffic.places import find_service, resolve_place, service_port, split_port

if TYPE_CHECKING:
    from labkit.cluster import Cluster

Break = Literal["", "client", "service", "pod"]
"""Where the numbers part: before the Service, before the endpoints, at the pod; nowhere."""


class Door(msgspec.Struct, frozen=True):
    """An endpoint, or several alike: the number it is sent to, and what listens there."""

    title: str
    number: int
    listens: tuple[str, ...]  # "8080/TCP", "127.0.0.1:9000/TCP"
    declares: tuple[str, ...]  # containerPorts: "8080/TCP http"
    meets: bool
    count: int = 1


class Ruler(msgspec.Struct, frozen=True, kw_only=True):
    """What the client dials, what the Service takes and sends to, what the pods listen on.

    `lack` says why there is no door, empty if there is one.
    """

    source: str
    service: str
    dialled: int
    protocol: PortProtocol
    port: ServicePortSpec
    doors: tuple[Door, ...]
    lack: str
    connection: Connection
    ends: Mapping[str, Fraction]

    @property
    def known(self) -> bool:
        """The Service has the port that is dialled."""
        return (self.dialled, self.protocol) == (self.port.port, self.port.protocol)

    @property
    def target(self) -> int | str:
        """The targetPort as it is written; without one it is the port."""
        return self.port.target_port or self.port.port

    @property
    def parts(self) -> Break:
        """The first place where the numbers part."""
        if not self.known:
            return "client"
        if not self.doors:
            return "service"
        return "" if all(door.meets for door in self.doors) else "pod"


def ruler(lab: Cluster, target: str, source: str, protocol: PortProtocol) -> Ruler:
    """Reads the numbers from the objects and from the tables; asks the walk for the end.

    Raises:
        NotFound, CommandError: there is no such Service or client, or it has no ClusterIP.
    """
    place, text = split_port(target.strip())
    kind, _, name = place.partition("/")
    if kind not in ("svc", "service", "services") or not name:
        raise CommandError(f"{target}: not a Service; write svc/NAME or svc/NAME:PORT")
    service = find_service(lab.state, name, lab.namespace)
    address = service.spec.cluster_ip
    if address in ("", "None"):
        raise CommandError(f"{target}: the Service has no ClusterIP; trace to it instead")
    port, dialled = _port(service, target, text, protocol)
    asked = f"[{address}]:{dialled}" if ":" in address else f"{address}:{dialled}"
    fork = lab.fork()  # the lab's own last connection and ports stay as they are
    connection = fork.connect(source, asked, protocol=protocol)
    spot = resolve_place(lab.state, source, lab.namespace)
    node = spot.netns if spot.pod is None else f"node/{spot.pod.spec.node_name}"
    doors = _doors(lab.state, lab.network, service, port, node.removeprefix("node/"))
    return Ruler(
        source=connection.source,
        service=name,
        dialled=dialled,
        protocol=protocol,
        port=port,
        doors=doors,
        lack="" if doors else _lack(lab.state, service, port),
        connection=msgspec.structs.replace(connection, target=target),
        ends=lab.outcomes(source, asked, protocol=protocol).ends,
    )


def _port(
    service: Service, target: str, text: str, protocol: PortProtocol
) -> tuple[ServicePortSpec, int]:
    """The Service's port and the number that is dialled, fitting or not."""
    ports = service.spec.ports
    for spec in ports:
        if text == str(spec.port) and spec.protocol == protocol:
            return spec, spec.port
    if text.isdigit() and 0 < int(text) < 65536:
        near = [p for p in ports if p.port == int(text)] or list(ports)
        return near[0], int(text)
    spec = service_port(service, target, text, protocol)
    return spec, spec.port


def _doors(
    state: State, network: Network, service: Service, port: ServicePortSpec, node: str
) -> tuple[Door, ...]:
    """The endpoints that packets from `node` may be sent to, equal ones together."""
    name = f"{service.namespace}/{service.name}" + (f":{port.name}" if port.name else "")
    mine = (p for p in service_ports(state) if (p.name, p.protocol) == (name, port.protocol))
    found = next(mine, None)
    if found is None:
        return ()
    usable = usable_endpoints(found, node).under(found.internal_policy)
    return grouped(_door(state, network, e, port.protocol) for e in usable)


def _door(state: State, network: Network, endpoint: Endpoint, protocol: PortProtocol) -> Door:
    here = endpoint.address
    owner = next(
        (
            netns
            for netns in network.namespaces.values()
            if any(a.ip == here for link in netns.links for a in link.addresses)
        ),
        None,
    )
    pods = (p for p in state.list(Pod) if here in p.addresses and not p.spec.host_network)
    sockets = owner.sockets if owner else ()
    return Door(
        title=owner.title if owner else str(here),
        number=endpoint.port,
        listens=tuple(map(_socket, sockets)),
        declares=_declared(next(pods, None)),
        meets=any(
            (s.protocol, s.port) == (protocol, endpoint.port) and s.address in (None, here)
            for s in sockets
        ),
    )


def _socket(socket: Socket) -> str:
    place = f"{socket.address}:" if socket.address else ""
    return f"{place}{socket.port}/{socket.protocol}"


def _declared(pod: Pod | None) -> tuple[str, ...]:
    ports = [p for c in pod.spec.containers for p in c.ports] if pod else []
    return tuple(f"{p.container_port}/{p.protocol} {p.name}".rstrip() for p in ports)


def grouped(doors: Iterable[Door]) -> tuple[Door, ...]:
    """Doors that differ in nothing but their pod become one, with their count."""
    groups: dict[tuple[object, ...], list[Door]] = {}
    for door in doors:
        key = (door.number, door.listens, door.declares, door.meets)
        groups.setdefault(key, []).append(door)
    return tuple(msgspec.structs.replace(same[0], count=len(same)) for same in groups.values())


def _lack(state: State, service: Service, port: ServicePortSpec) -> str:
    """Why a Service's port has no endpoint that a packet could be sent to."""
    selector = service.spec.selector
    if not selector:
        return "it has no selector, and nobody wrote endpoints for it"
    pods = selected(state, service)
    words = ", ".join(f"{key}={value}" for key, value in selector.items())
    if not pods:
        return f"no pod of {service.namespace} carries {words}"
    target = port.target_port
    names = {(p.name, p.protocol) for pod in pods for c in pod.spec.containers for p in c.ports}
    if isinstance(target, str) and (target, port.protocol) not in names:
        return f"no pod behind it declares a {port.protocol} port named {target}"
    return "no pod behind it is ready"
