"""Policies as ticks beside one matrix: any choice of them, applied in any order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from labkit.cluster import Cluster
from labkit.views.discs import words
from labkit.views.sheets import Sheet, board
from labkit.views.svg import clean

if TYPE_CHECKING:
    from labkit.policy.reach import Reach
    from labkit.views.board import Matrix


def union(lab: Cluster, policies: Mapping[str, str], port: int) -> Matrix:
    """A matrix with a tick for each policy, and a button that applies them in another order.

    Every order of every choice is really applied to a fork of `lab`, which stays as it is.

    Args:
        policies: name of the tick -> manifest; three make 16 sheets, four 65.
        port: of the receiver.

    Raises:
        LabError: a manifest is refused.
    """
    sheets = list(_sheets(lab, policies, port))
    return board(sheets, boxes=tuple(policies), label="Applied:", again="Apply in another order")


def _sheets(lab: Cluster, policies: Mapping[str, str], port: int) -> Iterator[Sheet]:
    for count in range(len(policies) + 1):
        for chosen in combinations(policies, count):
            mask = sum(1 << n for n, name in enumerate(policies) if name in chosen)
            orders = list(permutations(chosen))
            found = [_applied(lab, policies, order, port) for order in orders]
            same = len({words(sheet) for sheet in found}) == 1
            for order, reach in zip(orders, found, strict=True):
                says = _says(order, len(orders), same)
                above = f"<p class='says'>{clean(says)}</p>"
                yield Sheet(", then ".join(order) or "no policy", reach, above, mask, says)


def _applied(lab: Cluster, policies: Mapping[str, str], order: tuple[str, ...], port: int) -> Reach:
    fork = lab.fork()
    for name in order:
        fork.apply(policies[name])
    return fork.reachability(port)


def _says(order: tuple[str, ...], orders: int, same: bool) -> str:
    if not order:
        return "No policy is applied."
    first = f"Applied {', then '.join(order)}."
    if orders == 1:
        return first
    result = "the same matrix" if same else "not always the same matrix"
    return f"{first} In {'both' if orders == 2 else f'all {orders}'} orders: {result}."
