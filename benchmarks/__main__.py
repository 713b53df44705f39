"""`make bench`: what the lab costs here, best of a few runs, beside a yardstick of the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from benchmarks import loads, names, policies, services
from benchmarks.clusters import workloads
from benchmarks.timing import best, show
from labkit import Cluster, scenario

FIRST_LESSON = next((Path(__file__).parents[1] / "notebooks").glob("L00-*.ipynb"))


def fresh_python(code: str) -> float:
    """Seconds that a new Python needs for `code`, start included."""
    return best(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def peak_memory(code: str) -> float:
    """MB at the peak of a new Python that ran `code`."""
    tail = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    command = [sys.executable, "-c", f"{code}\n{tail}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


def strict(path: Path) -> float:
    """Seconds of strict nbval on one notebook."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval"]
    command += ["--nbval-current-env", str(path)]
    return best(lambda: subprocess.run(command, check=True, capture_output=True), runs=2)


def start_and_size() -> None:
    bare = fresh_python("import msgspec, yaml")
    show("python with msgspec and PyYAML", bare * 1e3, "ms", "the yardstick")
    extra = fresh_python("import msgspec, yaml, labkit") - bare
    show("  import labkit on top", extra * 1e3, "ms", "wanted under 60")
    first = fresh_python("import msgspec, yaml, labkit; labkit.Cluster") - bare
    show("  the first use of labkit.Cluster on top", first * 1e3, "ms")
    trace = "from labkit import scenario; scenario('shop').trace('pod/frontend', 'svc/backend:80')"
    show("memory after one trace, without a kernel", peak_memory(trace), "MB")


def clusters() -> None:
    small = workloads(18, 1)
    show("36 objects settled", best(lambda: Cluster.from_manifests(small)) * 1e3, "ms", "under 500")
    large = workloads(25, 20)
    settled = best(lambda: Cluster.from_manifests(large), runs=3)
    show("25 Deployments of 20 pods settled", settled * 1e3, "ms", "under 300")


def packets() -> None:
    lab = scenario("shop")
    lab.trace("pod/frontend", "svc/backend:80")
    once = best(lambda: [lab.trace("pod/frontend", "svc/backend:80") for _ in range(50)]) / 50
    show("one trace across two nodes", once * 1e3, "ms", "under 2")


def notebooks() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABKIT_PROGRESS"] = folder
        empty = Path(folder, "empty.ipynb")
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), empty)
        bare = strict(empty)
        show("strict nbval of an empty notebook", bare, "s", "the yardstick")
        show("  and of L00 on top", strict(FIRST_LESSON) - bare, "s", "wanted under 1")


if __name__ == "__main__":
    for part in (
        start_and_size,
        clusters,
        packets,
        services.measure,
        policies.measure,
        names.measure,
        loads.measure,
        notebooks,
    ):
        part()
