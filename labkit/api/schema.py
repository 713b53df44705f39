"""Which fields each kind has, and the walk that compares a manifest with them.

The fields come from `data/schema/`: Kubernetes' own kinds, cut from its OpenAPI document, and a
file for each further API, after its CustomResourceDefinition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import msgspec

from labkit.api import relations_networking, relations_policies, relations_workloads, syntax
from labkit.api.datafiles import data_file
from labkit.api.rules import FIELD_HINTS, KEYS, VALUES
from labkit.api.syntax import nearest, quoted

FILES = ("kubernetes.json", "network-policy-api.json")
TYPES = {
    **relations_workloads.TYPES,
    **relations_networking.TYPES,
    **relations_policies.TYPES,
}


class Report(Protocol):
    """Takes a fault: field path, what is wrong and how to mend it, and the path to point at."""

    def __call__(self, path: str, message: str, at: str = "") -> None: ...


_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LIMITS = {"int32": 2**31, "int64": 2**63}
_WANTED = {
    "string": "text",
    "int32": "a whole number",
    "int64": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "int-or-string": "a whole number or text",
    "quantity": "a quantity such as 250m or 64Mi",
    "time": "a time such as 2026-11-22T10:00:00Z",
    "byte": "base64 text",
}
_ACCEPTS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "int32": (int,),
    "int64": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "int-or-string": (int, str),
    "quantity": (int, float, str),
    "time": (str,),
    "byte": (str,),
}
_SYNTAX: Mapping[str, Callable[[Any], str]] = {
    "quantity": syntax.quantity,
    "time": syntax.time,
    "byte": syntax.base64,
}


class Type(msgspec.Struct, frozen=True):
    """A struct of the API. A field's type is one word, `list WORD` or `map WORD`."""

    fields: Mapping[str, str]
    required: tuple[str, ...]


class Schema(msgspec.Struct, frozen=True):
    """`kinds`: `apps/v1/Deployment` -> type; `served`: apiVersion -> every kind in it."""

    release: str
    kinds: Mapping[str, str]
    served: Mapping[str, tuple[str, ...]]
    types: Mapping[str, Type]

    def homes(self, kind: str) -> tuple[str, ...]:
        """The apiVersions that have this kind, the stable ones first."""
        return tuple(sorted((v for v, kinds in self.served.items() if kind in kinds), key=_youth))


def _youth(version: str) -> tuple[bool, str]:
    return ("alpha" in version or "beta" in version, version)


@lru_cache(maxsize=1)
def schema() -> Schema:
    """All files as one, with the release of Kubernetes; read when the first manifest is."""
    first, *others = (
        msgspec.json.decode(data_file("schema", name).read_bytes(), type=Schema) for name in FILES
    )
    return Schema(
        first.release,
        {**first.kinds, **{k: v for other in others for k, v in other.kinds.items()}},
        {**first.served, **{k: v for other in others for k, v in other.served.items()}},
        {**first.types, **{k: v for other in others for k, v in other.types.items()}},
    )


class Place(NamedTuple):
    """A struct that the walk is inside of: the way back up."""

    path: str
    type: str
    above: Place | None


def field_path(path: str, key: str) -> str:
    """`.spec` and `ports` make `.spec.ports`; a key that is no word stands in brackets."""
    return f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{path}[{key}]"


class Walk(msgspec.Struct, frozen=True):
    """One manifest on its way through the schema.

    `written` has the text of the scalars that YAML turned into something else (`yes` into
    true), by field path, so that a hint can quote what stands in the file.
    """

    report: Report
    written: Mapping[str, str]
    types: Mapping[str, Type]

    def struct(self, value: Any, name: str, path: str, above: Place | None = None) -> None:
        """Everything wrong in a value of this type and below it."""
        if not isinstance(value, dict):
            self._wrong(value, "a mapping (`key: value` lines)", path, above)
            return
        type_ = self.types[name]
        here = Place(path, name, above)
        for key, item in value.items():
            word = type_.fields.get(key)
            if word is not None:
                if item is not None:
                    self._field(item, word, f"{name}.{key}", f"{path}.{key}", here)
            elif type_.fields:
                self.report(path, unknown_field(key, here, self.types), field_path(path, key))
        for key in type_.required:
            # An empty text is no value to the API server; a header's may be empty.
            if value.get(key) is None or (value[key] == "" and key != "value"):
                self.report(path, f"`{key}` is missing; add it")
        for rule in TYPES.get(name, ()):
            for below, message in rule(value):
                self.report(path + below, message)

    def _field(self, value: Any, word: str, owner: str, path: str, here: Place) -> None:
        how, _, item = word.partition(" ")
        if how == "list":
            self._list(value, item, owner, path, here)
        elif how == "map":
            self._map(value, item, owner, path, here)
        elif how in self.types:
            self.struct(value, how, path, here)
        elif how != "any":
            self._scalar(value, how, owner, path, here)

    def _list(self, value: Any, word: str, owner: str, path: str, here: Place) -> None:
        if not isinstance(value, list):
            self._wrong(value, "a list (lines that begin with `- `)", path, here)
            return
        for i, item in enumerate(value):
            if item is None:
                self.report(f"{path}[{i}]", "this item is empty; fill it in or remove its `-`")
            else:
                self._field(item, word, owner, f"{path}[{i}]", here)

    def _map(self, value: Any, word: str, owner: str, path: str, here: Place) -> None:
        if not isinstance(value, dict):
            self._wrong(value, "a mapping (`key: value` lines)", path, here)
            return
        key_check = KEYS.get(owner)
        for key, item in value.items():
            below = field_path(path, key)
            if key_check and (fault := key_check(key)):
                self.report(below, fault)
            if hint := FIELD_HINTS.get((owner, key)):
                self.report(below, hint)
            elif item is not None:
                self._field(item, word, owner, below, here)

    def _scalar(self, value: Any, word: str, owner: str, path: str, here: Place) -> None:
        wanted = _ACCEPTS[word]
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            self._wrong(value, _WANTED[word], path, here)
            return
        limit = _LIMITS.get("int32" if word == "int-or-string" else word)
        if limit and isinstance(value, int) and not -limit <= value < limit:
            self.report(path, f"{str(value)[:30]} is too large; at most {limit - 1}")
            return
        for check in (_SYNTAX.get(word), VALUES.get(owner)):
            if check and value != "" and (fault := check(value)):
                self.report(path, fault)
                return

    def _wrong(self, value: Any, wanted: str, path: str, above: Place | None) -> None:
        """Report a value of another type than the field has."""
        key = path.rpartition(".")[2]
        home = home_of(key, path, above, self.types)
        if isinstance(value, str):
            hint = _unquote(value, wanted)
            self.report(path, f"must be {wanted}, not the text {quoted(value)}{hint}")
        elif isinstance(value, dict | list):
            got = "a mapping" if isinstance(value, dict) else "a list"
            cure = "remove the `-`" if isinstance(value, list) and "mapping" in wanted else ""
            cure = cure or ("begin each item with `- `" if "list" in wanted else "")
            cure = home or cure or "check the indentation"
            self.report(path, f"must be {wanted}, not {got}; {cure}")
        else:
            text = self.written.get(path) or _yaml_word(value)
            got = _yaml_word(value)
            reads = f"YAML reads {quoted(text)} as {got}" if text != got else f"{text} is not"
            cure = f'; put it in quotes: "{text}"' if "text" in wanted else ""
            self.report(path, f"must be {wanted}, and {reads}{cure}")


def _yaml_word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)[:40]


def _unquote(value: str, wanted: str) -> str:
    number = "number" in wanted and value.isascii() and value.isdecimal()
    truth = wanted == "true or false" and value.lower() in ("true", "false")
    return "; remove the quotes" if number or truth else ""


def unknown_field(key: str, here: Place, types: Mapping[str, Type]) -> str:
    """The message for a field that the type does not have: what it should have been."""
    known = types[here.type].fields
    hint = FIELD_HINTS.get((here.type, key)) or FIELD_HINTS.get((here.type, "*"))
    if not hint and (near := nearest(key, known, 0.75)):
        hint = f"did you mean `{near}`?"
    if not hint:
        hint = home_below(key, here, types) or home_of(key, "", here.above, types)
    if not hint and (near := nearest(key, known)):
        hint = f"did you mean `{near}`?"
    if not hint:
        names = [k for k in sorted(known) if k not in ("apiVersion", "kind", "status")]
        more = ", …" if len(names) > 10 else ""
        hint = f"it has {', '.join(names[:10])}{more}"
    return f"unknown field {quoted(key)}; {hint}"


def home_of(key: str, path: str, above: Place | None, types: Mapping[str, Type]) -> str:
    """Where further out the field at `path` belongs, when it was indented too much."""
    while above is not None:
        if key in types[above.type].fields and path != f"{above.path}.{key}":
            return f"`{key}` belongs to {above.path or 'the top level'}: indent it less"
        above = above.above
    return ""


def home_below(key: str, here: Place, types: Mapping[str, Type]) -> str:
    """Where further in this field belongs, when it was indented too little."""
    for path, name in _structs_below(here.type, types):
        if key in types[name].fields:
            return f"`{key}` belongs to {here.path}{path}: indent it more"
    return ""


def _structs_below(
    name: str, types: Mapping[str, Type], depth: int = 3
) -> Iterator[tuple[str, str]]:
    """The structs inside a struct, nearest first; `[]` marks a list's items; `status` never."""
    level = [("", name)]
    for _ in range(depth):
        below = []
        for path, owner in level:
            for field, word in types[owner].fields.items():
                inner = word.removeprefix("list ")
                if inner in types and field != "status":
                    below.append((f"{path}.{field}{'' if inner == word else '[]'}", inner))
        level = sorted(below, key=lambda b: b[0].endswith("]"))
        yield from level
