"""How the measurements are taken and printed."""

from __future__ import annotations

import tracemalloc
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


def peak(work: Callable[[], object]) -> float:
    """MB of Python objects at the peak of `work`, without what was there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def show(what: str, value: float, unit: str, wanted: str = "") -> None:
    print(f"{what:58} {value:9.1f} {unit:4} {wanted}", flush=True)
