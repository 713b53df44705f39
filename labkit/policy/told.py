"""A `Reach` in words: the receivers that somebody cannot reach, and who can and who cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.policy.matcher import Verdict

if TYPE_CHECKING:
    from labkit.policy.reach import Reach

MOST_NAMES, MOST_RECEIVERS = 8, 40


def told(reach: Reach) -> str:
    """The count of pairs, then a paragraph for each receiver that is closed to somebody."""
    names, count = reach.names, len(reach.pods) ** 2
    shut = count - reach.open_pairs
    head = f"Policy verdicts on {reach.protocol} {reach.port}: {count} pairs"
    if not shut:
        return f"{head}, all open."
    guarded = [j for j in range(len(names)) if not all(_column(reach, j))]
    lines = [f"{head}, {reach.open_pairs} open, {shut} closed."]
    for j in guarded[:MOST_RECEIVERS]:
        lines += [f"into {names[j]}", *_senders(reach, names, j)]
    if len(guarded) > MOST_RECEIVERS:
        lines.append(f"and {len(guarded) - MOST_RECEIVERS} more receivers are closed to somebody")
    return "\n".join(lines)


def _column(reach: Reach, j: int) -> list[bool]:
    return [reach.open(i, j) for i in range(len(reach.pods))]


def _senders(reach: Reach, names: tuple[str, ...], j: int) -> list[str]:
    column = _column(reach, j)
    open_to = [n + " (itself)" * (i == j) for i, n in enumerate(names) if column[i]]
    closed = [i for i in range(len(names)) if not column[i]]
    shown = [f"{names[i]}{who(reach.why(i, j))}" for i in closed[:MOST_NAMES]]
    return [
        f"  open to    {some(open_to)}",
        f"  closed to  {some(shown, len(closed))}",
    ]


def who(verdict: Verdict) -> str:
    """Which end does not agree, where it is not the receiver alone."""
    if verdict.leaving.allowed:
        return ""
    return " (may not send)" if verdict.entering.allowed else " (neither end agrees)"


def some(names: list[str], count: int | None = None) -> str:
    """At most eight names, and how many more there are."""
    count = len(names) if count is None else count
    more = f" and {count - MOST_NAMES} more" if count > MOST_NAMES else ""
    return (", ".join(names[:MOST_NAMES]) or "nobody") + more
