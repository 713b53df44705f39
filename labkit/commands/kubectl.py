"""`kubectl` as a function: the lines that a learner knows, on the lab's cluster."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.commands import kubectl_read, kubectl_rollout, kubectl_run, kubectl_write
from labkit.commands.arguments import Refused, Request, in_kubectls_words, parse
from labkit.commands.output import Output
from labkit.errors import CommandError, Conflict, Exhausted, ManifestError, NotFound
from labkit.given import checked

if TYPE_CHECKING:
    from labkit.cluster import Cluster

Verb = Callable[["Cluster", Request, str | None], Output]

VERBS: dict[str, Verb] = {
    "get": kubectl_read.get,
    "describe": kubectl_read.describe_verb,
    "config": kubectl_read.config,
    "apply": kubectl_write.apply,
    "delete": kubectl_write.delete,
    "label": kubectl_write.label,
    "scale": kubectl_write.scale,
    "rollout": kubectl_rollout.rollout,
    "run": kubectl_run.run,
    "exec": kubectl_run.exec_,
    "logs": kubectl_run.logs,
}

READING = ("get", "describe", "exec", "run", "logs")
"""Verbs that ask; the others change."""


@checked
def kubectl(lab: Cluster, line: str, stdin: str | None = None) -> Output:
    """What kubectl prints for a line such as `get pods -o wide`; a leading `kubectl` is allowed.

    `stdin` is what `-f -` reads. What kubectl refuses comes back as its text, with an exit
    code.

    Raises:
        CommandError: the lab does not model what the line asks for.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise CommandError(f"kubectl {line}: {str(error).lower()}; close the quotes") from None
    if words[:1] == ["kubectl"]:
        words = words[1:]
    try:
        request = parse(words)
        before = len(lab.asked)
        output = VERBS[request.verb](lab, request, stdin)
        lab.asked[before:] = [f"kubectl {shlex.join(words)}"] if request.verb in READING else []
        return output
    except Refused as refused:
        return Output(refused.text, refused.exit_code)
    except (ManifestError, Conflict, Exhausted, NotFound) as error:
        return Output(in_kubectls_words(error), 1)
