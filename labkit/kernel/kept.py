"""Values that are computed from a frozen value once and kept beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Owner = TypeVar("Owner")
Result = TypeVar("Result")


def kept(owner: Owner, name: str, compute: Callable[[Owner], Result]) -> Result:
    """`compute(owner)`, computed on the first call only.

    The owner is frozen, so its result cannot change; it lives as long as the owner. The
    owner's type is declared with `dict=True`.
    """
    memory: dict[str, Any] = owner.__dict__
    if name not in memory:
        memory[name] = compute(owner)
    result: Result = memory[name]
    return result
