"""What a client of the API does to a state: apply, create, replace, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from labkit.api import service_admission
from labkit.api.admission import admit, namespaced
from labkit.api.kinds import BY_TYPE
from labkit.api.merge import LAST_APPLIED, applied, noted
from labkit.api.meta import Custom, Object
from labkit.api.objects import decode, encode
from labkit.api.state import Event, Key, State, key_of
from labkit.api.store import Delete, write
from labkit.api.warnings import about_ports
from labkit.errors import Conflict, NotFound

Manifest = Mapping[str, Any]
# Source: Kubernetes admission plugin `NamespaceLifecycle`.
LASTING = ("default", "kube-system", "kube-public")
Verb = Literal["created", "configured", "unchanged", "replaced", "deleted"]


class Applied(msgspec.Struct, frozen=True):
    """What became of one object; its text is the line that kubectl prints.

    `warnings` are the API server's and kubectl's, without `Warning: `; what the lab says in its
    own name begins with `# `.
    """

    key: Key
    resource: str  # `deployment.apps`
    verb: Verb
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.verb == "deleted":
            place = f" from {self.key.namespace} namespace" if self.key.namespace else ""
            return f'{self.resource} "{self.key.name}" deleted{place}'
        return f"{self.resource}/{self.key.name} {self.verb}"

    __repr__ = __str__


class Outcome(msgspec.Struct, frozen=True):
    """The state after an act, with its events and what it says for each object."""

    state: State
    events: tuple[Event, ...]
    lines: tuple[Applied, ...]


def key_for(manifest: Manifest, namespace: str) -> Key:
    """The key that a manifest's object will have; `namespace` is for those that name none."""
    meta = manifest.get("metadata", {})
    bare = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]}
    key = key_of(decode(bare))
    place = (meta.get("namespace") or namespace) if namespaced(manifest) else ""
    return Key(key.kind, place, meta.get("name", ""))


def resource_of(obj: Object) -> str:
    """`service`, `deployment.apps`, `certificate.cert-manager.io`."""
    if isinstance(obj, Custom):
        group = obj.api_version.rpartition("/")[0]
        return f"{obj.kind.lower()}.{group}" if group else obj.kind.lower()
    kind = BY_TYPE[type(obj)]
    return f"{kind.singular}.{kind.group}" if kind.group else kind.singular


def apply(state: State, manifests: Sequence[Manifest], namespace: str) -> Outcome:
    """`kubectl apply`: makes what is not there, changes what differs, leaves the rest alone.

    Raises:
        LabError: one of the manifests is refused; nothing is written then.
    """
    return _each(state, manifests, namespace, _apply)


def create(state: State, manifests: Sequence[Manifest], namespace: str) -> Outcome:
    """`kubectl create`.

    Raises:
        Conflict: something of that name exists already.
    """
    return _each(state, manifests, namespace, _create)


def replace(state: State, manifests: Sequence[Manifest], namespace: str) -> Outcome:
    """`kubectl replace`: the object is what the manifest says, defaults and status aside.

    Raises:
        NotFound: nothing of that name exists.
    """
    return _each(state, manifests, namespace, _replace)


def _apply(key: Key, live: Object | None, manifest: Manifest) -> Manifest:
    return noted(manifest) if live is None else applied(encode(live), noted(manifest))


def _create(key: Key, live: Object | None, manifest: Manifest) -> Manifest:
    if live is not None:
        raise Conflict(f'{_plural(live)} "{key.name}" already exists')
    return manifest


def _replace(key: Key, live: Object | None, manifest: Manifest) -> Manifest:
    if live is None:
        plural = _plural(decode({"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]}))
        raise NotFound(f'{plural} "{key.name}" not found')
    fixed = ("uid", "creationTimestamp", "resourceVersion", "generation")
    live_meta = encode(live)["metadata"]
    meta = {**manifest["metadata"], **{k: live_meta[k] for k in fixed if k in live_meta}}
    return {**manifest, "metadata": meta}


def _plural(obj: Object) -> str:
    if isinstance(obj, Custom):
        return f"{obj.kind.lower()}s.{obj.api_version.rpartition('/')[0]}"
    return BY_TYPE[type(obj)].resource


def _each(state: State, manifests: Sequence[Manifest], namespace: str, form: Any) -> Outcome:
    wanted = service_admission.asked(tuple(manifests))
    events: list[Event] = []
    lines: list[Applied] = []
    for manifest in manifests:
        key = key_for(manifest, namespace)
        live = state.objects.get(key)
        obj = admit(state, form(key, live, manifest), namespace=namespace, wanted=wanted)
        if live is None or _differs(live, obj):
            state, new = write(state, "kubectl", (obj,))
            events += new
            verb: Verb = "configured" if live else "created"
        else:
            verb = "unchanged"
        if live and form is _replace:
            verb = "replaced"
        said = warnings(manifest, live if form is _apply else None) + tuple(about_ports(obj, live))
        lines.append(Applied(key_of(obj), resource_of(obj), verb, said))
    return Outcome(state, tuple(events), tuple(lines))


def _differs(live: Object, new: Object) -> bool:
    """Is there more between the two than the note about the last apply?"""
    return bool(_bare(live) != _bare(new))


def _bare(obj: Object) -> Any:
    shown = encode(obj)
    notes = shown["metadata"].get("annotations", {})
    notes.pop(LAST_APPLIED, None)
    if not notes:
        shown["metadata"].pop("annotations", None)
    return shown


def delete(state: State, keys: Sequence[Key], grace: int | None = None) -> Outcome:
    """Deletes the objects; what depends on them follows by the controllers.

    Args:
        grace: seconds that pods get to stop, in place of their own `terminationGracePeriodSeconds`.

    Raises:
        Conflict: a namespace that the API server never lets go; nothing is deleted then.
    """
    for key in keys:
        if key.kind == "Namespace" and key.name in LASTING:
            what = "is forbidden: this namespace may not be deleted"
            raise Conflict(f'namespaces "{key.name}" {what}')
    lines = tuple(Applied(key, resource_of(state.objects[key]), "deleted") for key in keys)
    after, events = write(state, "kubectl", (Delete(key, grace) for key in keys))
    return Outcome(after, events, lines)


NOT_APPLIED = (
    f"resource {{}} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. "
    "kubectl apply should only be used on resources created declaratively by either kubectl "
    "create --save-config or kubectl apply. The missing annotation will be patched automatically."
)


def warnings(manifest: Manifest, live: Object | None) -> tuple[str, ...]:
    """What kubectl and the API server say beside the answer, without `Warning: `."""
    found = []
    if live is not None and LAST_APPLIED not in live.annotations:
        found.append(NOT_APPLIED.format(f"{_plural(live).partition('.')[0]}/{live.name}"))
    if manifest["kind"] == "Endpoints":
        found.append("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
    spec = manifest.get("spec")
    if manifest["kind"] == "Service" and isinstance(spec, Mapping) and spec.get("externalIPs"):
        found.append("spec.externalIPs: deprecated in v1.36+")
    return tuple(found)
