"""discovery.k8s.io/v1: EndpointSlice, the list of addresses behind a Service.

Source: Kubernetes `k8s.io/api/discovery/v1/types.go`.
"""

from __future__ import annotations

from typing import Literal

from labkit.api.core import ObjectReference, PortProtocol
from labkit.api.meta import Field, Object

SERVICE_NAME = "kubernetes.io/service-name"  # label: whose slice this is
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


class EndpointConditions(Field, frozen=True):
    """None means: the writer did not say. An unknown `ready` counts as true, an unknown
    `serving` as `ready`, an unknown `terminating` as false."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForName(Field, frozen=True):
    name: str


class EndpointHints(Field, frozen=True):
    for_zones: tuple[ForName, ...] = ()
    for_nodes: tuple[ForName, ...] = ()


class Endpoint(Field, frozen=True):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: ObjectReference | None = None
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None


class SlicePort(Field, frozen=True, omit_defaults=False):
    """A port of all endpoints; without a number all ports are meant."""

    name: str | None = None
    port: int | None = None
    protocol: PortProtocol = "TCP"
    app_protocol: str | None = None


class EndpointSlice(Object, frozen=True):
    address_type: Literal["IPv4", "IPv6", "FQDN"] = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()
