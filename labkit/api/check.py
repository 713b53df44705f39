"""What is wrong with one manifest: its kind, its name, its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labkit.api import syntax
from labkit.api.schema import Report, Schema, Walk, schema
from labkit.api.syntax import nearest, quoted

# A Service's name may begin with a digit since 1.37 (KEP-5311); before it had to be a letter.
_NAMES = {"Service": syntax.dns_label, "Namespace": syntax.dns_label}


def check(manifest: Any, report: Report, written: Mapping[str, str]) -> None:
    """Report all that the API server would refuse in a manifest by itself.

    What depends on other objects (is there such a namespace, is the address free) is not looked
    at. Kinds that the lab does not model have only their `metadata` checked.
    """
    if not isinstance(manifest, dict):
        report("", _no_manifest(manifest))
        return
    known = schema()
    version, kind = manifest.get("apiVersion"), manifest.get("kind")
    faults = list(_identity(version, kind, known))
    for path, message in faults:
        report(path, message)
    walk = Walk(report, written, known.types)
    type_ = known.kinds.get(f"{version}/{kind}")
    if faults and (homes := known.homes(kind) if isinstance(kind, str) else ()):
        type_ = known.kinds.get(f"{homes[0]}/{kind}")  # what was meant: its fields have faults too
    if type_:
        walk.struct(manifest, type_, "")
    elif manifest.get("metadata") is not None:
        walk.struct(manifest["metadata"], "ObjectMeta", ".metadata")
    if not faults or type_:
        _name(manifest, str(kind), bool(type_), report)


def _no_manifest(value: object) -> str:
    if isinstance(value, str):
        hint = "; a file's name ends in .yaml, .yml or .json" if "\n" not in value else ""
        return f"the text {quoted(value)} is no manifest: write `key: value` lines{hint}"
    got = "a list" if isinstance(value, list) else quoted(value)
    return f"{got} is no manifest; a manifest is a mapping (`key: value` lines)"


def _identity(version: Any, kind: Any, known: Schema) -> Iterator[tuple[str, str]]:
    """Faults of `apiVersion` and `kind`."""
    homes = known.homes(kind) if isinstance(kind, str) else ()
    if version is None or version == "":
        hint = f"; a {kind} needs `apiVersion: {homes[0]}`" if homes else "; add it"
        yield "", f"`apiVersion` is missing{hint}"
    elif not isinstance(version, str):
        yield ".apiVersion", "must be text such as v1 or apps/v1"
    if kind is None or kind == "":
        some = known.served.get(version, ()) if isinstance(version, str) else ()
        hint = f"; {version} has {', '.join(some[:12])}" if some else "; add it, as `kind: Pod`"
        yield "", f"`kind` is missing{hint}"
    elif not isinstance(kind, str):
        yield ".kind", "must be text such as Pod"
    if isinstance(version, str) and isinstance(kind, str) and version and kind:
        yield from _pair(version, kind, homes, known)


def _pair(
    version: str, kind: str, homes: tuple[str, ...], known: Schema
) -> Iterator[tuple[str, str]]:
    if kind in known.served.get(version, ()):
        return
    group, slash, number = version.rpartition("/")
    groups = {v.rpartition("/")[0] for v in known.served}
    if "/" in group or (slash and not group) or not number:
        yield ".apiVersion", f"{quoted(version)} is no apiVersion; it is VERSION or GROUP/VERSION"
    elif group not in groups and "." in group and not (homes and group.endswith(".k8s.io")):
        return  # somebody else's group: kept as it is
    elif homes:
        yield ".apiVersion", f"{kind} is not in {quoted(version)}; write `apiVersion: {homes[0]}`"
    elif group in groups:
        here = known.served.get(version, ())
        near = nearest(kind, here) or nearest(kind, {k for v in known.served.values() for k in v})
        hint = f"did you mean `{near}`?" if near else f"{version} has {', '.join(here[:12])}"
        hint = (
            hint if near or here else f"did you mean apiVersion `{nearest(version, known.served)}`?"
        )
        yield ".kind", f"unknown kind {quoted(kind)}; {hint}"
    else:
        near = nearest(version, known.served)
        hint = (
            f"did you mean `{near}`?" if near else "a group that is not Kubernetes' own has a dot"
        )
        yield ".apiVersion", f"Kubernetes has no group {quoted(group)}; {hint}"


def _name(manifest: dict[str, Any], kind: str, modelled: bool, report: Report) -> None:
    metadata = manifest.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return  # said already
    name = (metadata or {}).get("name")
    if name is None or name == "":
        if not (metadata or {}).get("generateName"):
            where = ".metadata" if metadata else ""
            report(where, f"`{'name' if metadata else 'metadata.name'}` is missing; add it")
    elif isinstance(name, str):
        fault = _NAMES.get(kind, syntax.dns_subdomain)(name) if modelled else path_segment(name)
        if fault:
            report(".metadata.name", fault)


def path_segment(value: str) -> str:
    """The least that any kind asks of a name: it can stand in a URL (`system:node` is fine)."""
    if value in (".", "..") or "/" in value or "%" in value or not value.isprintable():
        return f"{quoted(value)} is no valid name: it has no `/`, no `%` and is not `.` or `..`"
    return ""
