"""`kubectl apply`: what was applied last, what is there, and what is wanted now, made one.

Source: kubectl `pkg/cmd/apply/patcher.go`; the keys that items of a list are matched by are
the API's `patchMergeKey`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_POD_LISTS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "hostAliases": "ip",
}
_BY_KIND: Mapping[str, Mapping[str, str]] = {
    "Service": {"ports": "port"},
    **{
        kind: {**_POD_LISTS, "ports": "containerPort"}
        for kind in ("Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")
    },
    "ServiceAccount": {"secrets": "name", "imagePullSecrets": "name"},
}

_RETAINED = {"strategy"}  # `patchStrategy: retainKeys`: what the new manifest leaves out is gone


def noted(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with itself in the annotation that the next apply compares with."""
    meta = dict(manifest.get("metadata", {}))
    notes = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    bare = {**manifest, "metadata": {**meta, "annotations": notes}}
    text = msgspec.json.encode(bare, order="sorted").decode() + "\n"
    return {**manifest, "metadata": {**meta, "annotations": {**notes, LAST_APPLIED: text}}}


def last_applied(live: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the last apply wrote; empty if the object was not made by apply."""
    text = live.get("metadata", {}).get("annotations", {}).get(LAST_APPLIED)
    try:
        found = msgspec.json.decode(text) if text else {}
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def applied(live: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`live` with what `new` says, and without what the last apply said and `new` does not."""
    keys = _BY_KIND.get(str(new.get("kind")), {})
    merged = _merge(last_applied(live), live, new, keys)
    assert isinstance(merged, dict)
    return merged


def _merge(last: Any, live: Any, new: Any, keys: Mapping[str, str]) -> dict[str, Any]:
    merged = dict(live)
    for key in last if isinstance(last, Mapping) else ():
        if key not in new or new[key] is None:
            merged.pop(key, None)
    for key, value in new.items():
        before = last.get(key) if isinstance(last, Mapping) else None
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(live.get(key), Mapping):
            both = _merge(before, live[key], value, keys)
            merged[key] = {k: both[k] for k in value if k in both} if key in _RETAINED else both
        elif key in keys and isinstance(value, Sequence) and isinstance(live.get(key), Sequence):
            merged[key] = _merge_list(before or [], live[key], value, keys[key], keys)
        else:
            merged[key] = value
    return merged


def _merge_list(
    last: Sequence[Any], live: Sequence[Any], new: Sequence[Any], mark: str, keys: Mapping[str, str]
) -> list[Any]:
    """Items in the order of `new`, then those of `live` that no apply has spoken of."""

    def by_mark(items: Sequence[Any]) -> dict[Any, Any]:
        # Ports of one number and two protocols are two items, though the API's key says one.
        return {(i.get(mark), i.get("protocol", "TCP")): i for i in items}

    old, have, wanted = by_mark(last), by_mark(live), by_mark(new)
    merged = [
        _merge(old.get(m), have[m], item, keys) if m in have else item for m, item in wanted.items()
    ]
    return merged + [item for m, item in have.items() if m not in wanted and m not in old]
