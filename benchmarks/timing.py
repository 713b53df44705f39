"""How the measurements are taken and printed."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter


def best(work: Callable[[], object], runs: int = 5) -> float:
    """Seconds of the quickest of `runs` runs: the least disturbed one."""
    times = []
    for _ in range(runs):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def show(what: str, value: float, unit: str, wanted: str = "") -> None:
    print(f"{what:58} {value:9.1f} {unit:4} {wanted}", flush=True)
