"""`kubectl rollout status` and `kubectl rollout restart`, of Deployments.

Source: Kubernetes `kubectl/pkg/polymorphichelpers/{rollout_status,objectrestarter}.go`,
`kubectl/pkg/cmd/rollout/rollout_restart.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from labkit.api.apps import Deployment
from labkit.api.objects import encode
from labkit.api.times import stamp
from labkit.commands.arguments import Refused, Request
from labkit.commands.kubectl_read import namespace_of
from labkit.commands.output import Output
from labkit.commands.resources import find
from labkit.errors import CommandError

if TYPE_CHECKING:
    from labkit.cluster import Cluster

RESTARTED = "kubectl.kubernetes.io/restartedAt"
TOO_SOON = (
    "if restart has already been triggered within the past second, please wait before "
    "attempting to trigger another"
)


def rollout(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl rollout status deployment/web`, `kubectl rollout restart deployment web`."""
    verb = request.words[0] if request.words else ""
    if verb not in DOES:
        raise CommandError(
            f"kubectl rollout {verb}".rstrip() + f": the lab has {' and '.join(DOES)}"
        )
    if not request.words[1:]:
        raise Refused("error: required resource not specified")
    asked = msgspec.structs.replace(request, words=request.words[1:])
    found = find(lab.state, asked, namespace_of(lab, request))
    for obj in found.objects:
        if not isinstance(obj, Deployment):
            raise CommandError(f"kubectl rollout {verb}: the lab does that for Deployments only")
    done = [DOES[verb](lab, obj) for obj in found.objects if isinstance(obj, Deployment)]
    failed = any(line.startswith("error: ") for line in done) or bool(found.errors)
    return Output("\n".join([*done, *found.errors]), int(failed))


def _status(lab: Cluster, deployment: Deployment) -> str:
    """How far it is now.

    *The lab simplifies*: it does not watch until the end, as kubectl without `--watch=false`
    does; the clock moves by `lab.wait` only.
    """
    wanted, now = deployment.spec.replicas, deployment.status
    waiting = f'Waiting for deployment "{deployment.name}" rollout to finish: '
    if now.updated_replicas < wanted:
        new = f"{now.updated_replicas} out of {wanted} new replicas have been updated..."
        return waiting + new
    if old := max(now.replicas - now.updated_replicas, 0):
        return f"{waiting}{old} old replicas are pending termination..."
    if now.available_replicas < now.updated_replicas:
        ready = f"{now.available_replicas} of {now.updated_replicas} updated replicas"
        return f"{waiting}{ready} are available..."
    return f'deployment "{deployment.name}" successfully rolled out'


def _restart(lab: Cluster, deployment: Deployment) -> str:
    """A note with the time in the pod template: another template, so a rollout."""
    if deployment.spec.paused:
        name = f'error: deployments.apps "{deployment.name}"'
        return f"{name} can't restart paused deployment (run rollout resume first)"
    manifest = encode(deployment)
    notes = manifest["spec"]["template"].setdefault("metadata", {}).setdefault("annotations", {})
    if notes.get(RESTARTED) == stamp(lab.state.now):
        return f"error: failed to create patch for {deployment.name}: {TOO_SOON}"
    notes[RESTARTED] = stamp(lab.state.now)
    lab.replace([manifest])
    return f"deployment.apps/{deployment.name} restarted"


DOES: dict[str, Callable[[Cluster, Deployment], str]] = {"status": _status, "restart": _restart}
