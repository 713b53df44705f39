"""Service and pods -> Endpoints, the older list that `kubectl get endpoints` shows.

Deprecated since 1.33 and read by nobody in the lab; it holds the first family only.

Source: Kubernetes `pkg/controller/endpoint/endpoints_controller.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.core import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    ObjectReference,
    Pod,
    Service,
)
from labkit.api.meta import Meta
from labkit.api.state import State
from labkit.controllers.selected import PodPort, address_of, host_name, pod_ports, selected

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"


def endpoints(state: State) -> Iterator[Endpoints]:
    """The Endpoints that have to be written; a Service without a selector has none of ours."""
    for service in state.list(Service):
        if not service.spec.selector or service.spec.type == "ExternalName":
            continue
        old = state.get(Endpoints, service.name, service.namespace)
        subsets = _subsets(state, service)
        if old is None:
            labels = {**service.labels, MANAGED_BY: CONTROLLER}
            yield Endpoints(
                metadata=Meta(name=service.name, namespace=service.namespace, labels=labels),
                subsets=subsets,
                manifest={"apiVersion": "v1", "kind": "Endpoints"},
            )
        elif old.subsets != subsets and "subsets" not in old.manifest:
            yield msgspec.structs.replace(old, subsets=subsets)


def _subsets(state: State, service: Service) -> tuple[EndpointSubset, ...]:
    version = int((service.spec.ip_families or ("IPv4",))[0][-1])
    groups: dict[tuple[PodPort, ...], tuple[list[EndpointAddress], list[EndpointAddress]]] = {}
    for pod in selected(state, service):
        address = address_of(pod, version)
        every = service.spec.publish_not_ready_addresses
        if address and (every or not pod.metadata.deletion_timestamp):
            ready, waiting = groups.setdefault(pod_ports(service, pod), ([], []))
            fit = pod.ready or every
            (ready if fit else waiting).append(_address(service, pod, str(address)))
    return tuple(
        EndpointSubset(
            addresses=tuple(ready),
            not_ready_addresses=tuple(waiting),
            ports=tuple(
                EndpointPort(name=name, protocol=protocol, port=number)  # type: ignore[arg-type]
                for name, protocol, number, _ in ports
            ),
        )
        for ports, (ready, waiting) in sorted(groups.items(), key=lambda item: item[0])
    )


def _address(service: Service, pod: Pod, ip: str) -> EndpointAddress:
    target = ObjectReference(
        kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.metadata.uid
    )
    return EndpointAddress(
        ip=ip, hostname=host_name(service, pod), node_name=pod.spec.node_name, target_ref=target
    )
