"""Plain data: what YAML and JSON come to, and what a list of mappings may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

MAX_DEPTH = 100
MAX_NODES = 400_000
MAX_FAULTS = 100

Found = tuple[int, str, str]  # line (0: none), field path, message

_WORDS: dict[str, bool | None] = {
    word: value
    for value, words in (
        (True, "y yes true on"),
        (False, "n no false off"),
        (None, "~ null"),
    )
    for base in words.split()
    for word in (base, base.upper(), base.capitalize())
} | {"": None}
_NOT_FINITE = {sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")} | {
    ".nan",
    ".NaN",
    ".NAN",
}
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class TooMuch(Exception):
    """The input is deeper or larger than the lab takes."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class Enough(Exception):
    """So much is wrong with a document that nobody reads on."""


TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep; no manifest is"
TOO_MANY = f"more than {MAX_NODES} values; load it in parts"


class Document(msgspec.Struct):
    """One object as it was given, before it is checked.

    `lines` and `written` go by field path (`.spec.ports[0].port`): the line it stands on, and
    the text of a scalar that YAML reads as something other than text.
    """

    value: Any = None
    lines: dict[str, int] = {}
    written: dict[str, str] = {}
    found: list[Found] = []

    def report(self, path: str, message: str, at: str = "") -> None:
        """Note a fault of the field at `path`; its line is that of the field `at`."""
        self.found.append((self.line(at or path), path, message))
        if len(self.found) > MAX_FAULTS:
            raise Enough

    def line(self, path: str) -> int:
        """The line of a field, or of the nearest field around it; 0 without text."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 0)


@lru_cache(maxsize=4096)
def scalar(text: str) -> str | int | float | bool | None:
    """What a scalar without quotes stands for: `yes` is true, `010` is 8, `12:30` is text.

    Source: `resolve` in sigs.k8s.io/yaml `goyaml.v2/resolve.go`, which kubectl reads YAML with.
    It differs from PyYAML in `y` and `n`, base 60, times (text here) and exponents.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text in _NOT_FINITE:
        return float(text.replace(".", "").lower())
    if text[0] not in "+-.0123456789":
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    if len(digits) < 80 and _INTEGER.fullmatch(digits):
        value = _integer(digits)
        if -(2**63) <= value < 2**64:
            return value
    if _FLOAT.fullmatch(digits):
        number = float(digits)
        return text if number in (float("inf"), float("-inf")) else tidy(number)
    return text


def _integer(digits: str) -> int:
    """As Go reads it: a leading 0 alone means octal."""
    octal = re.sub(r"^([-+]?)0(?=[0-7])", r"\g<1>0o", digits)
    return int(octal, 0)


def tidy(number: float) -> int | float:
    """A whole float as an integer: JSON knows no difference, and prints it so."""
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def copied(value: Any) -> Document:
    """A mapping given from Python as a document of plain data of its own."""
    document = Document(found=[])
    budget = [MAX_NODES]

    def copy(item: Any, path: str, depth: int) -> Any:
        budget[0] -= 1
        if depth > MAX_DEPTH:
            raise TooMuch(TOO_DEEP)
        if budget[0] < 0:
            raise TooMuch(TOO_MANY)
        if item is None or isinstance(item, bool):
            return item
        if isinstance(item, str | int | float):
            return _number_or_text(item, path, document)
        if isinstance(item, Mapping):
            return {
                _key(k, path, document): copy(v, f"{path}.{k}", depth + 1) for k, v in item.items()
            }
        if isinstance(item, Sequence) and not isinstance(item, bytes | bytearray):
            return [copy(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(item)]
        message = f"a Python {type(item).__name__} is no value of a manifest; write it as text"
        document.found.append((0, path, message))
        return None

    document.value = copy(value, "", 0)
    return document


def _number_or_text(item: str | int | float, path: str, document: Document) -> Any:
    message = ""
    if isinstance(item, str):
        if item.isascii() or not any("\ud800" <= c <= "\udfff" for c in item):
            return str(item)
        message = "has half a character (a lone surrogate); remove it"
    elif isinstance(item, int):
        if -(2**63) <= item < 2**64:
            return int(item)
        message = "this number is too large"
    elif item - item == 0:  # neither infinite nor NaN
        return tidy(item)
    else:
        message = f"{item} is no number that a manifest can hold"
    document.found.append((0, path, message))
    return None


def _key(key: Any, path: str, document: Document) -> str:
    if isinstance(key, str):
        return str(_number_or_text(key, path, document) or "")
    document.found.append((0, path, f"a key is text, not a Python {type(key).__name__}"))
    return str(type(key).__name__)
