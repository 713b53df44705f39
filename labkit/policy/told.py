"""A `Reach` in words: the receivers that somebody cannot reach, and who can and who cannot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from labkit.api.names import workloads
from labkit.policy.matcher import Verdict

if TYPE_CHECKING:
    from labkit.policy.reach import Reach

Members = tuple[tuple[int, ...], ...]
MOST = 40  # pods that are told one by one, and receivers that are told at all
MOST_NAMES = 8


def told(reach: Reach) -> str:
    """The count of pairs, then a paragraph for each receiver that is closed to somebody."""
    count = len(reach.pods) ** 2
    shut = count - reach.open_pairs
    head = f"Policy verdicts on {reach.protocol} {reach.port}: {count} pairs"
    if not shut:
        return f"{head}, all open."
    members = groups(reach)
    called = _called(reach, members)
    guarded = [j for j in range(len(members)) if not all(_column(reach, members, j))]
    lines = [f"{head}, {reach.open_pairs} open, {shut} closed."]
    for j in guarded[:MOST]:
        lines += [f"into {called[j]}", *_senders(reach, members, called, j)]
    if len(guarded) > MOST:
        lines.append(f"and {len(guarded) - MOST} more receivers are closed to somebody")
    return "\n".join(lines)


def brief(reach: Reach) -> str:
    """The same in one line, for who knows the pods; receivers that are open alike stand together.

    `22 of 25 pairs are open. Into default/db: only default/backend.`
    """
    members = groups(reach)
    called = _called(reach, members)
    alike: dict[str, list[str]] = {}
    for j in range(len(members)):
        if not all(_column(reach, members, j)):
            alike.setdefault(_visitors(reach, members, called, j), []).append(called[j])
    count = len(reach.pods) ** 2
    head = f"{reach.open_pairs} of {count} pairs are open." if alike else "All pairs are open."
    return " ".join([head, *(f"Into {some(into)}: {whom}." for whom, into in alike.items())])


def _visitors(reach: Reach, members: Members, called: list[str], j: int) -> str:
    """`only default/backend`, `all but default/frontend (may not send)`, or `nobody`."""
    column = _column(reach, members, j)
    itself = {j} if len(members[j]) == 1 and reach.reading.itself else set()
    others = [i for i in range(len(members)) if i not in itself]
    enters = [called[i] for i in others if column[i]]
    reasons = {i: who(reach.why(*pair(members, i, j))) for i in others if not column[i]}
    if len(reasons) < len(enters):
        return f"all but {some([f'{called[i]}{why}' for i, why in reasons.items()])}"
    silent = [f"{called[i]}{why}" for i, why in reasons.items() if why]
    barred = f"; of the others: {some(silent)}" if silent else ""
    return (f"only {some(enters)}" if enters else "nobody") + barred


def pair(members: Members, i: int, j: int) -> tuple[int, int]:
    """The pods that speak for two groups; two different ones where a group has two."""
    return members[i][0], members[j][-1 if i == j else 0]


def _called(reach: Reach, members: Members) -> list[str]:
    """The names of the groups, with how many pods each has where that is more than one."""
    names = zip(group_names(reach, members), members, strict=True)
    return [f"{n} x{len(ks)}" if len(ks) > 1 else n for n, ks in names]


def _column(reach: Reach, members: Members, j: int) -> list[bool]:
    return [reach.open(*pair(members, i, j)) for i in range(len(members))]


def _senders(reach: Reach, members: Members, called: list[str], j: int) -> list[str]:
    column, alone = _column(reach, members, j), len(members[j]) == 1
    open_to = [n + " (itself)" * (i == j and alone) for i, n in enumerate(called) if column[i]]
    closed = [i for i in range(len(called)) if not column[i]]
    shown = [f"{called[i]}{who(reach.why(*pair(members, i, j)))}" for i in closed[:MOST_NAMES]]
    return [
        f"  open to    {some(open_to)}",
        f"  closed to  {some(shown, len(closed))}",
    ]


def who(verdict: Verdict) -> str:
    """Which end does not agree, where it is not the receiver alone."""
    if verdict.leaving.allowed:
        return ""
    return " (may not send)" if verdict.entering.allowed else " (neither end agrees)"


def some(names: Sequence[str], count: int | None = None) -> str:
    """At most eight names, and how many more there are."""
    count = len(names) if count is None else count
    more = f" and {count - MOST_NAMES} more" if count > MOST_NAMES else ""
    return (", ".join(names[:MOST_NAMES]) or "nobody") + more


# --- equal pods as one -----------------------------------------------------------------------


def groups(reach: Reach, others: Iterable[Reach] = ()) -> Members:
    """The numbers of the pods that are told as one: up to 40 pods each stands for itself.

    More are grouped: pods that no policy can tell apart, here and in the others, have equal
    rows, so one may stand for all and the counts stay exact.
    """
    count, all_ = len(reach.pods), (reach, *others)
    if count <= MOST:
        return tuple((n,) for n in range(count))
    found: dict[tuple[int, ...], list[int]] = {}
    for n in range(count):
        found.setdefault(tuple(r.class_of[n] for r in all_), []).append(n)
    return tuple(map(tuple, found.values()))


def group_names(reach: Reach, members: Members) -> tuple[str, ...]:
    """A pod's own name; a group goes by its workload's where that is no other row's name."""
    titles = reach.names
    owner = {
        (pod.namespace, pod.name): f"{space}/{name}"
        for (space, name), pods in workloads(reach.state).items()
        for pod in pods
    }
    wanted = [
        titles[ks[0]]
        if len(ks) == 1
        else owner.get((reach.pods[ks[0]].namespace, reach.pods[ks[0]].name), titles[ks[0]])
        for ks in members
    ]
    return tuple(
        name if wanted.count(name) == 1 else titles[ks[0]]
        for name, ks in zip(wanted, members, strict=True)
    )
