"""Words of a Corefile read as zones, numbers and durations; a wrong one is refused."""

from __future__ import annotations

import re
from typing import NamedTuple

from labkit.dns.corefile import Line
from labkit.dns.message import fqdn, zones_of

DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+")
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
EVERYWHERE = (".",)


class Site(NamedTuple):
    """The server block that a plugin is set up in: its zones, and its name."""

    zones: tuple[str, ...]
    label: str


def zones(words: tuple[str, ...], line: Line, site: Site) -> tuple[str, ...]:
    """The zones that follow a plugin's name, else those of the server block."""
    try:
        return tuple(z for word in words for z in zones_of(word)) or site.zones
    except ValueError:
        raise line.wrong(f"`{' '.join(words)}` is no list of zones") from None


def whole(word: str, line: Line, low: int, high: int) -> int:
    """A number in a range."""
    if not word.isdecimal() or not low <= int(word) <= high:
        raise line.wrong(f"`{word}` is no number from {low} to {high}")
    return int(word)


def seconds(word: str, line: Line) -> float:
    """`5s`, `1m30s`; a bare number is seconds."""
    if word.isdecimal():
        return float(word)
    if not DURATION.fullmatch(word):
        raise line.wrong(f"`{word}` is no duration; write for example 5s or 1m30s")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", word)
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def one(line: Line) -> str:
    """The only word behind a name."""
    if len(line.args) != 1:
        raise line.wrong(f"`{line.name}` takes one word, not {len(line.args)}")
    return line.args[0]


def no_more(line: Line, most: int = 0) -> None:
    if len(line.args) > most:
        raise line.wrong(f"`{line.args[most]}` is one word too many behind `{line.name}`")


def only(line: Line, *known: str) -> None:
    """No options in the block but these."""
    for option in line.block:
        if option.name not in known:
            line_of = option if known else line
            if not known:
                raise line_of.wrong(f"`{line.name}` has no options; take `{option.name}` out")
            option.unknown(f"option of {line.name}", option.name, known)


def fall(option: Line) -> tuple[str, ...]:
    """`fallthrough [ZONES...]`: without zones, everything."""
    return tuple(fqdn(word.lower()) for word in option.args) or EVERYWHERE
