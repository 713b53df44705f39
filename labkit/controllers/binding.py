"""Two processes that want one port of one network namespace: the second gets EADDRINUSE.

Source: bind(2); containers of a pod, and all hostNetwork pods of a node, share a namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.api.core import Pod
from labkit.api.listens import LISTENS, declared, holder, lasting
from labkit.api.state import State
from labkit.controllers.owned import FINISHED

Claim = tuple[str, int]  # protocol, port


def clashes(state: State) -> Mapping[tuple[str, str], dict[str, str]]:
    """(namespace, pod) -> container -> what its log says, for containers that cannot bind.

    Who comes first stays: the earlier container of a pod, its sidecars (init containers with
    `restartPolicy: Always`) before all others, the pod that was started earlier.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    machines: dict[str, set[Claim]] = {}
    for pod in _by_start(state):
        if pod.spec.host_network:
            held = machines.setdefault(pod.spec.node_name, set())
        elif len(lasting(pod)) < 2:
            continue
        else:
            held = set()
        for container, claims in _claims(pod):
            lost = held & claims
            if lost:
                port, protocol = min((port, protocol) for protocol, port in lost)
                message = f"listen {protocol.lower()} :{port}: bind: address already in use"
                found.setdefault((pod.namespace, pod.name), {})[container] = message
            else:
                held |= claims
    return found


def _by_start(state: State) -> list[Pod]:
    pods = [p for p in state.list(Pod) if p.spec.node_name and p.status.phase not in FINISHED]
    return sorted(pods, key=lambda p: (p.status.pod_ip is None, p.status.start_time))


def _claims(pod: Pod) -> Iterator[tuple[str, set[Claim]]]:
    """What each container binds: its declared ports, as far as an annotation lets them be."""
    noted = LISTENS in pod.annotations
    allowed = {(listen.protocol, listen.port) for listen in declared(pod)}
    for container in lasting(pod):
        ports: set[Claim] = {(p.protocol, p.container_port) for p in container.ports}
        if noted:
            held = {claim for claim in allowed if holder(pod, *claim) == container.name}
            ports = ports & allowed | held
        yield container.name, ports
