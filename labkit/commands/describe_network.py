"""`kubectl describe` of Service, EndpointSlice, Endpoints, Ingress and NetworkPolicy.

Source: kubernetes/kubectl `pkg/describe/describe.go`; print-outs of kubectl 1.37.1 in
`tests/golden/captures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from labkit.api.core import Endpoints, Service, ServicePortSpec
from labkit.api.discovery import SERVICE_NAME, Endpoint, EndpointSlice
from labkit.api.networking import (
    Ingress,
    IngressBackend,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyPort,
)
from labkit.api.state import State
from labkit.commands.cells import ingress_address, labels_text, ready_endpoints, selector_text
from labkit.commands.described import NO_EVENTS, Lines, headed, labels, named, notes

# --- Service ---------------------------------------------------------------------------


def service(obj: Service, state: State) -> Lines:
    spec = obj.spec
    yield from headed(obj)
    yield f"Selector:\t{labels_text(spec.selector)}"
    yield f"Type:\t{spec.type}"
    yield from _addresses(obj)
    slices = slices_behind(state, obj.namespace, obj.name)
    for port in spec.ports:
        yield from _service_port(port, slices)
    yield f"Session Affinity:\t{spec.session_affinity}"
    yield from _policies(obj)
    yield NO_EVENTS


def slices_behind(state: State, namespace: str, name: str) -> list[EndpointSlice]:
    """The EndpointSlices that carry the Service's name as their label."""
    slices = state.list(EndpointSlice, namespace)
    return [s for s in slices if s.labels.get(SERVICE_NAME) == name]


def _addresses(obj: Service) -> Lines:
    spec = obj.spec
    if spec.ip_family_policy:
        yield f"IP Family Policy:\t{spec.ip_family_policy}"
    yield f"IP Families:\t{','.join(spec.ip_families) or '<none>'}"
    yield f"IP:\t{spec.cluster_ip}"
    yield f"IPs:\t{','.join(spec.cluster_ips) or '<none>'}"
    if spec.external_ips:
        yield f"External IPs:\t{','.join(spec.external_ips)}"
    if spec.load_balancer_ip:
        yield f"Desired LoadBalancer IP:\t{spec.load_balancer_ip}"
    if spec.external_name:
        yield f"External Name:\t{spec.external_name}"
    ingress = obj.status.load_balancer.ingress
    if ingress:
        shown = (
            f"{i.ip} ({i.ip_mode})" if i.ip and i.ip_mode else i.ip or i.hostname for i in ingress
        )
        yield f"LoadBalancer Ingress:\t{', '.join(shown)}"


def _service_port(port: ServicePortSpec, slices: Sequence[EndpointSlice]) -> Lines:
    name = port.name or "<unset>"
    target = port.port if port.target_port is None else port.target_port
    yield f"Port:\t{name}  {port.port}/{port.protocol}"
    yield f"TargetPort:\t{target}/{port.protocol}"
    if port.node_port:
        yield f"NodePort:\t{name}  {port.node_port}/{port.protocol}"
    yield f"Endpoints:\t{ready_endpoints(slices, port.name)}"


def _policies(obj: Service) -> Lines:
    spec = obj.spec
    if spec.external_traffic_policy:
        yield f"External Traffic Policy:\t{spec.external_traffic_policy}"
    if spec.type != "ExternalName":
        yield f"Internal Traffic Policy:\t{spec.internal_traffic_policy}"
    if spec.health_check_node_port:
        yield f"HealthCheck NodePort:\t{spec.health_check_node_port}"
    if spec.load_balancer_source_ranges:
        yield f"LoadBalancer Source Ranges:\t{','.join(spec.load_balancer_source_ranges)}"
    if spec.traffic_distribution:
        yield f"Traffic Distribution:\t{spec.traffic_distribution}"


# --- EndpointSlice, Endpoints -------------------------------------------------------------


def endpoint_slice(obj: EndpointSlice, state: State) -> Lines:
    yield from headed(obj)
    yield f"AddressType:\t{obj.address_type}"
    if not obj.ports:
        yield "Ports: <unset>"
    else:
        yield from ("Ports:", "  Name\tPort\tProtocol", "  ----\t----\t--------")
    for port in obj.ports:
        number = "<unset>" if port.port is None else port.port
        yield f"  {port.name or '<unset>'}\t{number}\t{port.protocol}"
    yield "Endpoints:" if obj.endpoints else "Endpoints: <none>"
    for endpoint in obj.endpoints:
        yield from _endpoint(endpoint)
    yield NO_EVENTS


def _endpoint(endpoint: Endpoint) -> Lines:
    ready = endpoint.conditions.ready
    yield f"  - Addresses:\t{', '.join(endpoint.addresses)}"
    yield "    Conditions:"
    yield f"      Ready:\t{'<unset>' if ready is None else str(ready).lower()}"
    yield f"    Hostname:\t{endpoint.hostname or '<unset>'}"
    if endpoint.target_ref:
        yield f"    TargetRef:\t{endpoint.target_ref.kind}/{endpoint.target_ref.name}"
    yield f"    NodeName:\t{endpoint.node_name or '<unset>'}"
    yield f"    Zone:\t{endpoint.zone or '<unset>'}"


def endpoints(obj: Endpoints, state: State) -> Lines:
    yield from headed(obj)
    yield "Subsets:"
    for subset in obj.subsets:
        ready = ",".join(a.ip for a in subset.addresses) or "<none>"
        waiting = ",".join(a.ip for a in subset.not_ready_addresses) or "<none>"
        yield f"  Addresses:\t{ready}"
        yield f"  NotReadyAddresses:\t{waiting}"
        if subset.ports:
            yield from ("  Ports:", "    Name\tPort\tProtocol", "    ----\t----\t--------")
        for port in subset.ports:
            yield f"    {port.name or '<unset>'}\t{port.port}\t{port.protocol}"
        yield ""
    yield NO_EVENTS


# --- Ingress ---------------------------------------------------------------------------


def ingress(obj: Ingress, state: State) -> Lines:
    spec = obj.spec
    yield f"Name:\t{obj.name}"
    yield from labels(obj.labels)
    yield f"Namespace:\t{obj.namespace}"
    yield f"Address:\t{ingress_address(obj)}"
    yield f"Ingress Class:\t{spec.ingress_class_name or '<none>'}"
    default = spec.default_backend
    yield f"Default backend:\t{_backend(default, obj, state) if default else '<default>'}"
    if spec.tls:
        yield "TLS:"
    for tls in spec.tls:
        hosts = ",".join(tls.hosts)
        secret = tls.secret_name
        yield f"  {secret} terminates {hosts}" if secret else f"  SNI routes {hosts}"
    yield from ("Rules:", "  Host\tPath\tBackends", "  ----\t----\t--------")
    yield from _rules(obj, state)
    yield from notes(obj.annotations)
    yield NO_EVENTS


def _rules(obj: Ingress, state: State) -> Lines:
    rules = [rule for rule in obj.spec.rules if rule.http]
    for rule in rules:
        yield f"  {rule.host or '*'}\t"
        for path in rule.http.paths if rule.http else ():
            yield f"    \t{path.path} \t{_backend(path.backend, obj, state)}"
    if not rules:
        default = obj.spec.default_backend
        yield f"  *\t*\t{_backend(default, obj, state) if default else '<default>'}"


def _backend(backend: IngressBackend, obj: Ingress, state: State) -> str:
    """`web:80 (10.244.1.5:8080,...)`: the backend and the ready endpoints behind it."""
    if backend.service is None:
        return "<none>"
    name, port = backend.service.name, backend.service.port
    text = f"{name}:{port.name or port.number}"
    found = state.get(Service, name, obj.namespace)
    if found is None:
        return f'{text} (<error: services "{name}" not found>)'
    ports = [
        p for p in found.spec.ports if p.port == port.number or (p.name and p.name == port.name)
    ]
    port_name = ports[-1].name if ports else ""
    return f"{text} ({ready_endpoints(slices_behind(state, obj.namespace, name), port_name)})"


# --- NetworkPolicy ------------------------------------------------------------------------

EVERY_POD = "<none> (Allowing the specific traffic to all pods in this namespace)"


def network_policy(obj: NetworkPolicy, state: State) -> Lines:
    spec = obj.spec
    yield from named(obj)
    made = obj.metadata.creation_timestamp
    yield f"Created on:\t{datetime.fromisoformat(made):%Y-%m-%d %H:%M:%S} +0000 UTC"
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    yield "Spec:"
    chosen = selector_text(spec.pod_selector)
    yield f"  PodSelector:     {EVERY_POD if chosen == '<none>' else chosen}"
    for word, far in (("Ingress", "From"), ("Egress", "To")):
        direction = word.lower()
        if word not in spec.policy_types:
            yield f"  Not affecting {direction} traffic"
            continue
        yield f"  Allowing {direction} traffic:"
        if word == "Ingress":
            yield from _allowed([(r.ports, r.from_) for r in spec.ingress or ()], far, direction)
        else:
            yield from _allowed([(r.ports, r.to) for r in spec.egress or ()], far, direction)
    yield f"  Policy Types: {', '.join(spec.policy_types)}"


Rule = tuple[Sequence[NetworkPolicyPort], Sequence[NetworkPolicyPeer]]


def _allowed(rules: list[Rule], far: str, direction: str) -> Lines:
    if not rules:
        yield f"    <none> (Selected pods are isolated for {direction} connectivity)"
    for number, (ports, peers) in enumerate(rules):
        if number:
            yield "    ----------"
        if not ports:
            yield "    To Port: <any> (traffic allowed to all ports)"
        for port in ports:
            yield _policy_port(port)
        if not peers:
            end = "source" if far == "From" else "destination"
            yield f"    {far}: <any> (traffic not restricted by {end})"
        for peer in peers:
            yield f"    {far}:"
            yield from _peer(peer)


def _policy_port(port: NetworkPolicyPort) -> str:
    if port.end_port is not None:
        return f"    To Port Range: {port.port}-{port.end_port}/{port.protocol}"
    number = "<nil>" if port.port is None else port.port
    return f"    To Port: {number}/{port.protocol}"


def _peer(peer: NetworkPolicyPeer) -> Lines:
    if peer.namespace_selector is not None:
        yield f"      NamespaceSelector: {selector_text(peer.namespace_selector)}"
    if peer.pod_selector is not None:
        yield f"      PodSelector: {selector_text(peer.pod_selector)}"
    if peer.ip_block:
        yield "      IPBlock:"
        yield f"        CIDR: {peer.ip_block.cidr}"
        yield f"        Except: {', '.join(peer.ip_block.except_)}"
