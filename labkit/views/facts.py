"""Facts that go out of date: each with its source and the day on which it was looked up."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from labkit.api.datafiles import data_file
from labkit.errors import NotFound
from labkit.views.figure import Figure
from labkit.views.svg import clean


class Fact(msgspec.Struct, frozen=True):
    """`releases` is what happens in which minor release; `date` is when it was looked up."""

    id: str
    says: str
    source: str
    date: str
    releases: Mapping[str, str]


def known() -> Mapping[str, Fact]:
    """All facts of `data/facts.json`, by id."""
    rows = json.loads(data_file("facts.json").read_text("utf-8"))
    return {fact.id: fact for fact in msgspec.convert(rows, list[Fact])}


def facts(*ids: str) -> Figure:
    """What happens in which release, then the facts in words, with source and date.

    Raises:
        NotFound: the lab has no fact of that number.
    """
    table = known()
    for id_ in ids:
        if id_ not in table:
            raise NotFound(f"facts: there is no {id_!r}; there are {', '.join(table)}")
    asked = [table[id_] for id_ in ids]
    rows = timeline(asked)
    latest = max(fact.date for fact in asked)
    title = f"{len(asked)} facts, looked up by {latest}."
    if len(asked) == 1:
        title = f"A fact, looked up on {latest}."
    return Figure(title, twin(asked, rows), below=_html(asked, rows))


def timeline(asked: list[Fact]) -> list[tuple[str, str]]:
    """(release, what happens in it), in the order of the releases."""
    rows = [(release, what) for fact in asked for release, what in fact.releases.items()]
    return sorted(rows, key=lambda row: tuple(map(int, row[0].split("."))))


def twin(asked: list[Fact], rows: list[tuple[str, str]]) -> str:
    return "\n".join([
        *(f"{fact.says} Source: {fact.source}; {fact.date}." for fact in asked),
        *(f"{release}: {what}." for release, what in rows),
    ])  # fmt: skip


def _paragraph(fact: Fact) -> str:
    source = f"<small>{clean(fact.source)}; {fact.date}</small>"
    return f"<p class='says'>{clean(fact.says)}<br>{source}</p>"


def _html(asked: list[Fact], rows: list[tuple[str, str]]) -> str:
    told = "".join(map(_paragraph, asked))
    if not rows:
        return told
    head = "<thead><tr><th scope='col' style='width:12%'>release</th><th scope='col'>what</th></tr>"
    by_release: dict[str, list[str]] = {}
    for release, what in rows:
        by_release.setdefault(release, []).append(clean(what))
    body = (
        f"<tr><th scope='row'><b>{release}</b></th><td>{'<br>'.join(what)}</td></tr>"
        for release, what in by_release.items()
    )
    return f"{told}<table class='releases'>{head}</thead><tbody>{''.join(body)}</tbody></table>"
