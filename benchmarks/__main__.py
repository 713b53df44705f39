"""`make bench`: what the lab costs here, best of a few runs, beside a yardstick of the same run."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

from benchmarks.clusters import workloads
from labkit import Cluster, scenario


def best(work: Callable[[], object], runs: int = 5) -> float:
    """Seconds of the quickest of `runs` runs: the least disturbed one."""
    times = []
    for _ in range(runs):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def fresh_python(code: str) -> float:
    """Seconds that a new Python needs for `code`, start included."""
    return best(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def peak_memory(code: str) -> float:
    """MB at the peak of a new Python that ran `code`."""
    tail = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tail}"], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1]) / 1024


def show(what: str, value: float, unit: str, wanted: str) -> None:
    print(f"{what:58} {value:9.1f} {unit:4} {wanted}")


def main() -> None:
    bare = fresh_python("import msgspec, yaml")
    show("python with msgspec and PyYAML", bare * 1e3, "ms", "the yardstick")
    extra = fresh_python("import labkit; labkit.Cluster") - bare
    show("  and labkit.Cluster on top", extra * 1e3, "ms", "wanted under 60")
    small = workloads(18, 1)
    load = best(lambda: Cluster.from_manifests(small))
    show("36 objects loaded and settled", load * 1e3, "ms", "wanted under 500")
    large = workloads(25, 20)
    load = best(lambda: Cluster.from_manifests(large), runs=3)
    show("25 Deployments of 20 pods loaded and settled", load * 1e3, "ms", "wanted under 300")
    lab = scenario("shop")
    lab.trace("pod/frontend", "svc/backend:80")
    once = best(lambda: [lab.trace("pod/frontend", "svc/backend:80") for _ in range(50)]) / 50
    show("one trace across two nodes", once * 1e3, "ms", "wanted under 2")
    first = peak_memory(
        "from labkit import scenario; scenario('shop').trace('pod/frontend', 'svc/backend:80')"
    )
    show("memory after one trace, without a kernel", first, "MB", "")
    show(
        "memory of these measurements",
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "MB",
        "",
    )


if __name__ == "__main__":
    main()
