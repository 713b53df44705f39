"""kubectl's verbs that only look: get, describe, config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from labkit.api.acts import resource_of
from labkit.api.core import Endpoints
from labkit.api.manifests import dump, dump_json, load
from labkit.api.meta import Object
from labkit.api.objects import encode
from labkit.api.state import State
from labkit.commands import jsonpath
from labkit.commands.arguments import Refused, Request
from labkit.commands.describe import describe
from labkit.commands.output import Output
from labkit.commands.resources import Asked, Found, find, kind_of, of_kind
from labkit.commands.tables import Look, objects_table
from labkit.errors import CommandError

if TYPE_CHECKING:
    from labkit.cluster import Cluster

NO_TYPE = """You must specify the type of resource to get. Use "kubectl api-resources" for a \
complete list of supported resources.

error: Required resource not specified.
Use "kubectl explain <resource>" for a detailed description of that resource (e.g. kubectl \
explain pods).
See 'kubectl get -h' for help and examples"""
FORMATS = (
    "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,"
    "jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml"
)
ENDPOINTS = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def namespace_of(lab: Cluster, request: Request) -> str:
    return request.text("namespace") or lab.namespace


def get(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl get`: a table, or the objects themselves with `-o`."""
    namespace = namespace_of(lab, request)
    if "filename" in request.flags:
        found = from_files(lab, request, stdin)
    elif not request.words:
        raise Refused(NO_TYPE)
    else:
        found = find(lab.state, request, namespace)
    if request.on("ignore-not-found"):
        found = Found(found.asked, found.groups)
    form = request.text("output")
    if form in ("", "wide"):
        shown = _tables(lab.state, request, found, namespace)
    else:
        shown = _printed(_sorted(found.objects, request), _single(found), form)
    errors = "".join(f"{error}\n" for error in found.errors)
    between = "\n" if shown and errors and not shown.endswith("\n") else ""
    return Output(shown + between + errors, 1 if found.errors else 0)


def from_files(lab: Cluster, request: Request, stdin: str | None) -> Found:
    """The live objects that the manifests of `-f` name."""
    asked, groups, errors = [], [], []
    for source in sources(request, stdin):
        for manifest in (loaded.manifest for loaded in load(source)):
            kind = kind_of(manifest["kind"], lab.state)
            meta = manifest["metadata"]
            where = meta.get("namespace") or namespace_of(lab, request)
            name = meta["name"]
            live = of_kind(lab.state, kind, where if kind.namespaced else None)
            match = tuple(o for o in live if o.name == name)
            asked.append(Asked(kind, name))
            groups.append(match)
            if not match:
                errors.append(f'Error from server (NotFound): {kind.resource} "{name}" not found')
    return Found(tuple(asked), tuple(groups), tuple(errors))


def sources(request: Request, stdin: str | None) -> list[Any]:
    """What `-f` names: files as they are written, `-` the text given as `stdin`."""
    from pathlib import Path

    found: list[Any] = []
    for name in request.several.get("filename", ()):
        if name == "-":
            if not (stdin or "").strip():
                raise Refused("error: no objects passed to " + request.verb)
            found.append(stdin)
        elif Path(name).is_dir():
            files = sorted(
                f for f in Path(name).iterdir() if f.suffix in (".yaml", ".yml", ".json")
            )
            found += files
        elif not Path(name).exists():
            raise Refused(f'error: the path "{name}" does not exist')
        else:
            found.append(Path(name))
    return found


def _tables(state: State, request: Request, found: Found, namespace: str) -> str:
    everywhere = request.on("all-namespaces")
    kinds = {a.kind.kind for a in found.asked if a.name is None}
    kinds |= {type(o).__name__ for o in found.objects} if not kinds else set()
    look = Look(
        now=state.now,
        wide=request.text("output") == "wide",
        labels=request.on("show-labels"),
        kinds=len(kinds) > 1 or request.on("show-kind"),
        headers=not request.on("no-headers"),
    )
    groups = [_sorted(group, request) for group in _by_kind(found.groups)]
    warning = [ENDPOINTS] if any(isinstance(o, Endpoints) for o in found.objects) else []
    tables = []
    for group in groups:
        apart = everywhere and bool(group[0].namespace)
        tables.append(objects_table(group, replace(look, namespaces=apart)))
    if tables:
        return "\n".join([*warning, "\n\n".join(tables)])
    if found.errors or request.on("ignore-not-found"):
        return ""
    inside = not everywhere and all(a.kind.namespaced for a in found.asked)
    return f"No resources found in {namespace} namespace." if inside else "No resources found"


def replace(look: Look, **changes: Any) -> Look:
    import msgspec

    return msgspec.structs.replace(look, **changes)


def _by_kind(groups: Sequence[tuple[Object, ...]]) -> list[tuple[Object, ...]]:
    """Neighbours of one type in one table; empty groups left out."""
    merged: list[tuple[Object, ...]] = []
    for group in groups:
        if group and merged and resource_of(merged[-1][0]) == resource_of(group[0]):
            merged[-1] += group
        elif group:
            merged.append(group)
    return merged


def _sorted(objects: tuple[Object, ...], request: Request) -> tuple[Object, ...]:
    """In the order of `--sort-by`, if that is given; what lacks the field comes first."""
    path = request.text("sort-by")
    if not path:
        return objects
    template = (
        path if path.startswith("{") else "{" + (path if path[0] == "." else f".{path}") + "}"
    )

    def key(obj: Object) -> tuple[bool, float, str]:
        text = jsonpath.render(template, encode(obj))
        number = text.replace(".", "", 1).isdigit()
        return bool(text), float(text) if number else 0.0, "" if number else text

    return tuple(sorted(objects, key=key))


def _single(found: Found) -> bool:
    """One object asked for by its name is printed alone, all else as a List."""
    return len(found.asked) == 1 and found.asked[0].name is not None


def _printed(objects: Sequence[Object], single: bool, form: str) -> str:
    if form == "name":
        return "\n".join(f"{resource_of(obj)}/{obj.name}" for obj in objects)
    name, _, template = form.partition("=")
    if name in ("yaml", "json", "jsonpath"):
        if name == "jsonpath" and not template:
            raise Refused("error: template format specified but no template given")
        if single and not objects:
            return ""
        items = [encode(obj) for obj in objects]
        whole = items[0] if single else _list(items)
        if name == "jsonpath":
            return jsonpath.render(template, whole)
        return dump(whole) if name == "yaml" else dump_json(whole)
    if name in FORMATS.split(","):
        raise CommandError(
            f"kubectl get: the lab does not model -o {name}; use wide, yaml, json, name or jsonpath"
        )
    raise Refused(
        f'error: unable to match a printer suitable for the output format "{form}", '
        f"allowed formats are: {FORMATS}"
    )


def _list(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}


# --- describe -----------------------------------------------------------------------------


def describe_verb(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl describe`: each object's account; a name may be the beginning of names."""
    if not request.words:
        raise Refused(
            "error: You must specify the type of resource to describe. Use "
            '"kubectl api-resources" for a complete list of supported resources.'
        )
    namespace = namespace_of(lab, request)
    found = find(lab.state, request, namespace)
    alone = len(request.words) == 2 and "/" not in request.words[0]
    if found.errors and not found.objects and alone:
        begun = _prefixed(lab.state, found, namespace)
        if begun:
            return Output("".join(describe(o, lab.state, events=False) + "\n" for o in begun))
    objects = found.objects
    if not objects and not found.errors:
        everywhere = request.on("all-namespaces")
        inside = not everywhere and all(a.kind.namespaced for a in found.asked)
        return Output(f"No resources found{f' in {namespace} namespace.' if inside else ''}")
    events = len(objects) == 1 and not found.errors
    texts = [describe(o, lab.state, events=events) for o in objects]
    errors = "".join(f"{error}\n" for error in found.errors)
    return Output("\n\n".join(texts) + errors, 1 if errors else 0)


def _prefixed(state: State, found: Found, namespace: str) -> list[Object]:
    asked = found.asked[0]
    objects = of_kind(state, asked.kind, namespace if asked.kind.namespaced else None)
    return [o for o in objects if asked.name and o.name.startswith(asked.name)]


# --- config -------------------------------------------------------------------------------

CONTEXT = "lab"


def config(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl config`: the lab has one context, and the namespace that it stands in."""
    match request.words:
        case ("set-context",) if request.on("current"):
            if "namespace" in request.flags:
                lab.namespace = request.text("namespace") or "default"
            return Output(f'Context "{CONTEXT}" modified.')
        case ("current-context",):
            return Output(CONTEXT)
        case ("view",):
            return Output(_view(lab.namespace))
        case _:
            raise CommandError(
                f"kubectl config {' '.join(request.words)}: the lab has one context; it has "
                "`config set-context --current --namespace=NAME`, current-context and view"
            )


def _view(namespace: str) -> str:
    place = {"cluster": CONTEXT, "namespace": namespace, "user": CONTEXT}
    return dump(
        {
            "apiVersion": "v1",
            "clusters": [{"cluster": {"server": "https://192.168.7.11:6443"}, "name": CONTEXT}],
            "contexts": [{"context": place, "name": CONTEXT}],
            "current-context": CONTEXT,
            "kind": "Config",
            "users": [{"name": CONTEXT, "user": {}}],
        }
    )
