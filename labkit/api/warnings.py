"""What is said beside the answer to a write: `Warning: ` lines, and the lab's own `# ` ones.

Source: Kubernetes `pkg/api/pod/warnings.go` (ports), `pkg/registry/core/pod/strategy.go` (a
pod is warned about when it is made, never when it changes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labkit.api.apps import DaemonSet, Deployment, Job, ReplicaSet, StatefulSet
from labkit.api.core import Pod
from labkit.api.meta import Object

Plain = Mapping[str, Any]

TEMPLATED = (DaemonSet, Deployment, Job, ReplicaSet, StatefulSet)
HOST_PORT = (
    "# the lab places pods by {path}, but forwards nothing from the node's port; in life the CNI "
    "plugin `portmap` or the eBPF data plane does"
)


def about_ports(obj: Object, live: Object | None) -> Iterator[str]:
    """What the ports of a pod or of a template that is new or changed deserve to hear."""
    if isinstance(obj, Pod) and live is None:
        yield from _spoken(obj.manifest.get("spec", {}), "spec")
    if isinstance(obj, TEMPLATED):
        template = obj.manifest["spec"].get("template", {})
        if live is None or live.manifest["spec"] != obj.manifest["spec"]:
            yield from _spoken(template.get("spec", {}), "spec.template.spec")


def _spoken(spec: Plain, path: str) -> Iterator[str]:
    seen: dict[tuple[Any, Any], list[tuple[str, Plain]]] = {}
    forwarded = ""
    for where, port in _ports(spec, path):
        others = seen.setdefault((port.get("containerPort"), port.get("protocol", "TCP")), [])
        for other_where, other in others:
            word = _clash(port, other)
            if word:
                yield f"{where}: {word} port definition with {other_where}"
        others.append((where, port))
        if port.get("hostPort") and not spec.get("hostNetwork"):
            forwarded = forwarded or f"{where}.hostPort"
    if forwarded:
        yield HOST_PORT.format(path=forwarded)


def _ports(spec: Plain, path: str) -> Iterator[tuple[str, Plain]]:
    for group in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(group) or ()):
            for j, port in enumerate(container.get("ports") or ()):
                yield f"{path}.{group}[{i}].ports[{j}]", port


def _clash(port: Plain, other: Plain) -> str:
    """How two declarations of one number collide; empty if they do not."""
    ips = port.get("hostIP", ""), other.get("hostIP", "")
    numbers = port.get("hostPort", 0), other.get("hostPort", 0)
    if ips[0] == ips[1] and numbers[0] == numbers[1]:
        return "duplicate"
    if 0 in numbers:
        return "overlapping"
    half_said = bool(ips[0]) != bool(ips[1])
    return "dangerously ambiguous" if numbers[0] == numbers[1] and half_said else ""
