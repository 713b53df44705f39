"""What CoreDNS has learned from the API server: Services, endpoints and pods, by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from labkit.api.core import Namespace, Pod, Service
from labkit.api.discovery import SERVICE_NAME, EndpointSlice
from labkit.api.state import State
from labkit.dns.message import address_text

Name = tuple[str, str]  # namespace, name
T = TypeVar("T")
K = TypeVar("K")

GONE = ("Succeeded", "Failed", "Unknown")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The plugin's caches. `*_at` are by address; slices are by the Service they belong to."""

    namespaces: Mapping[str, Namespace]
    services: Mapping[Name, Service]
    slices: Mapping[Name, tuple[EndpointSlice, ...]]
    services_at: Mapping[str, tuple[Service, ...]]
    slices_at: Mapping[str, tuple[EndpointSlice, ...]]
    pods_at: Mapping[str, tuple[Pod, ...]]
    serial: int = 0


def known(state: State) -> Known:
    """Everything once through; kept beside the state by `state.cached(known)`.

    *The lab simplifies*: CoreDNS hears of every change at once.
    """
    services = state.list(Service)
    slices = state.list(EndpointSlice)
    pods = [p for p in state.list(Pod) if p.status.phase not in GONE]
    return Known(
        namespaces={n.name: n for n in state.list(Namespace)},
        services={(s.namespace, s.name): s for s in services},
        slices=grouped(((s.namespace, service_of(s)), s) for s in slices),
        services_at=grouped((ip, s) for s in services for ip in cluster_ips(s)),
        slices_at=grouped((ip, s) for s in slices for ip in _ready_addresses(s)),
        pods_at=grouped((str(ip), p) for p in pods for ip in p.addresses),
        serial=state.revision,
    )


def grouped(pairs: Iterable[tuple[K, T]]) -> dict[K, tuple[T, ...]]:
    """All values of a key, in order."""
    found: dict[K, list[T]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def service_of(slice_: EndpointSlice) -> str:
    return slice_.labels.get(SERVICE_NAME, "")


def headless(service: Service) -> bool:
    return "None" in (service.spec.cluster_ip, *service.spec.cluster_ips)


def cluster_ips(service: Service) -> tuple[str, ...]:
    """One address a family; empty for headless, external and unallocated Services."""
    spec = service.spec
    texts = (address_text(ip) for ip in spec.cluster_ips or (spec.cluster_ip,))
    return tuple(ip for ip in texts if ip)


def _ready_addresses(slice_: EndpointSlice) -> Iterable[str]:
    ready = (e for e in slice_.endpoints if e.conditions.ready is not False)
    return dict.fromkeys(address_text(a) or a for e in ready for a in e.addresses)
