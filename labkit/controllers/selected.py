"""Which pods stand behind a Service, and on which numbers its ports meet them.

Source: Kubernetes `staging/src/k8s.io/endpointslice/utils.go`, `pkg/api/v1/pod/util.go`
(`FindPort`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.api.core import Pod, Service, ServicePortSpec
from labkit.api.meta import Address
from labkit.api.state import State
from labkit.controllers.owned import FINISHED

PodPort = tuple[str, str, int, str]  # name, protocol, number, application protocol


def selected(state: State, service: Service) -> tuple[Pod, ...]:
    """The wired pods that the selector means, by name; a Service without one selects none."""
    labels = service.spec.selector
    if not labels or service.spec.type == "ExternalName":
        return ()
    first = next(iter(labels.items()))
    pods = state.cached(_by_label).get((service.namespace, *first), ())
    if len(labels) == 1:
        return tuple(pods)
    return tuple(p for p in pods if all(p.labels.get(k) == v for k, v in labels.items()))


def _by_label(state: State) -> Mapping[tuple[str, str, str], list[Pod]]:
    found: dict[tuple[str, str, str], list[Pod]] = {}
    for pod in state.list(Pod):
        if pod.addresses and pod.status.phase not in FINISHED:
            for label in pod.labels.items():
                found.setdefault((pod.namespace, *label), []).append(pod)
    return found


def pod_ports(service: Service, pod: Pod) -> tuple[PodPort, ...]:
    """The Service's ports as this pod has them; a name that the pod does not have is left out."""
    return tuple(_pod_ports(service, pod))


def _pod_ports(service: Service, pod: Pod) -> Iterator[PodPort]:
    for port in service.spec.ports:
        number = _number(port, pod)
        if number:
            yield port.name, port.protocol, number, port.app_protocol


def _number(port: ServicePortSpec, pod: Pod) -> int:
    target = port.target_port or port.port
    if isinstance(target, int):
        return target
    sidecars = (c for c in pod.spec.init_containers if c.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        for known in container.ports:
            if known.name == target and known.protocol == port.protocol:
                return known.container_port
    return 0


def address_of(pod: Pod, version: int) -> Address | None:
    """The pod's address of a family."""
    return next((a for a in pod.addresses if a.version == version), None)


def host_name(service: Service, pod: Pod) -> str:
    """The pod's own name under the Service's, if it asks for one there."""
    return pod.spec.hostname if pod.spec.subdomain == service.name else ""
