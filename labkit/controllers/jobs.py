"""Job -> Pod: `parallelism` pods at once.

*The lab simplifies*: no process of the lab ever ends by itself, so a Job stays active.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from labkit.api.apps import Job
from labkit.api.state import State, key_of
from labkit.api.store import Delete, Write
from labkit.controllers.owned import active_pods, first_to_go, fresh_names, stencil


def jobs(state: State) -> Iterator[Write]:
    for job in state.list(Job):
        pods = active_pods(state, job)
        done = job.status.succeeded
        wanted = min(job.spec.parallelism, max((job.spec.completions or 1) - done, 0))
        if len(pods) < wanted:
            template = stencil(job)
            names = fresh_names(state, "Pod", job.namespace, job.name)
            yield from (template.pod(name, labels={}) for name in islice(names, wanted - len(pods)))
        elif len(pods) > wanted:
            surplus = first_to_go(state, job, pods)[: len(pods) - wanted]
            yield from (Delete(key_of(pod)) for pod in surplus)
