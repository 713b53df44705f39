"""The objects of a case as a cluster that stands still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.api.kinds import BY_KIND
from labkit.api.objects import decode
from labkit.api.state import ClusterConfig, State, key_of

Manifest = Mapping[str, Any]


def state_of(manifests: Iterable[Manifest], config: ClusterConfig | None = None) -> State:
    """The manifests, and what they only name: their namespaces, and the nodes of their pods.

    No controller runs. A namespaced object without a namespace lies in `default`.
    """
    given = [placed(m) for m in manifests]
    named = {(m["kind"], m["metadata"]["name"]) for m in given}
    spaces = {m["metadata"].get("namespace", "") for m in given} - {""}
    nodes = {
        spec["nodeName"]
        for m in given
        if m["kind"] == "Pod" and (spec := m.get("spec", {})).get("nodeName")
    }
    implied = [made("Namespace", n) for n in sorted(spaces) if ("Namespace", n) not in named]
    implied += [made("Node", n) for n in sorted(nodes) if ("Node", n) not in named]
    objects = [decode(m) for m in (*implied, *map(labelled, given))]
    return State(config or ClusterConfig(), {key_of(o): o for o in objects})


def made(kind: str, name: str) -> Manifest:
    return labelled({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})


def labelled(manifest: Manifest) -> Manifest:
    """A Namespace carries its own name as a label: the API server sees to it."""
    if manifest["kind"] != "Namespace":
        return manifest
    name = manifest["metadata"]["name"]
    labels = {**manifest["metadata"].get("labels", {}), "kubernetes.io/metadata.name": name}
    return {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}


def placed(manifest: Manifest) -> Manifest:
    metadata = manifest["metadata"]
    kind = BY_KIND.get(manifest["kind"])
    if metadata.get("namespace") or (kind and not kind.namespaced):
        return manifest
    return {**manifest, "metadata": {**metadata, "namespace": "default"}}
