"""kubectl's verbs that change objects: apply, delete, label, scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from labkit.api.acts import Applied, resource_of
from labkit.api.admission import namespaced
from labkit.api.apps import Deployment, ReplicaSet, StatefulSet
from labkit.api.kinds import BY_TYPE
from labkit.api.manifests import load
from labkit.api.meta import Custom, Object
from labkit.api.objects import encode
from labkit.api.syntax import label_key, label_value
from labkit.commands.arguments import Refused, Request, in_kubectls_words
from labkit.commands.kubectl_read import from_files, namespace_of, sources
from labkit.commands.output import Output
from labkit.commands.resources import Found, find
from labkit.errors import CommandError, LabError

if TYPE_CHECKING:
    from labkit.cluster import Cluster

NOTHING_NAMED = """error: You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'"""


@contextmanager
def standing_in(lab: Cluster, namespace: str) -> Iterator[None]:
    """What names no namespace goes to `namespace` meanwhile."""
    before, lab.namespace = lab.namespace, namespace
    try:
        yield
    finally:
        lab.namespace = before


# --- apply -----------------------------------------------------------------------------


def apply(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl apply -f`: one line for each object; a file with a fault changes nothing."""
    if request.words:
        raise Refused(f"error: Unexpected args: [{' '.join(request.words)}]")
    if "filename" not in request.flags:
        raise Refused("error: must specify one of -f and -k")
    lines: list[str] = []
    code = 0
    for source in sources(request, stdin):
        try:
            _same_namespace(source, request)
            with standing_in(lab, namespace_of(lab, request)):
                lines += [line for done in lab.apply(source) for line in _told(done)]
        except CommandError:
            raise
        except LabError as error:
            lines.append(in_kubectls_words(error))
            code = 1
    return Output("\n".join(lines), code)


def _told(done: Applied) -> list[str]:
    return [*warned(done), str(done)]


def warned(done: Applied) -> list[str]:
    """The lines before the result; what the lab says in its own name is no `Warning:`."""
    return [w if w.startswith("# ") else f"Warning: {w}" for w in done.warnings]


def _same_namespace(source: Any, request: Request) -> None:
    asked = request.text("namespace")
    for manifest in (loaded.manifest for loaded in load(source)) if asked else ():
        own = manifest["metadata"].get("namespace", asked)
        if own != asked and namespaced(manifest):
            raise Refused(
                f'error: the namespace from the provided object "{own}" does not match the '
                f"namespace \"{asked}\". You must pass '--namespace={own}' to perform this "
                "operation."
            )


# --- delete ----------------------------------------------------------------------------


def delete(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl delete`, by name, by `-l`, by `--all` or by the manifests of `-f`.

    *The lab simplifies*: it does not wait until a pod is gone, as kubectl without `--wait=false`
    does; the clock moves by `lab.wait` only.
    """
    if "filename" in request.flags:
        found = from_files(lab, request, stdin)
    else:
        found = _chosen(lab, request, NOTHING_NAMED)
    keys = [address(obj) for obj in found.objects]
    done = lab.delete(*keys, grace=_grace(request)) if keys else ()
    if request.text("output") == "name":
        lines = [f"{d.resource}/{d.key.name}" for d in done]
    else:
        word = "force deleted" if request.on("force") else "deleted"
        lines = [str(d).replace(" deleted", f" {word}", 1) for d in done]
    errors = [] if request.on("ignore-not-found") else list(found.errors)
    if not lines and not errors and not found.errors:
        lines = ["No resources found"]
    return Output("\n".join(lines + errors), 1 if errors else 0)


def _grace(request: Request) -> int | None:
    """Seconds for pods to stop: `--grace-period`, 1 with `--now`, 0 with `--force`."""
    given = request.number("grace-period", -1)
    if given >= 0:
        return given
    return 0 if request.on("force") else 1 if request.on("now") else None


def _chosen(lab: Cluster, request: Request, nothing: str) -> Found:
    """The objects that words, `-l` or `--all` choose; a bare kind chooses none."""
    if not request.words:
        raise Refused(nothing)
    found = find(lab.state, request, namespace_of(lab, request))
    unnamed = any(asked.name is None for asked in found.asked)
    if unnamed and not request.on("all") and not request.text("selector"):
        raise Refused("error: resource(s) were provided, but no name was specified")
    return found


def address(obj: Object) -> str:
    """`service/pay/payments`: how the cluster is told which object is meant."""
    word = obj.kind.lower() if isinstance(obj, Custom) else BY_TYPE[type(obj)].singular
    return f"{word}/{obj.namespace}/{obj.name}" if obj.namespace else f"{word}/{obj.name}"


# --- label -----------------------------------------------------------------------------


def label(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl label KIND NAME key=value key-`."""
    changes = [w for w in request.words if "=" in w or w.endswith("-")]
    named = [w for w in request.words if w not in changes]
    if not changes:
        raise Refused("error: at least one label update is required")
    given = dict(w.split("=", 1) for w in changes if "=" in w)
    _valid(given)
    removed = [w[:-1] for w in changes if "=" not in w]
    if not named:
        raise Refused("error: one or more resources must be specified as <resource> <name>")
    request = Request(request.verb, tuple(named), request.flags, request.several)
    found = _chosen(lab, request, NOTHING_NAMED)
    lines = list(found.errors)
    code = 1 if lines else 0
    if not lines and not found.objects:
        return Output("No resources found")
    for obj in found.objects:
        taken = next((k for k, v in given.items() if obj.labels.get(k, v) != v), None)
        if taken and not request.on("overwrite"):
            lines.append(
                f"error: '{taken}' already has a value ({obj.labels[taken]}), "
                "and --overwrite is false"
            )
            code = 1
            continue
        lines += _relabelled(lab, obj, given, removed)
    return Output("\n".join(lines), code)


def _valid(given: dict[str, str]) -> None:
    for key, value in given.items():
        fault = label_key(key) or label_value(value)
        if fault:
            raise Refused(f"error: {fault}")


def _relabelled(
    lab: Cluster, obj: Object, given: dict[str, str], removed: Sequence[str]
) -> list[str]:
    labels = {k: v for k, v in obj.labels.items() if k not in removed} | given
    lines = [f'label "{key}" not found.' for key in removed if key not in obj.labels]
    word = "labeled" if given else "unlabeled"
    if labels == dict(obj.labels):
        word = "not labeled"
    else:
        manifest = encode(obj)
        manifest["metadata"]["labels"] = labels
        lab.replace([manifest])
    return [*lines, f"{resource_of(obj)}/{obj.name} {word}"]


# --- scale -----------------------------------------------------------------------------


def scale(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl scale deployment web --replicas=3`."""
    count = _count(request)
    found = _chosen(lab, request, NOTHING_NAMED)
    lines = list(found.errors)
    if not lines and not found.objects:
        raise Refused("error: no objects passed to scale")
    for obj in found.objects:
        if not isinstance(obj, Deployment | ReplicaSet | StatefulSet):
            raise Refused(
                "Error from server (NotFound): the server could not find the requested resource"
            )
        manifest = encode(obj)
        manifest["spec"]["replicas"] = count
        if obj.spec.replicas != count:
            lab.replace([manifest])
        lines.append(f"{resource_of(obj)}/{obj.name} scaled")
    return Output("\n".join(lines), 1 if found.errors else 0)


def _count(request: Request) -> int:
    if "replicas" not in request.flags:
        raise Refused('error: required flag(s) "replicas" not set')
    count = request.number("replicas", 0)
    if count < 0:
        raise Refused(
            "error: The --replicas=COUNT flag is required, and COUNT must be greater than or "
            "equal to 0"
        )
    return count
