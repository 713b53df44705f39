"""What a node decides for new connections of a client: chances, affinity, or a balancer's turn.

Read off one walk through the tables of `lab.network`; nothing here knows how often it is asked.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from labkit.api.core import Pod
from labkit.api.names import title_of
from labkit.api.state import State
from labkit.errors import CommandError
from labkit.kernel.balancing import virtual_servers
from labkit.kernel.dice import FirstDice
from labkit.kernel.ipvs import RealServer, VirtualServer
from labkit.kernel.kept import kept
from labkit.kernel.netns import Network
from labkit.kernel.packet import Packet
from labkit.kernel.trace import Hop
from labkit.proxy import service_ports
from labkit.proxy.services import ServicePort
from labkit.traffic.chances import FAILURES, outcomes
from labkit.traffic.connect import connect


class Stage(msgspec.Struct, frozen=True):
    """The cluster from `start` on, in seconds of the run."""

    start: float
    state: State
    network: Network

    def differs(self, other: Stage) -> bool:
        """Whether anything changed, in the objects or in the tables."""
        return self.state is not other.state or self.network is not other.network

    @property
    def living(self) -> frozenset[str]:
        """The pods whose connections go on, ready or not: those that run and do not leave."""
        pods = (p for p in self.state.list(Pod) if p.status.phase == "Running")
        return frozenset(_full(p) for p in pods if not p.metadata.deletion_timestamp)

    def pod(self, end: str) -> str:
        """The own name of the pod that goes by this title; a title may change, this does not."""
        names = {title_of(self.state, p): _full(p) for p in self.state.list(Pod)}
        return names.get(end, end)


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How the connections of one place are spread while nothing changes.

    `chances` holds each end of a new client, and sums to 1. `memory` names where a choice is
    remembered and for whom: (network namespace, source address as it is seen there). `affinity`
    is in seconds, None without. With `balancer`, IPVS is asked in place of the chances;
    `servers` says who stands behind each of its real servers.
    """

    chances: dict[str, float]
    memory: tuple[str, str]
    affinity: float | None = None
    packet: Packet
    balancer: VirtualServer | None = None
    servers: dict[RealServer, str] = {}

    @property
    def ends(self) -> tuple[str, ...]:
        """Everybody who may get a connection."""
        return tuple(self.servers.values() if self.balancer else self.chances)


def way(stage: Stage, source: str, target: str, namespace: str = "default") -> Way:
    """What the tables do with a new connection of `source`; kept beside the network.

    Raises:
        NotFound, CommandError: source or target are not there, with the nearest names.
    """
    known: dict[tuple[str, str, str], Way] = kept(stage.network, "ways", lambda _: {})
    asked = (source, target, namespace)
    if asked not in known:
        known[asked] = _way(stage, *asked)
    return known[asked]


def _way(stage: Stage, source: str, target: str, namespace: str) -> Way:
    state, network = stage.state, stage.network
    asked = connect(state, network, source, target, namespace=namespace, dice=FirstDice())
    hop = next((h for h in asked.request.hops if _turned(h)), asked.request.hops[0])
    found = outcomes(state, network, source, target, namespace=namespace)
    service = _service(state, hop.before)
    balancer = None
    if hop.table == "ipvs" and hop.action == "rewrite":
        here, key = network.namespaces[hop.netns], (hop.before.protocol, hop.before.dst)
        balancer = virtual_servers(here)[(*key, hop.before.dport)]
    return Way(
        chances={stage.pod(end): float(chance) for end, chance in found.ends.items()},
        memory=(hop.netns, str(hop.before.src)),
        affinity=service.affinity if service else None,
        packet=hop.before,
        balancer=balancer,
        servers=_servers(stage, (source, target, namespace), hop, balancer) if balancer else {},
    )


def _turned(hop: Hop) -> bool:
    """Here the packet's destination became a pod's, or would have."""
    return hop.before.dst != hop.after.dst and hop.before.inner is hop.after.inner


def _service(state: State, packet: Packet) -> ServicePort | None:
    """The Service port that a packet asks for, by its address or by a node's port."""
    for port in service_ports(state):
        addresses = (port.cluster_ip, *port.external_ips, *port.load_balancer_ips)
        by_address = packet.dst in addresses and packet.dport == port.port
        if port.protocol == packet.protocol and (by_address or packet.dport == port.node_port):
            return port
    return None


def _servers(
    stage: Stage, asked: tuple[str, str, str], hop: Hop, balancer: VirtualServer
) -> dict[RealServer, str]:
    """Who answers behind each real server, or what the client sees: it alone is left each time."""
    found = {}
    here = stage.network.namespaces[hop.netns]
    for server in balancer.servers:
        alone = replace(balancer, servers=(server,))
        others = tuple(alone if v == balancer else v for v in here.virtual_servers)
        spaces = {**stage.network.namespaces, hop.netns: replace(here, virtual_servers=others)}
        source, target, namespace = asked
        chances = outcomes(stage.state, Network(spaces), source, target, namespace=namespace)
        found[server] = stage.pod(next(iter(chances.ends)))
    return found


def listed(stage: Stage, source: str, target: str, namespace: str = "default") -> tuple[str, ...]:
    """The pods of a Service that `source` reaches by their own addresses, as its slices list them.

    One failure in their place if it reaches none.

    Raises:
        CommandError: the target is no Service.
    """
    state, network = stage.state, stage.network
    asked = connect(state, network, source, target, namespace=namespace, dice=FirstDice())
    service = _service(state, asked.request.hops[0].before)
    if service is None:
        raise CommandError(f"{target}: no Service, so there is no list of pods to choose from")
    ready = (str(e) for e in service.endpoints if e.ready)
    ends = [next(iter(outcomes(state, network, source, e).ends)) for e in ready]
    pods = sorted(stage.pod(end) for end in ends if end not in FAILURES)
    return tuple(pods or ends[:1] or ["refused"])


def _full(pod: Pod) -> str:
    return pod.name if pod.namespace == "default" else f"{pod.namespace}/{pod.name}"
