"""The rewrite plugin: another name, type or TTL on the way in, and back on the way out.

Source: CoreDNS `plugin/rewrite/{name,reverter,ttl,type}.go` and its README.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec.structs import replace

from labkit.dns.message import Answer, Query, Record, fqdn, gave_up
from labkit.dns.plugin import Next

How = Literal["exact", "prefix", "suffix", "substring", "regex"]
Change = Callable[[Record], Record]

POINTING = ("CNAME", "NS", "PTR", "SRV", "MX")  # records whose last word is a name


class Swap(msgspec.Struct, frozen=True):
    """A pattern and what takes its place."""

    how: How
    old: str
    new: str

    def __call__(self, name: str) -> str | None:
        """The new name; None where the pattern does not fit."""
        match self.how:
            case "exact":
                return self.new if name == self.old else None
            case "prefix":
                fits = name.startswith(self.old)
                return self.new + name[len(self.old) :] if fits else None
            case "suffix":
                fits = name.endswith(self.old)
                return name[: len(name) - len(self.old)] + self.new if fits else None
            case "substring":
                return name.replace(self.old, self.new) if self.old in name else None
        found = re.search(self.old, name)
        return filled(self.new, found) if found else None

    @property
    def back(self) -> Swap:
        return Swap(self.how, self.new, self.old)


def filled(text: str, found: re.Match[str]) -> str:
    """`{1}.svc.cluster.local.` with the pattern's groups in place."""
    for number, group in enumerate((found[0], *found.groups())):
        text = text.replace(f"{{{number}}}", group or "")
    return text


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One `rewrite` directive. `names` and `values` change the answer's records back."""

    field: Literal["name", "type", "ttl", "class"]
    swap: Swap
    go_on: bool = False
    auto: bool = False
    names: tuple[Swap, ...] = ()
    values: tuple[Swap, ...] = ()
    ttl: tuple[int, int] = (0, 0)

    def question(self, query: Query) -> Query | None:
        """The question as it goes on; None where the rule does not apply."""
        if self.field == "type":
            new = self.swap(query.type)
            return replace(query, type=new) if new else None
        new = self.swap(query.key)
        if new is None or self.field == "class":
            return None
        return replace(query, name=fqdn(new)) if self.field == "name" else query

    def changes(self, before: Query) -> tuple[Change, ...]:
        """What is done to each record of the answer, in order."""
        if self.field == "ttl":
            low, high = self.ttl
            return (lambda r: replace(r, ttl=min(max(r.ttl, low), high)),)
        found: list[Change] = []
        if self.field == "name" and self.swap.how == "exact":
            # The very name that was asked, whatever its case.
            found.append(lambda r: _renamed(r, Swap("exact", self.swap.new, before.name)))
        elif self.auto:
            found.append(lambda r: _renamed(r, self.swap.back))
        found += [lambda r, s=swap: _renamed(r, s) for swap in self.names]  # type: ignore[misc]
        found += [lambda r, s=swap: _revalued(r, s) for swap in self.values]  # type: ignore[misc]
        return tuple(found)


def _renamed(record: Record, swap: Swap) -> Record:
    new = swap(record.name.lower())
    return record if new is None else replace(record, name=fqdn(new))


def _revalued(record: Record, swap: Swap) -> Record:
    if record.type not in POINTING:
        return record
    head, space, target = record.data.rpartition(" ")
    new = swap(target.lower())
    return record if new is None else replace(record, data=head + space + fqdn(new))


class Rewrite(msgspec.Struct, frozen=True):
    """All `rewrite` directives of a server block; the first that fits stops, unless told."""

    rules: tuple[Rule, ...]
    name: str = "rewrite"

    def __call__(self, query: Query, next_: Next) -> Answer:
        changes: list[Change] = []
        for rule in self.rules:
            new = rule.question(query)
            if new is None:
                continue
            if any(len(label) > 63 for label in new.name.split(".")):
                return gave_up("SERVFAIL", f"invalid name after rewrite: {new.name}")
            changes += rule.changes(query)
            if new != query:
                next_.did(f"asks for {new.name} {new.type} instead")
            query = new
            if not rule.go_on:
                break
        answer = next_(query)
        if not changes:
            return answer
        return msgspec.structs.replace(
            answer,
            answer=_changed(answer.answer, changes),
            authority=_changed(answer.authority, changes),
            additional=_changed(answer.additional, changes),
            written=True,
        )


def _changed(records: tuple[Record, ...], changes: list[Change]) -> tuple[Record, ...]:
    found = []
    for record in records:
        for change in changes:
            record = change(record)
        found.append(record)
    return tuple(found)
