"""`rewrite` directives, read.

Source: CoreDNS `plugin/rewrite/{setup,rewrite,name}.go`.
"""

from __future__ import annotations

import re
from typing import Any

from labkit.dns.corefile import Line
from labkit.dns.message import fqdn
from labkit.dns.reading import whole
from labkit.dns.rewriting import Rule, Swap

HOWS = ("exact", "prefix", "suffix", "substring", "regex")


def rewrite(line: Line) -> Rule:
    """`rewrite [continue|stop] FIELD [HOW] FROM TO [answer ...]`; a block's lines belong to it."""
    words = [*line.args, *(word for inner in line.block for word in inner.words)]
    go_on = words[:1] == ["continue"]
    words = words[1:] if words[:1] in (["continue"], ["stop"]) else words
    field, *rest = words or [""]
    match field, rest:
        case "name", [how, old, new, *options] if how in HOWS:
            return _name_rule(line, how, (old, new), options, go_on)
        case "name", [old, new]:
            return _name_rule(line, "exact", (old, new), [], go_on)
        case "type" | "class", [old, new]:
            swap = Swap("exact", old.upper(), new.upper())
            return Rule(field=field, swap=swap, go_on=go_on)
        case "ttl", [how, name, ttl] if how in HOWS:
            return _ttl_rule(line, how, name, ttl, go_on)
        case "ttl", [name, ttl]:
            return _ttl_rule(line, "exact", name, ttl, go_on)
        case "edns0" | "cname" | "rcode", _:
            raise line.wrong(f"the lab does not rewrite {field}; it has name, type and ttl")
        case "name" | "type" | "class" | "ttl", _:
            raise line.wrong(f"`rewrite {' '.join(words)}`: write rewrite {field} FROM TO")
    line.unknown("field of rewrite", field, ("name", "type", "class", "ttl"))


def _name_rule(line: Line, how: Any, pair: tuple[str, str], more: list[str], go_on: bool) -> Rule:
    names: list[Swap] = []
    values: list[Swap] = []
    auto = False
    while more:
        match more:
            case ["answer", "auto", *rest]:
                auto = True
                if how not in ("exact", "prefix", "suffix"):
                    raise line.wrong("`answer auto` goes with exact, prefix and suffix only")
            case ["answer", "name" | "value" as what, old, new, *rest]:
                target = names if what == "name" else values
                target.append(Swap("regex", _pattern(old, line), new))
            case _:
                raise line.wrong(f"`{' '.join(more)}`: write answer auto or answer name FROM TO")
        more = rest
    return Rule(
        field="name",
        swap=_swap(line, how, *pair),
        go_on=go_on,
        auto=auto,
        names=tuple(names),
        values=tuple(values),
    )


def _ttl_rule(line: Line, how: Any, name: str, ttl: str, go_on: bool) -> Rule:
    low, dash, high = ttl.partition("-")
    least = whole(low or "0", line, 0, 2**31 - 1)
    most = whole(high or str(2**31 - 1), line, 0, 2**31 - 1) if dash else least
    return Rule(field="ttl", swap=_swap(line, how, name, ""), go_on=go_on, ttl=(least, most))


def _swap(line: Line, how: Any, old: str, new: str) -> Swap:
    if how == "regex":
        return Swap(how, _pattern(old, line), new)
    old, new = old.lower(), new.lower()
    if how in ("exact", "suffix"):
        return Swap(how, fqdn(old), fqdn(new))
    return Swap(how, old, new)


def _pattern(text: str, line: Line) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise line.wrong(f"`{text}` is no regular expression: {error}") from None
    return text
