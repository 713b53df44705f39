"""Plain manifests to typed objects and back.

A typed object keeps its manifest beside it, so that a field which the lab does not model is
there again when the object is printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from labkit.api.defaults import without_nulls
from labkit.api.kinds import BY_KIND, BY_TYPE
from labkit.api.meta import Custom, Object, decode_custom, encode_custom
from labkit.errors import Fault, ManifestError

Plain = dict[str, Any]


def type_of(manifest: Mapping[str, Any]) -> type[Object]:
    """The type of a manifest's kind; `Custom` for a kind that the lab does not model."""
    kind = BY_KIND.get(manifest.get("kind", ""))
    return kind.type if kind and kind.api_version == manifest.get("apiVersion") else Custom


def decode(manifest: Mapping[str, Any]) -> Object:
    """The typed object of a manifest that the schema has let through; the manifest is kept.

    Raises:
        ManifestError: a modelled field holds a value of the wrong type.
    """
    try:
        typed = msgspec.convert(manifest, type_of(manifest), dec_hook=decode_custom)
    except msgspec.ValidationError as error:
        name = manifest.get("metadata", {}).get("name", "")
        subject = f"{manifest.get('kind', '')}/{name}".strip("/")
        raise ManifestError(Fault("", 0, subject, "", str(error))) from None
    return msgspec.structs.replace(typed, manifest=manifest)


def encode(obj: Object) -> Plain:
    """What the API shows of an object: its manifest, and over it what the typed view changed.

    A list that changed is matched item by item with the manifest's, so that unknown fields of
    its items stay. The result is the caller's own; no part of it is shared with the object.
    """
    manifest = obj.manifest or _head(obj)
    before = decode(manifest)
    shown: Plain = _merge(before, msgspec.structs.replace(obj, manifest=manifest), manifest)
    order = ("apiVersion", "kind", "metadata", *shown)
    return {key: shown[key] for key in order if key in shown}


def _head(obj: Object) -> Plain:
    if isinstance(obj, Custom):
        return {"apiVersion": obj.api_version, "kind": obj.kind}
    kind = BY_TYPE[type(obj)]
    return {"apiVersion": kind.api_version, "kind": kind.kind}


def plain(value: Any) -> Any:
    """Structs, tuples and addresses as the dicts, lists and texts that the API prints."""
    return without_nulls(msgspec.to_builtins(value, enc_hook=encode_custom))


@cache
def _fields(type_: Any) -> tuple[tuple[str, str], ...]:
    """(attribute, name in the API) of each field that is printed."""
    found = msgspec.structs.fields(type_)
    return tuple((f.name, f.encode_name) for f in found if f.name != "manifest")


def _merge(before: Any, after: Any, kept: Any) -> Any:
    """`kept`, which decoded to `before`, changed as far as `after` differs from it."""
    if before == after:
        return _copy(kept)
    if isinstance(after, msgspec.Struct) and type(before) is type(after) and _is_map(kept):
        return _merge_struct(before, after, kept)
    if isinstance(after, tuple) and isinstance(kept, Sequence) and isinstance(before, tuple):
        return [_merge(*_twin(i, item, before, kept)) for i, item in enumerate(after)]
    return plain(after)


def _merge_struct(before: Any, after: Any, kept: Mapping[str, Any]) -> Plain:
    merged = {key: _copy(value) for key, value in kept.items()}
    kind: Any = type(after)
    for name, key in _fields(kind):
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        merged[key] = _merge(old, new, kept.get(key))
        if merged[key] in (None, "", [], {}):
            del merged[key]
    return merged


def _twin(index: int, item: Any, before: tuple[Any, ...], kept: Sequence[Any]) -> Any:
    """The old item that a new one continues: of the same name or type, else at its place."""
    mark = _mark(item)
    places = (i for i, old in enumerate(before) if mark and _mark(old) == mark)
    place = next(places, index if not mark else len(before))
    if place < min(len(before), len(kept)):
        return before[place], item, kept[place]
    return None, item, None


def _mark(item: Any) -> Any:
    return getattr(item, "name", None) or getattr(item, "type", None)


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    return value
