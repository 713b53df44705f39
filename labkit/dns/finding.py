"""Names of the cluster's zone, and the objects of the API that they stand for.

Source: CoreDNS `plugin/kubernetes/{kubernetes,parse,reverse,ns}.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from labkit.api.core import Pod, Service
from labkit.api.discovery import Endpoint, EndpointSlice
from labkit.api.meta import Requirement
from labkit.dns.known import Known, cluster_ips, headless, service_of
from labkit.dns.message import address_text, base_of, reversed_address

NO_PORT = -1  # stands for the ports of a Service or slice that has none: no SRV

PodMode = Literal["disabled", "insecure", "verified"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One `kubernetes` directive. A miss is final, except in the zones of `fall`."""

    zones: tuple[str, ...]
    ttl: int = 5
    pods: PodMode = "disabled"
    fall: tuple[str, ...] = ()
    namespaces: frozenset[str] = frozenset()
    labels: tuple[Requirement, ...] = ()
    namespace_labels: tuple[Requirement, ...] = ()
    endpoint_pod_names: bool = False
    endpoints: bool = True
    ignore_empty: bool = False
    zonal: bool = False


class Wanted(NamedTuple):
    """A name below the zone, taken apart. `zone` is a topology zone (`zonal` names)."""

    kind: str = ""  # "svc", "pod", or "" for the zone itself
    namespace: str = ""
    name: str = ""
    endpoint: str = ""
    protocol: str = ""
    port: str = ""
    zone: str = ""
    prefer: bool = False


class Found(NamedTuple):
    """What a name stands for: an address or another name; `owner` is its own full name."""

    host: str
    owner: str
    ttl: int
    port: int = NO_PORT


class Finder(NamedTuple):
    """Searches one zone; `local_ips` are the server's own addresses."""

    options: Options
    known: Known
    zone: str
    local_ips: tuple[str, ...] = ()

    def services(self, name: str) -> tuple[Found, ...] | None:
        """What the name stands for; empty: it exists without records; None: it does not."""
        if base_of(name, self.zone) == "ns.dns":
            return self.own_names()
        return self.below(name)

    def below(self, name: str) -> tuple[Found, ...] | None:
        wanted = parsed(base_of(name, self.zone), self.options.zonal)
        if wanted is None:
            return None
        if not wanted.kind:
            return ()
        if reversed_address(name) or not self._exposed(wanted.namespace):
            return None
        if wanted.kind == "pod":
            return self._pods(wanted)
        if not wanted.name:
            return ()
        service = self.known.services.get((wanted.namespace, wanted.name))
        if service is None or not self._labelled(service):
            return None
        found = self._of_service(service, wanted)
        return tuple(found) if found is not None else None

    def _of_service(self, service: Service, wanted: Wanted) -> list[Found] | None:
        owner = f"{service.name}.{service.namespace}.svc.{self.zone}"
        slices = self._slices(service)
        outside = service.spec.type == "ExternalName"
        counted = self.options.ignore_empty and not outside and not headless(service)
        if counted and not any(True for slice_ in slices for _ in _ready(slice_)):
            return None
        if wanted.zone and not headless(service):
            return None
        if outside:
            target = service.spec.external_name
            if wanted.endpoint or wanted.port or wanted.protocol or address_text(target):
                return None
            return [Found(target, owner, self.options.ttl)]
        if headless(service) or wanted.endpoint:
            return self._endpoints(slices, wanted, owner)
        ports = service.spec.ports
        fitting = [p.port for p in ports if _fits(wanted, p.name, p.protocol)]
        if not ports and not wanted.port and not wanted.protocol:
            fitting = [NO_PORT]
        ips = cluster_ips(service)
        found = [Found(ip, owner, self.options.ttl, port) for port in fitting for ip in ips]
        return found if fitting else None

    def _endpoints(
        self, slices: tuple[EndpointSlice, ...], wanted: Wanted, owner: str
    ) -> list[Found] | None:
        """Ready endpoints that fit the name; None if none does."""
        every = list(self._fitting(slices, wanted, owner))
        if not wanted.zone:
            return [found for _, found in every] or None
        near = [found for zone, found in every if zone.lower() == wanted.zone]
        if near or not wanted.prefer:
            return near if every else None
        return [found for _, found in every] or None

    def _fitting(
        self, slices: tuple[EndpointSlice, ...], wanted: Wanted, owner: str
    ) -> Iterator[tuple[str, Found]]:
        """Topology zone and record of each endpoint and port."""
        for slice_ in slices:
            ports = [(p.name or "", str(p.protocol), p.port or 0) for p in slice_.ports]
            for endpoint, ip in _ready(slice_):
                label = self._label(endpoint, ip)
                if wanted.endpoint and wanted.endpoint != label.lower():
                    continue
                for name, protocol, port in ports or [("", "", NO_PORT)]:
                    if _fits(wanted, name, protocol):
                        full = Found(ip, f"{label}.{owner}", self.options.ttl, port)
                        yield endpoint.zone or "", full

    def _pods(self, wanted: Wanted) -> tuple[Found, ...] | None:
        """`10-244-1-9.shop.pod`: insecure spells any address, verified asks for a pod."""
        if self.options.pods == "disabled":
            return None
        if not wanted.name:
            return ()
        four = wanted.name.count("-") == 3 and "--" not in wanted.name
        address = address_text(wanted.name.replace("-", "." if four else ":"))
        if not address:
            return None
        if self.options.pods == "verified":
            pods = self.known.pods_at.get(address, ())
            if not any(p.namespace == wanted.namespace and self._labelled(p) for p in pods):
                return None
        owner = f"{wanted.name}.{wanted.namespace}.pod.{self.zone}"
        return (Found(address, owner, self.options.ttl),)

    # --- what the options show and hide ------------------------------------------------------

    def _slices(self, service: Service) -> tuple[EndpointSlice, ...]:
        if not self.options.endpoints:
            return ()
        slices = self.known.slices.get((service.namespace, service.name), ())
        return tuple(s for s in slices if self._labelled(s))

    def _exposed(self, namespace: str) -> bool:
        found = self.known.namespaces.get(namespace)
        if found is None or (self.options.namespaces and namespace not in self.options.namespaces):
            return False
        return all(r.matches(found.labels) for r in self.options.namespace_labels)

    def _labelled(self, obj: Service | EndpointSlice | Pod) -> bool:
        return all(r.matches(obj.labels) for r in self.options.labels)

    def _label(self, endpoint: Endpoint, ip: str) -> str:
        """The one name that an endpoint has before its Service's."""
        if endpoint.hostname:
            return endpoint.hostname
        ref = endpoint.target_ref
        if self.options.endpoint_pod_names and ref and 0 < len(ref.name) < 64:
            return ref.name
        dashed = ip.replace(".", "-").replace(":", "-")
        return f"{dashed}0" if dashed.endswith("-") else dashed

    # --- the other way round ---

    def names_at(self, address: str) -> Iterator[str]:
        """The Service with that address, else all endpoints with it."""
        zone = next((z for z in self.options.zones if not z.endswith(".arpa.")), self.zone)
        for service in self.known.services_at.get(address, ()):
            if self._exposed(service.namespace) and self._labelled(service):
                yield f"{service.name}.{service.namespace}.svc.{zone}"
                return
        for slice_ in self.known.slices_at.get(address, ()) if self.options.endpoints else ():
            if not self._exposed(slice_.namespace) or not self._labelled(slice_):
                continue
            for endpoint, own in _ready(slice_):
                if own == address:
                    label = self._label(endpoint, own)
                    name = service_of(slice_)
                    yield f"{label}.{name}.{slice_.namespace}.svc.{zone}"

    def own_names(self) -> tuple[Found, ...]:
        """The Services in front of this very server; without one, `ns.dns` and its addresses."""
        found: list[Found] = []
        fronted = False
        ttl = self.options.ttl
        for local in self.local_ips:
            for slice_ in self.known.slices_at.get(local, ()):
                fronted = True
                name = service_of(slice_)
                service = self.known.services.get((slice_.namespace, name))
                if service is None:
                    continue
                owner = f"{name}.{slice_.namespace}.svc.{self.zone}"
                if headless(service):
                    found += (
                        Found(ip, f"{self._label(e, ip)}.{owner}", ttl) for e, ip in _ready(slice_)
                    )
                else:
                    found += (Found(ip, owner, ttl) for ip in cluster_ips(service))
        if fronted:
            return tuple(found)
        owner = f"ns.dns.{self.zone}"
        return tuple(Found(ip, owner, ttl) for ip in self.local_ips)


def parsed(base: str, zonal: bool = False) -> Wanted | None:
    """A name below the zone, in lower case; None if it has no form of a record's name."""
    if base in ("", "svc", "pod"):
        return Wanted()
    kind, *rest = reversed(base.split("."))
    if kind not in ("svc", "pod"):
        return None
    match rest:
        case [] | [_] | [_, _]:
            return Wanted(kind, "".join(rest[:1]), "".join(rest[1:]))
        case [namespace, name, endpoint]:
            return Wanted(kind, namespace, name, endpoint)
        case [namespace, name, protocol, port]:
            protocol, port = protocol.removeprefix("_"), port.removeprefix("_")
            return Wanted(kind, namespace, name, protocol=protocol, port=port)
        case [namespace, name, "_zone", "pin" | "prefer" as how, *zone] if zonal and kind == "svc":
            text = ".".join(reversed(zone))
            return Wanted(kind, namespace, name, zone=text, prefer=how == "prefer")
    return None


def _fits(wanted: Wanted, port: str, protocol: str) -> bool:
    named = wanted.port in ("", port.lower())
    return named and wanted.protocol in ("", protocol.lower())


def _ready(slice_: EndpointSlice) -> Iterator[tuple[Endpoint, str]]:
    """Endpoints that are ready or do not say, with each of their addresses."""
    for endpoint in slice_.endpoints:
        if endpoint.conditions.ready is not False:
            for address in endpoint.addresses:
                yield endpoint, address_text(address) or address
