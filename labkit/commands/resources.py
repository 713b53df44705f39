"""Which objects a kubectl line means: `pods`, `svc/web`, `deploy,svc -l app=web`.

Source: kubernetes/cli-runtime `pkg/resource/builder.go`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from labkit.api.find import parse_selector
from labkit.api.kinds import BY_KIND, BY_WORD, Kind
from labkit.api.meta import Custom, Object
from labkit.api.schema import schema
from labkit.api.state import State, key_of
from labkit.commands.arguments import Refused, Request
from labkit.errors import CommandError

ALL = ("Pod", "Service", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job")
"""What `get all` lists, of the kinds that the lab models."""

SLASHES = (
    "error: there is no need to specify a resource type as a separate argument when passing "
    "arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of "
    "'kubectl get resource resource/<resource_name>'"
)


class Asked(msgspec.Struct, frozen=True):
    """One kind of a request; `name` None means all of it."""

    kind: Kind
    name: str | None = None


class Found(msgspec.Struct, frozen=True):
    """The objects of a request, one group for each kind or name, and what was not there."""

    asked: tuple[Asked, ...]
    groups: tuple[tuple[Object, ...], ...]
    errors: tuple[str, ...] = ()

    @property
    def objects(self) -> tuple[Object, ...]:
        return tuple(obj for group in self.groups for obj in group)


def asked_for(words: Sequence[str], state: State, verb: str) -> tuple[Asked, ...]:
    """What the words behind the verb name.

    Raises:
        Refused: there is no such kind, or the words do not fit together.
    """
    if any("/" in word for word in words):
        return tuple(_slashed(word, state) for word in words)
    kinds = [kind for word in words[0].split(",") for kind in _kinds(word, state)]
    if len(words) == 1:
        return tuple(Asked(kind) for kind in kinds)
    return tuple(Asked(kind, name) for kind in kinds for name in words[1:])


def _slashed(word: str, state: State) -> Asked:
    type_, slash, name = word.partition("/")
    if not slash:
        raise Refused(SLASHES)
    if not type_ or not name or "/" in name:
        raise Refused(
            "error: arguments in resource/name form must have a single resource and name"
            if "/" in name
            else f'error: there is no resource type or name in "{word}"'
        )
    return Asked(kind_of(type_, state), name)


def _kinds(word: str, state: State) -> list[Kind]:
    return [BY_KIND[name] for name in ALL] if word.lower() == "all" else [kind_of(word, state)]


def kind_of(word: str, state: State) -> Kind:
    """The kind of a word such as `po`, `deployments.apps` or `deployments.v1.apps`.

    Raises:
        Refused: the server has no such resource type.
        CommandError: Events, which the lab does not keep.
    """
    name, _, group = word.lower().partition(".")
    if found := BY_WORD.get(name):
        if not group or group in (found.group, f"{found.api_version.split('/')[-1]}.{found.group}"):
            return found
        raise Refused(
            f'error: the server doesn\'t have a resource type "{name}" in group "{group}"'
        )
    if name in ("events", "event", "ev"):
        raise CommandError(
            "kubectl: the lab keeps no Event objects; lab.watch() tells who did what"
        )
    for obj in state:
        if isinstance(obj, Custom) and name in (obj.kind.lower(), plural(obj.kind)):
            return _custom(obj.api_version, obj.kind, bool(obj.namespace))
    for version, kinds in schema().served.items():
        for kind in kinds:
            if name in (kind.lower(), plural(kind)):
                return _custom(version, kind, namespaced=True)
    raise Refused(f'error: the server doesn\'t have a resource type "{word}"')


def _custom(api_version: str, kind: str, namespaced: bool) -> Kind:
    return Kind(kind, api_version, plural(kind), Custom, (), namespaced)


def plural(kind: str) -> str:
    """`gadgets`, `policies`, `gatewayclasses`: how most definitions name their kind."""
    word = kind.lower()
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2] not in "aeiou" else word + "s"


def not_found(kind: Kind, name: str) -> str:
    return f'Error from server (NotFound): {kind.resource} "{name}" not found'


def find(state: State, request: Request, namespace: str) -> Found:
    """The objects that the request's words, `-l`, `--field-selector` and `-A` choose.

    Raises:
        Refused: words, labels or fields that kubectl refuses.
    """
    asked = asked_for(request.words, state, request.verb)
    named = [a for a in asked if a.name is not None]
    selector, fields = request.text("selector"), request.text("field-selector")
    if named and request.on("all-namespaces"):
        raise Refused("error: a resource cannot be retrieved by name across all namespaces")
    if named and (selector or fields):
        raise Refused("error: name cannot be provided when a selector is specified")
    everywhere = None if request.on("all-namespaces") else namespace
    groups, errors = [], []
    for item in asked:
        found = of_kind(state, item.kind, everywhere if item.kind.namespaced else None)
        if item.name is not None:
            found = tuple(o for o in found if o.name == item.name)
            if not found:
                errors.append(not_found(item.kind, item.name))
                continue
        groups.append(_selected(found, item.kind, selector, fields))
    return Found(asked, tuple(groups), tuple(errors))


def of_kind(state: State, kind: Kind, namespace: str | None) -> tuple[Object, ...]:
    """All objects of the kind by namespace and name; `namespace` None means all."""
    if kind.type is not Custom:
        return state.list(kind.type, namespace)
    found = [
        o
        for o in state
        if isinstance(o, Custom) and (o.kind, o.api_version) == (kind.kind, kind.api_version)
    ]
    return tuple(sorted((o for o in found if namespace in (None, o.namespace)), key=key_of))


def _selected(
    objects: tuple[Object, ...], kind: Kind, selector: str, fields: str
) -> tuple[Object, ...]:
    try:
        wanted = parse_selector(selector)
        tests = [_field_test(term) for term in fields.split(",") if term]
    except CommandError as error:
        raise Refused(
            f'Error from server (BadRequest): Unable to find "{kind.api_version}, '
            f'Resource={kind.plural}" that match label selector "{selector}", '
            f'field selector "{fields}": {error}'
        ) from None
    return tuple(
        o
        for o in objects
        if all(r.matches(o.labels) for r in wanted)
        and all((_field(o, name) == value) is equal for name, value, equal in tests)
    )


FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "spec.nodeName": ("spec", "node_name"),
    "spec.restartPolicy": ("spec", "restart_policy"),
    "spec.type": ("spec", "type"),
    "status.phase": ("status", "phase"),
    "status.podIP": ("status", "pod_ip"),
}


def _field_test(term: str) -> tuple[str, str, bool]:
    """`status.phase!=Running` -> (field, value, whether it should be equal)."""
    name, found, value = term.partition("!=")
    if not found:
        name, _, value = term.partition("=")
        value = value.removeprefix("=")
    if name not in FIELDS:
        raise CommandError(f"field label not supported: {name}")
    return name, value, not found


def _field(obj: Object, name: str) -> str:
    part, field = FIELDS[name]
    value = getattr(getattr(obj, part, None), field, "")
    return "" if value is None else str(value)
