"""How long a pod's programs take: until they listen, and until they have stopped.

What a program does with its time stands in no manifest, so the lab goes by two annotations, in
whole seconds: `labkit.dev/starts-in: "3"` is how long after its start it begins to listen, and
`labkit.dev/stops-in: "2"` how long after SIGTERM it ends. `"2-6"` is another number for each
pod, drawn from its name. Without them both take no time.

*The lab simplifies*: a program listens until it ends; many real ones close their port at SIGTERM
and finish what is open. The annotations speak for all containers of a pod.

Source: Kubernetes `pkg/kubelet/kuberuntime/kuberuntime_container.go` (`killContainer`), KEP-3960.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from labkit.api.core import Container, Pod
from labkit.api.meta import Object
from labkit.api.times import seconds, stamp
from labkit.errors import Fault, ManifestError

STARTS, STOPS = "labkit.dev/starts-in", "labkit.dev/stops-in"
LEAST = 2  # seconds that a program has between SIGTERM and SIGKILL, however long its hook took
_SPAN = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


def parse_span(text: str, key: str = STARTS, subject: str = "Pod") -> tuple[int, int]:
    """`3` is (3, 3), `2-6` is (2, 6): whole seconds, at least and at most.

    Raises:
        ManifestError: neither of the two forms.
    """
    found = _SPAN.fullmatch(text.strip())
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if low > high:
        say = f"`{text}` is no length of time; write whole seconds, for example `3` or `2-6`"
        raise ManifestError(Fault("", 0, subject, f".metadata.annotations[{key}]", say))
    return low, high


def check_times(annotations: Mapping[str, Any], subject: str) -> None:
    """ManifestError if one of the two annotations is there and says no length of time."""
    for key in (STARTS, STOPS):
        if key in annotations:
            parse_span(str(annotations[key]), key, subject)


def starts_in(pod: Pod) -> int:
    """Seconds from the start of its containers until the pod's programs listen."""
    return _drawn(pod, STARTS)


def stops_in(pod: Pod) -> int:
    """Seconds from SIGTERM until the pod's programs have ended by themselves."""
    return _drawn(pod, STOPS)


def _drawn(pod: Pod, key: str) -> int:
    if key not in pod.annotations:
        return 0
    low, high = parse_span(pod.annotations[key], key, f"Pod/{pod.name}")
    dice = int.from_bytes(sha256(f"{key} {pod.name}".encode()).digest()[:8])
    return low + dice % (high - low + 1)


# --- the end ----------------------------------------------------------------------------------


def pre_stop(container: Container) -> int:
    """Seconds that the hook before SIGTERM takes: a `sleep`, or a command `sleep N`.

    *The lab simplifies*: any other command, and a hook by HTTP, takes no time.
    """
    hook = container.lifecycle and container.lifecycle.pre_stop
    if not hook:
        return 0
    if hook.sleep:
        return hook.sleep.seconds
    words = " ".join(hook.exec_.command) if hook.exec_ else ""
    found = re.search(r"\bsleep (\d+)", words)
    return int(found[1]) if found else 0


def farewell(pod: Pod, grace: int) -> int:
    """Seconds from a pod's deletion until its last program has ended.

    The hook and the stopping share the grace period; then comes SIGKILL.
    """
    hooks = [min(pre_stop(c), grace) for c in pod.spec.containers]
    return max((h + min(stops_in(pod), max(grace - h, LEAST)) for h in hooks), default=0)


def parting(obj: Object, grace: int | None, now: float) -> Object | None:
    """What a delete leaves of an object for a while: a pod that is terminating; else None.

    A pod that runs nowhere goes at once, and so does one whose programs stop at once.
    """
    if not isinstance(obj, Pod) or obj.status.phase != "Running" or not obj.spec.node_name:
        return None
    period = obj.spec.termination_grace_period_seconds if grace is None else grace
    if not period or not farewell(obj, period):
        return None
    if leaves_at(obj) is not None:
        return obj
    meta = msgspec.structs.replace(
        obj.metadata,
        deletion_timestamp=stamp(now + period),
        deletion_grace_period_seconds=period,
    )
    return msgspec.structs.replace(obj, metadata=meta)


def leaves_at(pod: Pod) -> float | None:
    """When a terminating pod is gone, in seconds of the cluster's clock; None for all others.

    A pod that came in as terminating (a dump of a real cluster) stays so.
    """
    meta = pod.metadata
    brought = pod.manifest.get("metadata", {}).get("deletionTimestamp")
    if not meta.deletion_timestamp or brought:
        return None
    grace = meta.deletion_grace_period_seconds or 0
    return seconds(meta.deletion_timestamp) - grace + farewell(pod, grace)


def sleep_fault(spec: Mapping[str, Any]) -> str:
    """What the API server says of a `sleep` that is longer than the grace period; else empty.

    Source: Kubernetes `pkg/apis/core/validation/validation.go` (`validateSleepAction`).
    """
    grace = spec.get("terminationGracePeriodSeconds", 30)
    for i, container in enumerate(spec.get("containers", [])):
        hook = (container.get("lifecycle") or {}).get("preStop") or {}
        length = (hook.get("sleep") or {}).get("seconds", 0)
        if not 0 <= length <= grace:
            return (
                f"containers[{i}].lifecycle.preStop.sleep: Invalid value: {length}: must be "
                f"non-negative and less than terminationGracePeriodSeconds ({grace})"
            )
    return ""
