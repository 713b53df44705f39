"""What a CoreDNS serves at `/metrics`: the counters of the questions that the lab asked it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.api.core import Pod
from labkit.dns.metrics import exposition
from labkit.dns.process import is_coredns, listens

if TYPE_CHECKING:
    from labkit.cluster import Cluster

PORTS = (9153, 9253)  # of CoreDNS, and of the cache on a node


def metrics_page(lab: Cluster, netns: str, port: int) -> str:
    """The page of the server in a namespace; empty where that port shows no counters.

    *The lab simplifies*: the plugin is known by its usual ports.
    """
    for pod in lab.state.list(Pod) if port in PORTS else ():
        place = f"{pod.namespace}/{pod.name}"
        own = f"node/{pod.spec.node_name}" if pod.spec.host_network else f"pod/{place}"
        doors = listens(lab.state, pod) if own == netns and is_coredns(pod) else ()
        if any(door.port == port for door in doors or ()):
            return exposition(lab.names.counts.get(place, {})) or "# nothing was asked yet"
    return ""
