"""Manifests: text, files and lists of mappings in, checked objects out; and back to text.

This is the door. What is inside has passed the checks, and whatever is wrong comes out as one
`ManifestError` with a line for each fault of each document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.api.documents import Loaded, checked, opened
from labkit.api.plain import Document, TooMuch, copied
from labkit.api.syntax import quoted
from labkit.api.yamltext import documents, dump
from labkit.errors import Fault, ManifestError, NotFound

MAX_BYTES = 8_000_000

__all__ = ["Loaded", "Source", "dump", "dump_json", "load", "load_as_it_stands"]

Source = str | Path | Sequence[Mapping[str, Any]]

_FILE = re.compile(r"[^\n{}]*\.(ya?ml|json)\s*")


def load(source: Source, *, name: str = "") -> tuple[Loaded, ...]:
    """The objects of a file, a text or a list of mappings, in their order, `List`s opened.

    Args:
        source: a `Path` or one line that ends in .yaml, .yml or .json is a file, any other
            text is YAML or JSON itself.
        name: what errors call the input, if it is no file.

    Raises:
        ManifestError: with all faults of all documents.
        NotFound: there is no such file.
    """
    where, documents = _documents(source, name)
    return checked(documents, where)


def load_as_it_stands(source: Source, *, name: str = "") -> tuple[Loaded, ...]:
    """Like `load`, without the checks of fields: for tables of cases, where nothing is refused.

    Raises:
        ManifestError: what is no YAML, or no plain data.
        NotFound: there is no such file.
    """
    where, documents = _documents(source, name)
    if any(d.found or not isinstance(d.value, dict) for d in documents):
        return checked(documents, where)
    return tuple(Loaded(d.value, where, d.lines) for d in documents)


def _documents(source: Source, name: str) -> tuple[str, list[Document]]:
    """What the input is called, and what is in it."""
    if isinstance(source, Path) or (isinstance(source, str) and _FILE.fullmatch(source)):
        where = str(source).strip()
        return where, _read(_file_text(Path(where)), where)
    where = name or "input"
    return where, _read(source, where) if isinstance(source, str) else _read_list(source, where)


def _file_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file can be called so"
        raise NotFound(f"{quoted(str(path))}: {reason}; looked in {Path.cwd()}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8"
        raise ManifestError(Fault(str(path), line, "", "", message)) from None


def _read(text: str, where: str) -> list[Document]:
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES:
        message = f"{len(text)} characters; at most {MAX_BYTES}: load it in parts"
        raise ManifestError(Fault(where, 0, "", "", message))
    try:
        return list(documents(text))
    except TooMuch as much:
        raise ManifestError(Fault(where, much.line, "", "", much.message)) from None


def _read_list(source: Sequence[Mapping[str, Any]], where: str) -> list[Document]:
    if not isinstance(source, list | tuple):
        got = type(source).__name__
        message = f"a manifest is text, a Path or a list of mappings, not a Python {got}"
        raise ManifestError(Fault(where, 0, "", "", message))
    try:
        documents = [copied(item) for item in source]
    except TooMuch as much:
        raise ManifestError(Fault(where, 0, "", "", much.message)) from None
    return [inner for document in documents for inner in opened(document)]


def dump_json(manifest: Mapping[str, Any]) -> str:
    """JSON as `kubectl get -o json` prints it, without a last newline.

    Go's encoder writes `<`, `>` and `&` as escapes, so that JSON can stand in HTML.
    """
    text = json.dumps(manifest, indent=4, sort_keys=True, ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
