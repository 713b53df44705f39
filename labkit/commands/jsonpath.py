"""kubectl's JSONPath: text with `{...}` in it, evaluated on one object.

Known forms: `.a.b`, `['a']`, `[0]`, `[-1]`, `[0:2]`, `[0,2]`, `[*]`, `.*`, `..a`,
`[?(@.a=="x")]`, `{range .items[*]}...{end}`, `{"text\\n"}`, `$`, `@`.

Source: Kubernetes `k8s.io/client-go/util/jsonpath` and its documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from labkit.commands.arguments import Refused

Find = Callable[[Any], list[Any]]  # what is found in one value
Step = Callable[[list[Any]], list[Any]]  # from all values so far to the next ones

_KEY = re.compile(r"((?:\\.|[\w-])+)")
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_TEST = re.compile(r"\s*(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+?)\s*$")


class _Failed(Exception):
    """The path does not fit the object."""


def render(template: str, obj: Any) -> str:
    """The template filled in. Several values are joined by a blank, objects are JSON.

    Raises:
        Refused: as kubectl says it, when the template is wrong or an index out of bounds.
    """
    pieces = list(_pieces(template))
    try:
        text, rest = _block(pieces, 0, obj, template)
        if rest < len(pieces):
            raise _Failed("not in range, nothing to end")
    except _Failed as failed:
        raise Refused(
            f'error: error executing jsonpath "{template}": Error executing template: {failed}. '
            "Printing more information for debugging the template:\n"
            f"\ttemplate was:\n\t\t{template}"
        ) from None
    return text


def _pieces(template: str) -> Iterator[tuple[bool, str]]:
    """(is it an action, its text)."""
    place = 0
    while place < len(template):
        if template[place] != "{":
            end = template.find("{", place)
            end = len(template) if end < 0 else end
            yield False, template[place:end]
            place = end
            continue
        end = _closing(template, place)
        yield True, template[place + 1 : end].strip()
        place = end + 1


def _closing(template: str, start: int) -> int:
    """Where the action ends; braces inside quotes do not count."""
    quote = ""
    opened = False
    for place in range(start + 1, len(template)):
        char = template[place]
        if quote:
            quote = "" if char == quote and template[place - 1] != "\\" else quote
        elif char in "'\"":
            quote = char
        elif char == "}":
            return place
        opened = (opened or char == "[") and char != "]"
    raise _wrong(template, "unterminated array" if opened else "unclosed action")


def _wrong(template: str, why: str) -> Refused:
    return Refused(f"error: error parsing jsonpath {template}, {why}")


def _block(
    pieces: Sequence[tuple[bool, str]], place: int, here: Any, template: str
) -> tuple[str, int]:
    """Text up to the `{end}` that closes the block, and where that stands."""
    out = []
    while place < len(pieces):
        action, text = pieces[place]
        if not action:
            out.append(text)
        elif text == "end":
            return "".join(out), place
        elif text.startswith("range"):
            items = _values(text.removeprefix("range").strip(), here, template)
            done = place + 1
            for item in items or [None]:
                body, done = _block(pieces, place + 1, item, template)
                out.append(body if items else "")
            place = done
        else:
            out.append(_action(text, here, template))
        place += 1
    return "".join(out), place


def _action(text: str, here: Any, template: str) -> str:
    if found := _QUOTED.fullmatch(text):
        return _unescaped(found[1] if found[1] is not None else found[2])
    return " ".join(_shown(value) for value in _values(text, here, template))


def _unescaped(text: str) -> str:
    known = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda found: known.get(found[1], found[1]), text)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list):
        return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return "" if value is None else str(value)


def _values(path: str, here: Any, template: str) -> list[Any]:
    values = [here]
    for step in _steps(path, template):
        values = step(values)
    return values


def _each(find: Find) -> Step:
    return lambda values: [found for value in values for found in find(value)]


def _steps(path: str, template: str) -> Iterator[Step]:
    rest = path.removeprefix("$").removeprefix("@")
    while rest:
        if rest.startswith(".."):
            step, rest = _recursive(rest[2:])
        elif rest.startswith("["):
            end = _bracket(rest, template)
            step = _brackets(rest[1:end].strip(), template)
            rest = rest[end + 1 :]
        elif rest.startswith(".*"):
            step, rest = _each(_children), rest[2:]
        elif found := _KEY.match(rest.removeprefix(".")):
            if not rest.startswith(".") and rest is path:
                raise _Failed(f"unrecognized identifier {found[1]}")
            step = _each(_field(found[1].replace("\\", "")))
            rest = rest.removeprefix(".")[found.end() :]
        elif rest == ".":
            return
        elif rest[0].isspace():
            raise _Failed(f"unrecognized identifier {rest.strip()}")
        else:
            raise _wrong(template, f"unrecognized character in action: U+{ord(rest[0]):04X}")
        yield step


def _bracket(rest: str, template: str) -> int:
    depth = 0
    for place, char in enumerate(rest):
        depth += (char == "[") - (char == "]")
        if depth == 0:
            return place
    raise _wrong(template, "unterminated array")


def _field(name: str) -> Find:
    """A missing key, and a key of what is no mapping, is simply not there."""
    return lambda value: [value[name]] if isinstance(value, Mapping) and name in value else []


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [value[key] for key in sorted(value)]
    return list(value) if isinstance(value, list) else []


def _recursive(rest: str) -> tuple[Step, str]:
    if rest.startswith("*"):
        return _each(_below), rest[1:]
    found = _KEY.match(rest)
    name = found[1].replace("\\", "") if found else ""
    field = _field(name)
    everywhere = _each(lambda value: [x for v in (value, *_below(value)) for x in field(v)])
    return everywhere, rest[found.end() if found else 0 :]


def _below(value: Any) -> list[Any]:
    """Everything inside, at any depth."""
    return [found for child in _children(value) for found in (child, *_below(child))]


def _brackets(inside: str, template: str) -> Step:
    if inside == "*":
        return _each(_children)
    if inside.startswith("?(") and inside.endswith(")"):
        return _each(_filter(inside[2:-1], template))
    if re.fullmatch(r"'[^']*'(\s*,\s*'[^']*')*", inside):
        fields = [_each(_field(name)) for name in re.findall(r"'([^']*)'", inside)]
        return lambda values: [found for field in fields for found in field(values)]
    if ":" in inside and re.fullmatch(r"(-?\d*:){1,2}-?\d*", inside):
        bounds = slice(*(int(n) if n else None for n in inside.split(":")))
        return _each(lambda value: _items(value)[bounds])
    if re.fullmatch(r"-?\d+(\s*,\s*-?\d+)*", inside):
        places = [int(number) for number in inside.split(",")]
        return _each(lambda value: [_item(_items(value), place) for place in places])
    raise _wrong(template, f"invalid array index {inside}")


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        kind = "string" if isinstance(value, str) else "map" if isinstance(value, Mapping) else "it"
        raise _Failed(f"{kind} is not array or slice")
    return value


def _item(items: list[Any], place: int) -> Any:
    if not -len(items) <= place < len(items):
        raise _Failed(f"array index out of bounds: index {place}, length {len(items)}")
    return items[place]


def _filter(test: str, template: str) -> Find:
    found = _TEST.match(test)
    if not found:
        return lambda value: [v for v in _children(value) if _values(test, v, template)]
    left, operator, right = found.groups()

    def kept(item: Any) -> bool:
        one, other = _side(left, item, template), _side(right, item, template)
        return one is not None and other is not None and _compared(one, operator, other)

    return lambda value: [v for v in _children(value) if kept(v)]


def _side(text: str, item: Any, template: str) -> Any:
    """One side of a test: a literal, or the first value of a path; None if there is none."""
    if quoted := _QUOTED.fullmatch(text):
        return quoted[1] if quoted[1] is not None else quoted[2]
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    values = _values(text, item, template)
    return values[0] if values else None


def _compared(one: Any, operator: str, other: Any) -> bool:
    if (
        isinstance(one, bool)
        or isinstance(other, bool)
        or isinstance(one, str) != isinstance(other, str)
    ):
        return one == other if operator == "==" else one != other if operator == "!=" else False
    tests = {
        "==": one == other,
        "!=": one != other,
        "<": one < other,
        "<=": one <= other,
        ">": one > other,
        ">=": one >= other,
    }
    return bool(tests[operator])
