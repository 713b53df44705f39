"""Documents: an object as it was given, and the way to a checked one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from labkit.api.check import check
from labkit.api.plain import MAX_FAULTS, Document, Enough
from labkit.api.syntax import one_line, quoted
from labkit.errors import Fault, ManifestError

MAX_OBJECTS = 5_000


class Loaded(msgspec.Struct, frozen=True):
    """One checked object.

    `manifest` is what was written, as plain data, defaults not filled in. `lines` tells the
    line of each field path (`.spec.ingress[0].from[1].podSelector`); from a list it is empty.
    """

    manifest: dict[str, Any]
    where: str
    lines: Mapping[str, int]


def checked(documents: list[Document], where: str) -> tuple[Loaded, ...]:
    """The documents as objects, if nothing is wrong with any of them."""
    if len(documents) > MAX_OBJECTS:
        message = f"{len(documents)} objects; at most {MAX_OBJECTS}: load them in parts"
        raise ManifestError(Fault(where, 0, "", "", message))
    faults: list[Fault] = []
    for document in documents:
        if not document.found or isinstance(document.value, dict):
            with suppress(Enough):
                check(document.value, document.report, document.written)
        subject = _subject(document.value)
        for line, path, message in sorted(document.found, key=lambda f: f[0]):
            faults.append(Fault(where, line, subject, one_line(path), one_line(message)))
        if len(faults) > MAX_FAULTS:
            break
    if len(faults) > MAX_FAULTS:
        more = Fault(where, 0, "", "", "and more faults; mend these first")
        raise ManifestError(*faults[:MAX_FAULTS], more)
    if faults:
        raise ManifestError(*faults)
    return tuple(Loaded(d.value, where, d.lines) for d in documents)


def _subject(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    kind, metadata = value.get("kind"), value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    words = [quoted(w).strip("`") for w in (kind, name) if isinstance(w, str) and w]
    return "/".join(words)


def list_kind(value: Any) -> str | None:
    """The kind of a list's items ("" for `List`); None if it is no list.

    Source: `unstructuredJSONScheme` in k8s.io/apimachinery: what has `items` and is called
    ...List is one, and its items get their kind from it.
    """
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return None
    kind: str = value["kind"]
    version = value.get("apiVersion")
    if kind == "List" and version in ("v1", None):
        return "" if isinstance(value.get("items"), list | None) else None
    if kind.endswith("List") and isinstance(version, str) and isinstance(value.get("items"), list):
        return kind.removesuffix("List")
    return None


def typed(item: Any, parent: Mapping[str, Any], kind: str) -> Any:
    if kind and isinstance(item, dict) and "kind" not in item and "apiVersion" not in item:
        return {"apiVersion": parent["apiVersion"], "kind": kind, **item}
    return item


def opened(document: Document) -> Iterator[Document]:
    item_kind = list_kind(document.value)
    if item_kind is None or document.found:
        yield document
        return
    for item in document.value.get("items") or ():
        yield from opened(Document(typed(item, document.value, item_kind), {}, {}, []))
