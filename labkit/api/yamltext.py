"""YAML nodes to documents and back: the only place that knows the YAML library.

It reads as kubectl reads and prints as kubectl prints, which is YAML 1.1 with exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cmp_to_key
from typing import Any

import msgspec
import yaml

from labkit.api.documents import list_kind, opened, typed
from labkit.api.plain import (
    MAX_DEPTH,
    MAX_NODES,
    TOO_DEEP,
    TOO_MANY,
    Document,
    TooMuch,
    copied,
    scalar,
)
from labkit.api.schema import field_path
from labkit.api.syntax import quoted

_PRINTABLE = "\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
_NO_YAML = re.compile(f"[^{_PRINTABLE}]")  # the line ends of YAML too, which JSON does not fold
_UNPRINTABLE = re.compile(f"[^{_PRINTABLE}\x85\u2028\u2029]")


class Reading:
    """Composes nodes and leaves the meaning of plain scalars to `plain.scalar`."""

    depth = 0
    nodes = 0

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return "plain" if implicit[0] else "text"
        return "collection"

    def descend_resolver(self, parent: yaml.Node | None, index: Any) -> None:
        self.depth += 1
        self.nodes += 1
        line = parent.start_mark.line + 1 if parent else 0
        if self.depth > MAX_DEPTH:
            raise TooMuch(TOO_DEEP, line)
        if self.nodes > MAX_NODES:
            raise TooMuch(TOO_MANY, line)

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _Loader(Reading, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """On libyaml where it is, else (in a browser) on PyYAML's own parser."""


def documents(text: str) -> Iterator[Document]:
    """The objects of a text. After broken YAML it goes on at the next `---`."""
    if _NO_YAML.search(text) and (plain := _as_json(text)):
        yield from plain
        return
    if bad := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        message = f"character U+{ord(bad.group()):04X} may not stand in YAML; remove it"
        yield Document(found=[(line, "", message)])
        return
    first, budget = 0, [MAX_NODES]  # line at which this stretch begins, from 0
    while True:
        loader = _Loader(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                if not _is_null(node):
                    yield from _objects(node, first, budget)
            return
        except yaml.YAMLError as error:
            if not first and (plain := _as_json(text)):
                yield from plain
                return
            lines = text.split("\n")
            at, message = _broken(error, lines)
            yield Document(found=[(first + at + 1, "", message)])
            rest = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("---")), None)
            if rest is None:
                return
            first, text = first + rest, "\n".join(lines[rest:])
        finally:
            loader.dispose()


def _is_null(node: yaml.Node) -> bool:
    """Nothing between two `---`, or `null`: no object and no fault."""
    return node.tag == "plain" and scalar(node.value) is None


def _as_json(text: str) -> list[Document]:
    """JSON that is no YAML (escaped emoji, control characters); lines are lost then."""
    if text.lstrip()[:1] != "{":
        return []
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return []
    return list(opened(copied(value)))


_CURES = (
    ("mapping values are not allowed", "a `: ` too many, or wrong indentation, here or just above"),
    (
        "did not find expected key",
        "this line is not in line with the fields above; indent it alike",
    ),
    ("<block end>", "this line is not in line with the fields above; indent it alike"),
    ("expected '-' indicator", "a list goes on here without `- `; check the indentation"),
    ("sequence entries are not allowed", "a list begins on a line of its own; put `- ` there"),
    ("expected ',' or ']'", "a list that begins with `[` does not end; add `]`"),
    ("expected ',' or '}'", "a mapping that begins with `{` does not end; add `}`"),
    ("end of stream", "quotes that open here are never closed; close them"),
    ("unexpected document", "quotes that open here are never closed; close them"),
    ("undefined alias", "a `*name` without its `&name`; text that begins with `*` goes in quotes"),
    ("duplicate anchor", "this `&name` is here twice; choose another name"),
    ("cannot start any token", "text cannot begin with this character; put it in quotes"),
    ("unknown escape", "an unknown `\\` in double quotes; use single quotes"),
    ("escape code", "an unknown `\\` in double quotes; use single quotes"),
    ("expected ':'", "a key without its `:`, here or just above"),
    ("node content", "a bracket that opens just above is not closed; add `]` or `}`"),
    ("nesting depth", "brackets inside brackets, more of them than any manifest has"),
    ("<document start>", "a second document begins here; put `---` between them"),
)


def _broken(error: yaml.YAMLError, lines: list[str]) -> tuple[int, str]:
    """The line (from 0) and the message for text that is no YAML."""
    problem = f"{getattr(error, 'problem', None) or ''} {getattr(error, 'context', None) or ''}"
    mark = getattr(error, "problem_mark", None)
    at = mark.line if mark else 0
    opened = getattr(error, "context_mark", None)
    if opened and any(w in problem for w in ("end of stream", "unexpected document", "',' or")):
        at = opened.line
    line = lines[at] if at < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return at, "a tab at the beginning of the line; indent with spaces"
    cure = next((c for w, c in _CURES if w in problem), problem.strip() or "not YAML")
    return at, f"broken YAML: {cure}"


def _objects(node: yaml.Node, first: int, budget: list[int], depth: int = 0) -> Iterator[Document]:
    """The document of a node; if it is a `List`, those of its items."""
    budget[0] -= 1
    if depth > MAX_DEPTH or budget[0] < 0:
        raise TooMuch(TOO_DEEP, first + node.start_mark.line + 1)
    head = _list_head(node) if isinstance(node, yaml.MappingNode) else {}
    kind = list_kind({**head, "items": []} if "items" in head else head)
    if kind is None:
        document = Document(None, {}, {}, [])
        builder = _Builder(document, first, budget)
        document.value = builder.value(node, "", depth)
        document.lines[""] = first + node.start_mark.line + 1
        yield document
        return
    for item in head["items"].value if "items" in head else ():
        for document in _objects(item, first, budget, depth + 1):
            document.value = typed(document.value, head, kind)
            yield document


def _list_head(node: yaml.MappingNode) -> dict[str, Any]:
    """`apiVersion` and `kind` as text, and `items` if it is a sequence."""
    head: dict[str, Any] = {}
    for key, value in node.value:
        if key.value in ("apiVersion", "kind") and isinstance(value, yaml.ScalarNode):
            head[key.value] = value.value
        elif key.value == "items" and isinstance(value, yaml.SequenceNode):
            head["items"] = value
    return head


class _Builder(msgspec.Struct, frozen=True):
    """Makes plain data of YAML nodes and notes the lines; aliases are spelled out."""

    document: Document
    first: int
    budget: list[int]

    def line(self, node: yaml.Node) -> int:
        return self.first + int(node.start_mark.line) + 1

    def fault(self, node: yaml.Node, path: str, message: str) -> None:
        self.document.found.append((self.line(node), path, message))

    def value(self, node: yaml.Node, path: str, depth: int) -> Any:
        self.budget[0] -= 1
        if self.budget[0] < 0:
            raise TooMuch(TOO_MANY, self.line(node))
        if depth > MAX_DEPTH:
            raise TooMuch(TOO_DEEP, self.line(node))
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if node.tag not in ("collection", _YAML + "map", _YAML + "seq"):
            self.fault(node, path, f"unknown tag {_tag(node)}; remove it")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, depth)
        assert isinstance(node, yaml.SequenceNode)
        return self.sequence(node, path, depth)

    def scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        if node.tag in _TEXT:
            return node.value
        value = scalar(node.value)
        if node.tag != "plain" and node.tag not in _TAGS.get(type(value), ()):
            message = f"{quoted(node.value)} under tag {_tag(node)}; remove the tag"
            self.fault(node, path, message)
        elif isinstance(value, float) and value - value != 0:
            self.fault(node, path, f"{quoted(node.value)} is no number that JSON has")
        elif not isinstance(value, str) and str(value) != node.value:
            self.document.written[path] = node.value
        return value

    def sequence(self, node: yaml.SequenceNode, path: str, depth: int) -> list[Any]:
        built = []
        for i, item in enumerate(node.value):
            below = f"{path}[{i}]"
            self.document.lines[below] = self.line(item)
            built.append(self.value(item, below, depth + 1))
        return built

    def mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == "plain" and key.value == "<<":
                for merged in self.merged(value, path, depth):
                    built = {**merged, **built}
        seen: dict[str, int] = {}
        for key, value in node.value:
            word = self.key(key, path)
            if word is None:
                continue
            below, line = field_path(path, word), self.line(key)
            if word in seen:
                message = f"`{word}` is here twice, first on line {seen[word]}; remove one"
                self.fault(key, path, message)
            seen.setdefault(word, line)
            self.document.lines[below] = line
            built[word] = self.value(value, below, depth + 1)
        return built

    def merged(self, node: yaml.Node, path: str, depth: int) -> Iterator[dict[str, Any]]:
        """The mappings that `<<:` brings in; the first to name a key wins."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for inner in nodes:
            if isinstance(inner, yaml.MappingNode):
                built = self.value(inner, path, depth + 1)
                assert isinstance(built, dict)
                yield built
            else:
                self.fault(inner, path, "`<<` takes a mapping, such as `*name`")

    def key(self, node: yaml.Node, path: str) -> str | None:
        """The text of a key; None for a merge and for what can be no key."""
        if not isinstance(node, yaml.ScalarNode):
            hint = "a key is text"
            if isinstance(node, yaml.MappingNode) and node.flow_style:
                hint = "`{{ … }}` is a template; render it first (`helm template`)"
            self.fault(node, path, f"a key that is no text; {hint}")
            return None
        if node.tag != "plain":
            return str(node.value)
        if node.value == "<<":
            return None
        value = scalar(node.value)
        if value is None:
            self.fault(node, path, "an empty key; write a name before the `:`")
            return None
        return str(value).lower() if isinstance(value, bool) else str(value)


def _tag(node: yaml.Node) -> str:
    return quoted(node.tag.replace(_YAML, "!!"))


_YAML = "tag:yaml.org,2002:"
_TEXT = ("text", _YAML + "str", _YAML + "timestamp")
_TAGS = {
    int: (_YAML + "int", _YAML + "float"),
    float: (_YAML + "float",),
    bool: (_YAML + "bool",),
    type(None): (_YAML + "null",),
}


# --- back to text --------------------------------------------------------------------------


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # either base
    """Writes nodes that carry their style already."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        return "text" if kind is yaml.ScalarNode else "collection"


def dump(manifest: Mapping[str, Any]) -> str:
    """YAML as `kubectl get -o yaml` prints it: keys sorted, lists not indented, no folding."""
    text: str = yaml.serialize(_node(manifest), Dumper=_Dumper, width=2**30, allow_unicode=True)
    # The mark that libyaml puts behind blocks with open ends; Go's port of it leaves it out.
    return text[: -len("...\n")] if text.endswith("\n...\n") else text


def _node(value: Any) -> yaml.Node:
    if isinstance(value, Mapping):
        pairs = [(_key_node(k), _node(value[k])) for k in sorted(value, key=_KEY_ORDER)]
        return yaml.MappingNode("collection", pairs, flow_style=not pairs)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode("collection", [_node(v) for v in value], flow_style=not value)
    if isinstance(value, str):
        return _text(value)
    word = "null" if value is None else str(value).lower()
    return yaml.ScalarNode("text", word)


def _key_node(key: str) -> yaml.ScalarNode:
    """Without quotes `<<` would be a merge."""
    return _text(key) if key != "<<" else yaml.ScalarNode("text", key, style='"')


def _text(value: str) -> yaml.ScalarNode:
    """Plain where it reads back as the same text, a literal block where it has lines.

    Source: `stringv` in sigs.k8s.io/yaml `goyaml.v2/encode.go`; base 60 is quoted there too.
    """
    style = None
    if not isinstance(scalar(value), str) or _QUOTED.fullmatch(value) or _ODD.search(value):
        style = '"'
    elif "\n" in value:
        style = "|"
    return yaml.ScalarNode("text", value, style=style)


_QUOTED = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|\d{4}-\d\d?-\d\d?([Tt ].*)?")
_ODD = re.compile("[\r\x85\u2028\u2029\ufeff]|[\ud800-\udfff]")


def _before(a: str, b: str) -> int:
    """The order of keys in YAML: letters last, and digits by the number that they make.

    Source: `keyList.Less` in sigs.k8s.io/yaml `goyaml.v2/sorter.go`.
    """
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if at is None:
        return len(a) - len(b)
    x, y = a[at], b[at]
    if x.isalpha() and y.isalpha():
        return ord(x) - ord(y)
    if x.isalpha() or y.isalpha():
        after_digit = at > 0 and a[at - 1].isdecimal()
        return -1 if x.isalpha() == after_digit else 1
    run_a, run_b = _DIGITS.match(a, at), _DIGITS.match(b, at)
    assert run_a
    assert run_b
    significant = "0" in (x, y) and a[:at].rstrip("0")[-1:].isdecimal()
    lead = "1" if significant else "0"
    number_a, number_b = int(lead + run_a.group()[:30]), int(lead + run_b.group()[:30])
    return (number_a - number_b) or (run_a.end() - run_b.end()) or (ord(x) - ord(y))


_DIGITS = re.compile("[0-9]*")
_KEY_ORDER = cmp_to_key(_before)
