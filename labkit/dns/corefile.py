"""The Corefile: server blocks, their plugins, snippets and imports, as the file spells them.

Source: the Caddyfile syntax of `github.com/coredns/caddy/caddyfile`; README of CoreDNS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple, NoReturn

import msgspec

from labkit.errors import LabError

PORTS = {"dns": 53, "tls": 853, "https": 443, "https3": 443, "quic": 853, "grpc": 443}
MOST_IMPORTS = 20  # nested ones; more is a file that imports itself

VARIABLE = re.compile(r"\{\$(\w+)\}|\{%(\w+)%\}")


class CorefileError(LabError):
    """CoreDNS would not start with this Corefile; one line: file and line, fault, cure.

    `logged` is what CoreDNS itself writes, where the lab knows its words.
    """

    def __init__(self, words: str, logged: str = "") -> None:
        super().__init__(words)
        self.logged = logged or words


class Line(msgspec.Struct, frozen=True):
    """A directive or an option of one: its words, and the lines of its block."""

    words: tuple[str, ...]
    file: str
    number: int
    block: tuple[Line, ...] = ()

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def args(self) -> tuple[str, ...]:
        return self.words[1:]

    def wrong(self, fault: str) -> CorefileError:
        return CorefileError(f"{self.file}:{self.number}: {fault}")

    def unknown(self, what: str, word: str, there: Iterator[str] | tuple[str, ...]) -> NoReturn:
        """An error that names the nearest of what there is."""
        raise self.wrong(_unknown(what, word, there))

    def unknown_directive(self, there: tuple[str, ...]) -> NoReturn:
        """As `unknown`; CoreDNS knows no nearest. Source: coredns/coredns#3783."""
        place = f"{self.file}:{self.number}"
        logged = f"/etc/coredns/{place} - Error during parsing: Unknown directive '{self.name}'"
        raise CorefileError(f"{place}: {_unknown('directive', self.name, there)}", logged)


def _unknown(what: str, word: str, there: Iterator[str] | tuple[str, ...]) -> str:
    names = sorted(there)
    near = get_close_matches(word, names, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(names)}"
    return f"unknown {what} `{word}`; {hint}"


class Key(NamedTuple):
    """Where a server block listens: `.:53`, `tls://example.org`."""

    transport: str
    zone: str
    port: int


class ServerBlock(msgspec.Struct, frozen=True):
    keys: tuple[str, ...]
    directives: tuple[Line, ...]
    head: Line


class Word(NamedTuple):
    text: str
    line: int
    quoted: bool = False


def parse(
    text: str,
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    name: str = "Corefile",
) -> tuple[ServerBlock, ...]:
    """The server blocks, with imports in place and variables filled in.

    Args:
        files: what `import NAME` finds beside the file.
        environment: what `{$NAME}` stands for; an unset name stands for nothing.

    Raises:
        CorefileError: file and line, the fault and a cure.
    """
    reader = _Reader(files or {}, environment or {})
    return tuple(reader.blocks(name, text))


# --- words -----------------------------------------------------------------------------------


def words(text: str) -> Iterator[Word]:
    """Words as Caddy cuts them: `"two words"` is one, `#` before a word starts a comment."""
    line, at = 1, 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            line += char == "\n"
            at += 1
        elif char == "#":
            at = _end_of_line(text, at)
        elif char == '"':
            found, end = _quoted(text, at + 1)
            yield Word(found, line, quoted=True)
            line += text.count("\n", at, end)
            at = end
        else:
            end = at
            while end < len(text) and not text[end].isspace():
                end += 1
            yield Word(text[at:end], line)
            at = end


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The text up to the closing quote, and where reading goes on; `\\"` is a quote."""
    found = []
    while at < len(text) and text[at] != '"':
        if text.startswith('\\"', at):
            at += 1
        found.append(text[at])
        at += 1
    return "".join(found), at + 1


# --- lines and blocks ------------------------------------------------------------------------


class _Reader:
    """Reads one Corefile with all that it imports; snippets count from where they stand on."""

    def __init__(self, files: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self.files = files
        self.environment = environment
        self.snippets: dict[str, tuple[Line, ...]] = {}

    def blocks(self, file: str, text: str, depth: int = 0) -> Iterator[ServerBlock]:
        lines = self._lines(file, text)
        while lines:
            head = lines.pop(0)
            if head.name == "import":
                for path in self._imported_files(head, depth):
                    yield from self.blocks(path, self.files[path], depth + 1)
                continue
            while head.words[-1].endswith(",") and lines:
                more = lines.pop(0)
                head = Line(head.words + more.words, file, head.number, more.block)
            if not head.block and lines and not any(line.block for line in lines):
                head, lines = Line(head.words, file, head.number, tuple(lines)), []
            directives = tuple(self._with_imports(head.block, depth))
            keys = tuple(k for word in head.words for k in word.split(",") if k)
            if len(keys) == 1 and keys[0].startswith("(") and keys[0].endswith(")"):
                self.snippets[keys[0][1:-1]] = directives
                continue
            yield ServerBlock(keys, directives, head)

    def _with_imports(self, lines: tuple[Line, ...], depth: int) -> Iterator[Line]:
        for line in lines:
            if line.name != "import":
                inner = tuple(self._with_imports(line.block, depth))
                yield Line(line.words, line.file, line.number, inner)
            elif len(line.args) == 1 and line.args[0] in self.snippets:
                yield from self.snippets[line.args[0]]
            else:
                for path in self._imported_files(line, depth):
                    inner = tuple(self._lines(path, self.files[path]))
                    yield from self._with_imports(inner, depth + 1)

    def _imported_files(self, line: Line, depth: int) -> tuple[str, ...]:
        """The files of `import NAME` or `import custom/*.server`; a pattern may match none."""
        if len(line.args) != 1:
            raise line.wrong("`import` takes one name; write import SNIPPET or import FILE")
        name = line.args[0]
        if depth >= MOST_IMPORTS:
            raise line.wrong(f"`{name}` imports itself; take one import out")
        if "*" in name:
            pattern = re.compile(".*".join(re.escape(part) for part in name.split("*")))
            return tuple(sorted(path for path in self.files if pattern.fullmatch(path)))
        if name not in self.files:
            line.unknown("snippet or file", name, (*self.snippets, *self.files, f"({name})"))
        return (name,)

    def _lines(self, file: str, text: str) -> list[Line]:
        """Words of one line each; the lines of a block within the line that opens it."""
        open_: list[tuple[tuple[str, ...], int, list[Line]]] = [((), 0, [])]
        for number, row in _rows(text):
            texts = [word.text for word in row]
            plain = [word.text for word in row if not word.quoted]
            if texts == ["}"] and plain:
                if len(open_) == 1:
                    raise Line((), file, number).wrong("`}` closes nothing; take it out")
                head, line, inner = open_.pop()
                open_[-1][2].append(Line(head, file, line, tuple(inner)))
                continue
            if "}" in plain:
                raise Line((), file, number).wrong("`}` must stand on a line of its own")
            filled = tuple(self._filled(word) for word in texts)
            if plain and row[-1] == (plain[-1], row[-1].line, False) and plain[-1] == "{":
                if len(texts) == 1:
                    raise Line((), file, number).wrong("`{` stands alone; put it behind a name")
                open_.append((filled[:-1], number, []))
            elif "{" in plain:
                raise Line((), file, number).wrong("`{` must end its line; go on in the next")
            else:
                open_[-1][2].append(Line(filled, file, number))
        if len(open_) > 1:
            head, line, _ = open_[-1]
            raise Line(head, file, line).wrong(f"the block of `{' '.join(head)}` has no `}}`")
        return open_[0][2]

    def _filled(self, word: str) -> str:
        return VARIABLE.sub(lambda m: self.environment.get(m[1] or m[2], ""), word)


def _rows(text: str) -> Iterator[tuple[int, list[Word]]]:
    """The words of each line, with its number; a line ends where the last word began."""
    row: list[Word] = []
    for word in words(text):
        if row and word.line != row[-1].line:
            yield row[0].line, row
            row = []
        row.append(word)
    if row:
        yield row[0].line, row


def key_of(text: str, head: Line) -> Key:
    """`dns://.:53` -> (dns, `.`, 53); a range of addresses stays as it is."""
    transport, separator, place = text.partition("://")
    if not separator:
        transport, place = "dns", text
    if transport not in PORTS:
        head.unknown("transport", transport, tuple(PORTS))
    zone, colon, port = place.rpartition(":")
    if not colon or not port.isdecimal() or (":" in zone and "/" not in place):
        zone, port = place, ""
    number = int(port or PORTS[transport])
    if not 0 < number < 65536 or not zone:
        raise head.wrong(f"`{text}` is no zone with a port; write for example `.:53`")
    return Key(transport, zone.lower(), number)
