"""Pieces that every `kubectl describe` is made of: lines with tabs, laid out at the end.

Source: kubernetes/kubectl `pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.api.meta import Object
from labkit.api.names import owner_of

Lines = Iterator[str]

NO_EVENTS = "Events:\t<none>"  # the lab keeps no Event objects
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LONG = 140  # characters of key and value from which an annotation gets lines of its own


def named(obj: Object) -> Lines:
    """Name and, where there is one, namespace."""
    yield f"Name:\t{obj.name}"
    if obj.namespace:
        yield f"Namespace:\t{obj.namespace}"


def headed(obj: Object) -> Lines:
    """Name, namespace, labels, annotations: how most kinds begin."""
    yield from named(obj)
    yield from labels(obj.labels)
    yield from notes(obj.annotations)


def labels(values: Mapping[str, str], indent: str = "", title: str = "Labels") -> Lines:
    yield from _column(indent, title, [f"{key}={values[key]}" for key in sorted(values)])


def _column(indent: str, title: str, items: list[str]) -> Lines:
    """A title and one item a line; the items under each other."""
    for number, item in enumerate(items or ["<none>"]):
        yield f"{indent}\t{item}" if number else f"{indent}{title}:\t{item}"


def notes(values: Mapping[str, str], indent: str = "") -> Lines:
    head = f"{indent}Annotations:"
    shown = {key: values[key] for key in sorted(values) if key != LAST_APPLIED}
    if not shown:
        yield f"{head}\t<none>"
    for key, value in shown.items():
        value = value.removesuffix("\n")
        if "\n" in value or len(key) + len(value) + 2 > LONG:
            yield f"{head}\t{key}:"
            yield from (f"{indent}\t  {line[: LONG - 2]}" for line in value.split("\n"))
        else:
            yield f"{head}\t{key}: {value}"
        head = indent


def controlled_by(obj: Object) -> Lines:
    owner = owner_of(obj)
    if owner:
        yield f"Controlled By:\t{owner}"
