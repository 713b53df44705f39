"""Single cells of kubectl's tables: what stands under STATUS, PORT(S), ENDPOINTS and the like.

Source: Kubernetes `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from labkit.api.core import ContainerStatus, Endpoints, Node, Pod, Service
from labkit.api.discovery import EndpointSlice
from labkit.api.meta import LabelSelector
from labkit.api.networking import Ingress
from labkit.commands.age import age

NONE = "<none>"
SHOWN = 3  # of a longer list


def labels_text(labels: Mapping[str, str], none: str = NONE) -> str:
    """`a=b,c=d` by key."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) or none


def selector_text(selector: LabelSelector | None) -> str:
    """`app=web,role in (a,b),!old`; `<none>` selects everything."""
    if selector is None:
        return NONE
    parts = [(key, f"{key}={value}") for key, value in selector.match_labels.items()]
    for item in selector.match_expressions:
        values = ",".join(sorted(item.values))
        words = {
            "In": f"{item.key} in ({values})",
            "NotIn": f"{item.key} notin ({values})",
            "Exists": item.key,
            "DoesNotExist": f"!{item.key}",
        }
        parts.append((item.key, words[item.operator]))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0])) or NONE


def some(items: Sequence[str], between: str = ",") -> str:
    """The first three, and how many more there are."""
    shown = between.join(items[:SHOWN])
    return f"{shown} + {len(items) - SHOWN} more..." if len(items) > SHOWN else shown


# --- pods ------------------------------------------------------------------------------


def pod_ready(pod: Pod) -> str:
    """`1/2`; sidecars (restartable init containers) count in both numbers."""
    sidecars = {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"}
    statuses = [s for s in pod.status.init_container_statuses if s.name in sidecars]
    ready = sum(s.ready for s in (*statuses, *pod.status.container_statuses))
    return f"{ready}/{len(pod.spec.containers) + len(sidecars)}"


def pod_status(pod: Pod) -> str:
    """The phase, or the reason that says more."""
    status = pod.status
    reason = status.reason or status.phase
    scheduled = [c for c in status.conditions if c.type == "PodScheduled"]
    if any(c.reason == "SchedulingGated" for c in scheduled):
        reason = "SchedulingGated"
    reason = _starting(pod) or _containers(status.container_statuses, pod.ready) or reason
    if pod.metadata.deletion_timestamp and status.reason == "NodeLost":
        return "Unknown"
    if pod.metadata.deletion_timestamp and status.phase not in ("Succeeded", "Failed"):
        return "Terminating"
    return reason


def _starting(pod: Pod) -> str:
    """What holds an init container up; empty once they are through."""
    if any(c.type == "Initialized" and c.status == "True" for c in pod.status.conditions):
        return ""
    sidecars = {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"}
    for number, status in enumerate(pod.status.init_container_statuses):
        ended, waiting = status.state.terminated, status.state.waiting
        if (ended and ended.exit_code == 0) or (status.name in sidecars and status.started):
            continue
        if ended:
            return f"Init:{ended.reason or f'ExitCode:{ended.exit_code}'}"
        if waiting and waiting.reason not in ("", "PodInitializing"):
            return f"Init:{waiting.reason}"
        return f"Init:{number}/{len(pod.spec.init_containers)}"
    return ""


def _containers(statuses: Sequence[ContainerStatus], pod_is_ready: bool) -> str:
    """The reason of the first container that has one; empty if all run."""
    reason, running = "", False
    for status in reversed(statuses):
        waiting, ended = status.state.waiting, status.state.terminated
        if waiting and waiting.reason:
            reason = waiting.reason
        elif ended:
            reason = ended.reason or f"ExitCode:{ended.exit_code}"
        elif status.ready and status.state.running:
            running = True
    if reason == "Completed" and running:
        return "Running" if pod_is_ready else "NotReady"
    return reason


def pod_restarts(pod: Pod, now: float) -> str:
    """`0`, or `3 (40s ago)`."""
    statuses = pod.status.container_statuses
    count = sum(s.restart_count for s in statuses)
    ends = [s.last_state.terminated.finished_at for s in statuses if s.last_state.terminated]
    last = max(ends, default="")
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


# --- nodes -----------------------------------------------------------------------------


def node_status(node: Node) -> str:
    found = [c for c in node.status.conditions if c.type == "Ready"]
    word = ("Ready" if found[0].status == "True" else "NotReady") if found else "Unknown"
    return word + (",SchedulingDisabled" if node.spec.unschedulable else "")


def node_roles(node: Node) -> str:
    lead = "node-role.kubernetes.io/"
    roles = {key.removeprefix(lead) for key in node.labels if key.startswith(lead)}
    return ",".join(sorted(role for role in roles if role)) or NONE


def node_address(node: Node, type: str) -> str:
    return next((a.address for a in node.status.addresses if a.type == type), NONE)


# --- services and what is behind them ----------------------------------------------------------


def cluster_ip(service: Service) -> str:
    spec = service.spec
    return (spec.cluster_ips[0] if spec.cluster_ips else spec.cluster_ip) or NONE


def external_ip(service: Service, wide: bool) -> str:
    spec = service.spec
    if spec.type == "ExternalName":
        return spec.external_name
    if spec.type != "LoadBalancer":
        return ",".join(spec.external_ips) or NONE
    ingress = service.status.load_balancer.ingress
    given = balancer_text([i.ip or i.hostname for i in ingress], wide)
    return ",".join(filter(None, (given, *spec.external_ips))) or "<pending>"


def balancer_text(addresses: Iterable[str], wide: bool) -> str:
    """Addresses of a load balancer; a long list is cut to 16 characters unless `wide`."""
    text = ",".join(sorted({a for a in addresses if a}))
    return text if wide or len(text) <= 16 else text[:13] + "..."


def service_ports(service: Service) -> str:
    return (
        ",".join(
            f"{p.port}:{p.node_port}/{p.protocol}" if p.node_port else f"{p.port}/{p.protocol}"
            for p in service.spec.ports
        )
        or NONE
    )


def slice_ports(slice_: EndpointSlice) -> str:
    return ",".join(str(p.port or p.name or "*") for p in slice_.ports) or "<unset>"


def slice_endpoints(slice_: EndpointSlice) -> str:
    """Bare addresses, not-ready ones too."""
    return some([a for e in slice_.endpoints for a in e.addresses]) or "<unset>"


def endpoints_text(endpoints: Endpoints) -> str:
    """Ready addresses with each port; blank while there are pods and none of them is ready.

    Source: `formatEndpoints` in Kubernetes `pkg/printers/internalversion/printers.go`.
    """
    found = []
    for subset in endpoints.subsets:
        for port in subset.ports:
            found += [_host_port(a.ip, port.port) for a in subset.addresses]
        if not subset.ports:
            found += [a.ip for a in subset.addresses]
    return some(found) if endpoints.subsets else NONE


def _host_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ready_endpoints(slices: Iterable[EndpointSlice], port_name: str | None) -> str:
    """`10.244.1.5:8080,...` of the slices' port of that name: the Endpoints line of describe.

    Without slices it is `<none>`; empty if there are slices and none of their endpoints is
    ready. None as a name takes every port.
    """
    listed = list(slices)
    found = [
        _host_port(address, port.port)
        for slice_ in listed
        for port in slice_.ports
        if port.port and port_name in (None, port.name or "")
        for endpoint in slice_.endpoints
        if endpoint.conditions.ready is not False
        for address in endpoint.addresses
    ]
    return some(found) if listed else NONE


def ingress_hosts(ingress: Ingress) -> str:
    return some([rule.host for rule in ingress.spec.rules if rule.host]) or "*"


def ingress_address(ingress: Ingress, wide: bool = True) -> str:
    entries = ingress.status.load_balancer.ingress
    return balancer_text([e.ip or e.hostname for e in entries], wide)
