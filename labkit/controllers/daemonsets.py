"""DaemonSet -> Pod: one on every node that takes it, cordoned ones included.

*The lab simplifies*: the pod is made with its node's name in it; in life it carries a node
affinity, and the scheduler writes the name.

Source: Kubernetes `pkg/controller/daemon/daemon_controller.go`, `util/daemonset_util.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.apps import DaemonSet
from labkit.api.core import Node, Pod, Toleration
from labkit.api.state import State, key_of
from labkit.api.store import Delete, Write
from labkit.controllers.owned import fresh_names, oldest_first, pods_of, stencil, template_hash
from labkit.controllers.placing import objection

REVISION = "controller-revision-hash"
TOLERATED = tuple(
    Toleration(key=f"node.kubernetes.io/{key}", operator="Exists", effect=effect)
    for key, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
)


def daemonsets(state: State) -> Iterator[Write]:
    for ds in state.list(DaemonSet):
        yield from _next(state, ds)


def _next(state: State, ds: DaemonSet) -> Iterator[Write]:
    # An adopted pod that nobody has placed yet counts once it is placed.
    pods = tuple(pod for pod in pods_of(state, ds) if pod.spec.node_name)
    wanted = [node.name for node in eligible(state, ds)]
    taken: set[str] = set()
    for pod in oldest_first(state, ds, pods):
        if pod.spec.node_name in taken or pod.spec.node_name not in wanted:
            yield Delete(key_of(pod))
        taken.add(pod.spec.node_name)
    missing = [name for name in wanted if name not in taken]
    if missing:
        template = stencil(ds)
        names = fresh_names(state, "Pod", ds.namespace, ds.name)
        tolerations = template.spec.tolerations + tuple(
            t for t in TOLERATED if t not in template.spec.tolerations
        )
        for node, name in zip(missing, names, strict=False):
            spec = msgspec.structs.replace(template.spec, node_name=node, tolerations=tolerations)
            yield template.pod(name, labels={REVISION: template_hash(ds)}, spec=spec)
    elif all(pod.ready for pod in pods):
        yield from _outdated(ds, pods)


def eligible(state: State, ds: DaemonSet) -> list[Node]:
    """The nodes that are to run one pod of the set."""
    probe = Pod(spec=ds.spec.template.spec, manifest=ds.manifest["spec"].get("template", {}))
    return [node for node in state.list(Node) if not objection(probe, node, TOLERATED)]


def _outdated(ds: DaemonSet, pods: tuple[Pod, ...]) -> Iterator[Delete]:
    """One pod of an old template; the next follows once its successor is ready."""
    if ds.manifest["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
        return
    digest = template_hash(ds)
    for pod in pods:
        label = pod.labels.get(REVISION, "")
        if label.startswith(f"{ds.name}-") and label != digest and not pod.manifest.get("status"):
            yield Delete(key_of(pod))
            return
