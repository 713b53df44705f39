"""Service and pods -> EndpointSlices.

A Service without a selector is left to whoever writes its slices, and so is one whose slices
came in with pods that did not (part of a dump).

Source: Kubernetes `staging/src/k8s.io/endpointslice/{reconciler,utils}.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from labkit.api.admission import safe_name
from labkit.api.core import Node, ObjectReference, Pod, Service
from labkit.api.discovery import (
    MANAGED_BY,
    SERVICE_NAME,
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointSlice,
    ForName,
    SlicePort,
)
from labkit.api.meta import Meta
from labkit.api.state import Key, State, key_of
from labkit.api.store import Delete, Write
from labkit.controllers.owned import reference_to
from labkit.controllers.selected import PodPort, address_of, host_name, pod_ports, selected

CONTROLLER = "endpointslice-controller.k8s.io"
MOST = 100  # endpoints in one slice
ZONE = "topology.kubernetes.io/zone"
HEADLESS = "service.kubernetes.io/headless"


def endpointslices(state: State) -> Iterator[Write]:
    """The slices that have to be written or deleted."""
    ours = state.cached(_slices_by_service)
    for service in state.list(Service):
        if not service.spec.selector or service.spec.type == "ExternalName":
            continue
        have = ours.get((service.namespace, service.name), ())
        if not any(_strange(state, slice_) for slice_ in have):
            for family in service.spec.ip_families or ("IPv4",):
                mine = [s for s in have if s.address_type == family]
                yield from _reconcile(state, service, family, mine)


def _slices_by_service(state: State) -> Mapping[tuple[str, str], list[EndpointSlice]]:
    found: dict[tuple[str, str], list[EndpointSlice]] = {}
    for slice_ in state.list(EndpointSlice):
        if slice_.labels.get(MANAGED_BY) == CONTROLLER:
            name = slice_.labels.get(SERVICE_NAME, "")
            found.setdefault((slice_.namespace, name), []).append(slice_)
    return found


def _strange(state: State, slice_: EndpointSlice) -> bool:
    """Does a slice that came in name pods that nobody here knows?"""
    if "endpoints" not in slice_.manifest:
        return False
    references = (e.target_ref for e in slice_.endpoints if e.target_ref)
    keys = (Key("Pod", slice_.namespace, r.name) for r in references if r.kind == "Pod")
    return any(key not in state.objects and key not in state.gone for key in keys)


def _reconcile(
    state: State, service: Service, family: str, have: list[EndpointSlice]
) -> Iterator[Write]:
    wanted = list(_chunks(state, service, int(family[-1])))
    names = _names(service, family, frozenset(slice_.name for slice_ in have))
    labels = _labels(service)
    for ports, endpoints in wanted:
        old = have.pop(0) if have else None
        if old is None:
            old = EndpointSlice(
                metadata=Meta(
                    name=next(names),
                    namespace=service.namespace,
                    generate_name=f"{service.name}-",
                    owner_references=(reference_to(service),),
                ),
                address_type=family,  # type: ignore[arg-type]  # IPv4 or IPv6, as the Service says
                manifest={
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "addressType": family,
                    "ports": [],
                },
            )
        meta = old.metadata
        if meta.labels != labels:
            meta = msgspec.structs.replace(meta, labels={**meta.labels, **labels})
        new = msgspec.structs.replace(old, metadata=meta, endpoints=endpoints, ports=ports)
        if new != old or old.metadata.uid == "":
            yield new
    yield from (Delete(key_of(slice_)) for slice_ in have)


def _names(service: Service, family: str, used: frozenset[str]) -> Iterator[str]:
    i = 0
    while True:
        seed = f"{service.namespace}/{service.name}/{family}/{i}"
        name = f"{service.name}-{safe_name(seed)}"
        if name not in used:
            yield name
        i += 1


def _labels(service: Service) -> dict[str, str]:
    labels = {**service.labels, MANAGED_BY: CONTROLLER, SERVICE_NAME: service.name}
    return {**labels, HEADLESS: ""} if service.spec.cluster_ip == "None" else labels


def _chunks(
    state: State, service: Service, version: int
) -> Iterator[tuple[tuple[SlicePort, ...], tuple[Endpoint, ...]]]:
    """Slices to have: pods with the same port numbers together, 100 in each at most."""
    groups: dict[tuple[PodPort, ...], list[Endpoint]] = {}
    zones = {node.name: node.labels.get(ZONE) for node in state.list(Node)}
    for pod in selected(state, service):
        address = address_of(pod, version)
        if address:
            endpoint = _endpoint(service, pod, str(address), zones.get(pod.spec.node_name))
            groups.setdefault(pod_ports(service, pod), []).append(endpoint)
    if not groups:
        yield (), ()  # a Service without pods has one empty slice
    for ports, endpoints in sorted(groups.items()):
        numbers = tuple(
            SlicePort(name=name, protocol=protocol, port=number, app_protocol=app or None)  # type: ignore[arg-type]
            for name, protocol, number, app in ports
        )
        for i in range(0, len(endpoints), MOST):
            yield numbers, tuple(endpoints[i : i + MOST])


def _endpoint(service: Service, pod: Pod, address: str, zone: str | None) -> Endpoint:
    leaving = bool(pod.metadata.deletion_timestamp)
    ready = (pod.ready and not leaving) or service.spec.publish_not_ready_addresses
    return Endpoint(
        addresses=(address,),
        conditions=EndpointConditions(ready=ready, serving=pod.ready, terminating=leaving),
        hostname=host_name(service, pod) or None,
        node_name=pod.spec.node_name or None,
        zone=zone,
        target_ref=ObjectReference(
            kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.metadata.uid
        ),
        hints=_hints(service.spec.traffic_distribution, pod.spec.node_name, zone),
    )


def _hints(distribution: str, node: str, zone: str | None) -> EndpointHints | None:
    """For whom an endpoint is meant. Source: KEP-3015, `trafficdist.go`."""
    zones = (ForName(name=zone),) if zone else ()
    if distribution in ("PreferClose", "PreferSameZone"):
        return EndpointHints(for_zones=zones) if zones else None
    if distribution == "PreferSameNode":
        return EndpointHints(for_zones=zones, for_nodes=(ForName(name=node),))
    return None
