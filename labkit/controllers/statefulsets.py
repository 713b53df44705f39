"""StatefulSet -> Pod: names with ordinals, one after the other, the last one goes first.

Source: Kubernetes `pkg/controller/statefulset/stateful_set_control.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.apps import StatefulSet
from labkit.api.core import Pod
from labkit.api.state import State, key_of
from labkit.api.store import Delete, Write
from labkit.controllers.owned import Stencil, pods_of, stencil, template_hash

REVISION = "controller-revision-hash"


def statefulsets(state: State) -> Iterator[Write]:
    for sts in state.list(StatefulSet):
        yield from _next(state, sts)


def _next(state: State, sts: StatefulSet) -> Iterator[Write]:
    pods = {_ordinal(sts, pod): pod for pod in pods_of(state, sts)}
    extra = sorted((i for i in pods if not 0 <= i < sts.spec.replicas), reverse=True)
    missing = [i for i in range(sts.spec.replicas) if i not in pods]
    if any(pod.metadata.deletion_timestamp for pod in pods.values()):
        return  # the next pod waits until this one is gone, and so does its own successor
    if sts.spec.pod_management_policy != "Parallel":
        # Nobody is started while a lower one is not ready.
        held = next((i for i in sorted(pods) if not pods[i].ready), sts.spec.replicas)
        missing = [i for i in missing[:1] if i < held]
    # A name that another pod holds, as one that was released does, is waited for.
    missing = [i for i in missing if not state.get(Pod, f"{sts.name}-{i}", sts.namespace)]
    if missing:
        template = stencil(sts)
        yield from (_pod(sts, template, i) for i in missing)
    elif extra:
        yield from (Delete(key_of(pods[i])) for i in extra)
    elif all(pod.ready for pod in pods.values()):
        yield from _outdated(sts, pods)


def _outdated(sts: StatefulSet, pods: dict[int, Pod]) -> Iterator[Delete]:
    """One pod of an old template, the highest first; it comes back from the new one."""
    if sts.manifest["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
        return
    digest = template_hash(sts)
    for i in sorted(pods, reverse=True):
        label = pods[i].labels.get(REVISION, "")
        if label.startswith(f"{sts.name}-") and label != digest and not _carried(pods[i]):
            yield Delete(key_of(pods[i]))
            return


def _carried(pod: Pod) -> bool:
    return bool(pod.manifest.get("status"))


def _ordinal(sts: StatefulSet, pod: Pod) -> int:
    text = pod.name.removeprefix(f"{sts.name}-")
    return int(text) if text.isdecimal() else -1


def _pod(sts: StatefulSet, template: Stencil, ordinal: int) -> Pod:
    name = f"{sts.name}-{ordinal}"
    labels = {
        "apps.kubernetes.io/pod-index": str(ordinal),
        REVISION: template_hash(sts),
        "statefulset.kubernetes.io/pod-name": name,
    }
    spec = msgspec.structs.replace(template.spec, hostname=name, subdomain=sts.spec.service_name)
    return template.pod(name, labels=labels, spec=spec)
