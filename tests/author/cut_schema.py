"""Author's tool: cut `data/schema/kubernetes.json` out of the PyPI package kubernetes-validate.

    pip install kubernetes-validate; python tests/author/cut_schema.py [RELEASE]

The package (108 MB) carries the JSON schemas that are made from Kubernetes' own OpenAPI
document. Kept of them: names and types of the fields of the kinds that the lab models, which
fields are required, and the names of all other kinds in Kubernetes' own groups. A type is one
word (`string`, `int32`, `ServicePort`), `list WORD` or `map WORD`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

KINDS = {
    "io.k8s.api.core.v1": (
        [
            "Namespace",
            "Node",
            "Pod",
            "Service",
            "Endpoints",
            "ConfigMap",
            "Secret",
            "ServiceAccount",
        ]
    ),
    "io.k8s.api.apps.v1": ["ReplicaSet", "Deployment", "StatefulSet", "DaemonSet"],
    "io.k8s.api.batch.v1": ["Job"],
    "io.k8s.api.discovery.v1": ["EndpointSlice"],
    "io.k8s.api.networking.v1": ["NetworkPolicy", "Ingress", "IngressClass"],
}
SCALARS = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
}
# The schema calls these required; the API server takes an object without them.
EXCUSED = {"EndpointSlice": {"endpoints"}}
NOT_OBJECTS = {
    "DeleteOptions",
    "WatchEvent",
    "Status",
    "APIGroup",
    "APIResourceList",
    "APIVersions",
}
OUT = Path(__file__).resolve().parents[2] / "data" / "schema" / "kubernetes.json"


def definitions(release: str) -> dict[str, Any]:
    spec = find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise SystemExit("kubernetes-validate is not installed: pip install kubernetes-validate")
    folder = Path(spec.origin).parent / "kubernetes-json-schema" / f"v{release}-local"
    defs: dict[str, Any] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return defs


def refs(schema: dict[str, Any]) -> Iterator[str]:
    """The full names of the types that a schema mentions, scalars left out."""
    for part in (schema, schema.get("items", {}), schema.get("additionalProperties", {})):
        name = part.get("$ref", "").rpartition("/")[2] if isinstance(part, dict) else ""
        if name and name not in SCALARS:
            yield name


def reachable(defs: dict[str, Any], roots: list[str], skip: str = "") -> set[str]:
    """All types that the roots lead to; not through fields named `skip`."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            fields = defs[name].get("properties", {})
            todo += [r for f, s in fields.items() if f != skip for r in refs(s)]
    return found


def short_names(names: set[str]) -> dict[str, str]:
    """`ServicePort`; where two groups share a name, the one outside core gets its group."""
    short: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names, key=lambda n: (".core." not in n, n)):
        group, _, last = name.split(".", 3)[-1].rpartition(".")
        short[name] = f"{group.split('.')[0]}.{last}" if last in taken else last
        taken.add(last)
    return short


def type_word(schema: dict[str, Any], short: dict[str, str]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return SCALARS.get(name) or short[name]
    kinds = schema.get("type", "any")
    kind = next(k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null")
    if kind == "array":
        return f"list {type_word(schema['items'], short)}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"map {type_word(values, short)}" if isinstance(values, dict) else "any"
    form = schema.get("format", "")
    return {"integer": form or "int64", "number": "number", "string": form or "string"}.get(
        kind, kind
    )


def own_kinds(defs: dict[str, Any]) -> dict[str, list[str]]:
    """apiVersion -> the kinds that Kubernetes itself serves there."""
    found: dict[str, set[str]] = {}
    for schema in defs.values():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            if gvk["kind"] not in NOT_OBJECTS and not gvk["kind"].endswith("List"):
                version = f"{gvk['group']}/{gvk['version']}".lstrip("/")
                found.setdefault(version, set()).add(gvk["kind"])
    return {version: sorted(kinds) for version, kinds in sorted(found.items())}


def cut(release: str) -> dict[str, Any]:
    defs = definitions(release)
    roots = [f"{package}.{kind}" for package, kinds in KINDS.items() for kind in kinds]
    names = reachable(defs, roots)
    short = short_names(names)
    written = reachable(defs, roots, skip="status")  # what people write: `required` holds there
    types = {}
    for name in sorted(names, key=lambda n: short[n]):
        fields = defs[name].get("properties", {})
        required = set(defs[name].get("required", ())) - EXCUSED.get(short[name], set())
        types[short[name]] = {
            "fields": {f: type_word(s, short) for f, s in sorted(fields.items())},
            "required": sorted(required) if name in written else [],
        }
    kinds = {}
    for root in roots:
        gvk = defs[root]["x-kubernetes-group-version-kind"][0]
        kinds[f"{gvk['group']}/{gvk['version']}/{gvk['kind']}".lstrip("/")] = short[root]
    return {"release": release, "kinds": kinds, "served": own_kinds(defs), "types": types}


if __name__ == "__main__":
    schema = cut(sys.argv[1] if len(sys.argv) > 1 else "1.37.0")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(schema, separators=(",", ":")) + "\n")
    print(f"{OUT}: {len(schema['types'])} types, {OUT.stat().st_size // 1024} KiB")
