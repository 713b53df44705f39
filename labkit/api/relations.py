"""How rules about several fields of one struct are written, and the ones that many share.

A rule takes the struct as plain data, in which any field may be missing or of a wrong type,
and yields what is wrong: the field's path inside the struct ("" is the struct itself) and the
message. Types are named as in `data/schema/kubernetes.json`.

Source: Kubernetes `pkg/apis/{core,apps,batch,discovery,networking}/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from labkit.api.syntax import quoted

Faults = Iterator[tuple[str, str]]
Rule = Callable[[dict[str, Any]], Faults]


def part(value: Any, path: str) -> dict[str, Any]:
    """The mapping at a dotted path; an empty one if there is none."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: Any, key: str) -> list[Any]:
    """The list in a field; empty if there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def structs(value: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The mappings in a list, each with its path: `.ports[0]`."""
    for i, item in enumerate(items(value, key)):
        if isinstance(item, dict):
            yield f".{key}[{i}]", item


def not_empty(*keys: str) -> Rule:
    """A rule: these fields hold something."""

    def rule(value: dict[str, Any]) -> Faults:
        for key in keys:
            if value.get(key) in ("", [], {}):
                yield f".{key}", "is empty; fill it in"

    return rule


def needed(key: str, cure: str = "add it") -> Rule:
    """A rule: this field is there and not empty."""

    def rule(value: dict[str, Any]) -> Faults:
        if value.get(key) in (None, "", [], {}):
            yield "", f"`{key}` is missing; {cure}"

    return rule


def exactly_one(*keys: str) -> Rule:
    """A rule: one of these fields is set, and only one."""
    *most, last = (f"`{key}`" for key in keys)
    words = f"{', '.join(most)} or {last}" if most else last

    def rule(value: dict[str, Any]) -> Faults:
        given = [k for k in keys if value.get(k) is not None]
        if not given:
            yield "", f"says nothing; give {words}"
        elif len(given) > 1:
            yield "", f"has `{given[0]}` and `{given[1]}`; keep one of them"

    return rule


def unique(key: str, *fields: str) -> Rule:
    """A rule: no two items of the list `key` agree in these fields (absent ones do not count)."""

    def rule(value: dict[str, Any]) -> Faults:
        seen: dict[tuple[str, ...], str] = {}
        for path, item in structs(value, key):
            word = tuple(str(item.get(f, "TCP" if f == "protocol" else "")) for f in fields)
            if not word[0]:
                continue
            if word in seen:
                yield (
                    f"{path}.{fields[0]}",
                    f"{quoted(' '.join(word))} is already that of {seen[word][1:]}",
                )
            seen.setdefault(word, path)

    return rule


def one_a_family(path: str, texts: list[Any]) -> Faults:
    if len(texts) > 2:
        yield path, f"has {len(texts)} items; at most one of each family"
    elif len(texts) == 2 and len({":" in str(text) for text in texts}) == 1:
        yield f"{path}[1]", "is of the same family as the first; one must be IPv4, one IPv6"
