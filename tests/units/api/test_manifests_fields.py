"""Fields: unknown, misplaced, of another type; kinds and versions.

Each row: a manifest, and the lines that a learner reads.
"""

# ruff: noqa: E501 - the expected lines stand as a learner reads them

from __future__ import annotations

import pytest

from labkit.api.manifests import load
from labkit.errors import ManifestError

FIELDS = {
    "an apiVersion of years ago": (
        """\
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: a}
spec: {backend: {serviceName: a}}
""",
        """\
web.yaml:1 Ingress/a .apiVersion: Ingress is not in `extensions/v1beta1`; write `apiVersion: networking.k8s.io/v1`
web.yaml:4 Ingress/a .spec: unknown field `backend`; that was networking.k8s.io/v1beta1; now it is `defaultBackend`
web.yaml:4 Ingress/a .spec: has neither `rules` nor `defaultBackend`; give one of them
""",
    ),
    "a field of a list's item beside the list": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
  protocol: TCP
""",
        """\
web.yaml:8 Service/web .spec: unknown field `protocol`; `protocol` belongs to .spec.ports[]: indent it more
""",
    ),
    "a field of metadata that is not indented": (
        """\
apiVersion: v1
kind: Pod
metadata:
name: web
spec:
  containers: [{name: c, image: i}]
""",
        """\
web.yaml:1 Pod: `metadata.name` is missing; add it
web.yaml:4 Pod: unknown field `name`; `name` belongs to .metadata: indent it more
""",
    ),
    "containers a level too far out": (
        """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: d
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}}
  containers: [{name: c, image: i}]
""",
        """\
web.yaml:8 Deployment/d .spec: unknown field `containers`; `containers` belongs to .spec.template.spec: indent it more
""",
    ),
    "replicas two levels too far in": (
        """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: d
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      replicas: 3
      containers: [{name: c, image: i}]
""",
        """\
web.yaml:10 Deployment/d .spec.template.spec: unknown field `replicas`; `replicas` belongs to .spec: indent it less
""",
    ),
    "a kind in small letters": (
        """\
apiVersion: v1
kind: service
metadata: {name: a}
""",
        """\
web.yaml:2 service/a .kind: unknown kind `service`; did you mean `Service`?
""",
    ),
    "a kind misspelled": (
        """\
apiVersion: apps/v1
kind: Deploymnet
metadata: {name: a}
""",
        """\
web.yaml:2 Deploymnet/a .kind: unknown kind `Deploymnet`; did you mean `Deployment`?
""",
    ),
    "an apiVersion that is yet to come": (
        """\
apiVersion: apps/v2
kind: Deployment
metadata: {name: a}
""",
        """\
web.yaml:1 Deployment/a .apiVersion: Deployment is not in `apps/v2`; write `apiVersion: apps/v1`
web.yaml:1 Deployment/a: `spec` is missing; add it
""",
    ),
    "a group misspelled": (
        """\
apiVersion: app/v1
kind: Thing
metadata: {name: a}
""",
        """\
web.yaml:1 Thing/a .apiVersion: Kubernetes has no group `app`; did you mean `apps/v1`?
""",
    ),
    "no kind": (
        """\
apiVersion: v1
metadata: {name: a}
""",
        """\
web.yaml:1 a: `kind` is missing; v1 has Binding, ComponentStatus, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodTemplate
""",
    ),
    "text": (
        "hello\n",
        """\
web.yaml:1: the text `hello` is no manifest: write `key: value` lines; a file's name ends in .yaml, .yml or .json
""",
    ),
    "a list at the top": (
        "- a\n",
        """\
web.yaml:1: a list is no manifest; a manifest is a mapping (`key: value` lines)
""",
    ),
    "a number": (
        "5",
        """\
web.yaml:1: `5` is no manifest; a manifest is a mapping (`key: value` lines)
""",
    ),
    "no metadata": (
        """\
apiVersion: v1
kind: Service
spec: {ports: [{port: 80}]}
""",
        """\
web.yaml:1 Service: `metadata.name` is missing; add it
""",
    ),
    "a list without dashes": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
    name: c
    image: i
""",
        """\
web.yaml:6 Pod/web .spec.containers: must be a list (lines that begin with `- `), not a mapping; begin each item with `- `
""",
    ),
    "from without its dash": (
        """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: p
spec:
  podSelector: {}
  ingress:
    from:
    - podSelector: {}
""",
        """\
web.yaml:7 NetworkPolicy/p .spec.ingress: must be a list (lines that begin with `- `), not a mapping; begin each item with `- `
""",
    ),
    "matchLabels in a Service": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {matchLabels: {app: a}}
  ports:
  - port: 80
""",
        """\
web.yaml:6 Service/web .spec.selector.matchLabels: a Service's selector holds the labels themselves, without `matchLabels`
""",
    ),
    "from outside ingress": (
        """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: p
spec:
  podSelector: {}
  from: []
""",
        """\
web.yaml:7 NetworkPolicy/p .spec: unknown field `from`; `from` stands in an item of `ingress`
""",
    ),
    "a number where the environment takes text": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: c
    image: i
    env:
    - {name: PORT, value: 8080}
""",
        """\
web.yaml:10 Pod/web .spec.containers[0].env[0].value: must be text, and 8080 is not; put it in quotes: "8080"
""",
    ),
    "a number beyond 32 bits": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 99999999999
""",
        """\
web.yaml:7 Service/web .spec.ports[0].port: 99999999999 is too large; at most 2147483647
""",
    ),
    "half a port": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80.5
""",
        """\
web.yaml:7 Service/web .spec.ports[0].port: must be a whole number, and 80.5 is not
""",
    ),
    "a dash and nothing behind it": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  -
""",
        """\
web.yaml:7 Pod/web .spec.containers[0]: this item is empty; fill it in or remove its `-`
""",
    ),
    "keys that are no text": (
        """\
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {on: x, 80: y, a b: z}
""",
        """\
web.yaml:4 ConfigMap/c .data[80]: must be text, and YAML reads `y` as true; put it in quotes: "y"
web.yaml:4 ConfigMap/c .data[a b]: `a b` is no valid key: a key has letters, digits, `-`, `_` and `.`
""",
    ),
    "items of a List": (
        """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec: {port: 80}
- 5
""",
        """\
web.yaml:7 Service/web .spec: unknown field `port`; did you mean `ports`?
web.yaml:7 Service/web .spec: `ports` is missing; a Service has at least one, such as `- port: 80`
web.yaml:8: `5` is no manifest; a manifest is a mapping (`key: value` lines)
""",
    ),
}


@pytest.mark.parametrize(("text", "lines"), FIELDS.values(), ids=FIELDS)
def test_a_field_that_does_not_fit_is_named(text: str, lines: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(text, name="web.yaml")
    assert str(refused.value) == lines.rstrip("\n")
