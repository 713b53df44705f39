"""Text that is no YAML, or more than a manifest needs.

Each row: a manifest, and the lines that a learner reads.
"""

# ruff: noqa: E501 - the expected lines stand as a learner reads them

from __future__ import annotations

import pytest

from labkit.api.manifests import load
from labkit.errors import ManifestError

BROKEN = {
    "a tab as indentation": (
        """\
apiVersion: v1
kind: Pod
metadata:
\tname: web
""",
        """\
web.yaml:4: a tab at the beginning of the line; indent with spaces
""",
    ),
    "a tab after spaces above": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
\tlabels: {}
""",
        """\
web.yaml:5: a tab at the beginning of the line; indent with spaces
""",
    ),
    "a field out of line": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
 namespace: x
""",
        """\
web.yaml:5: broken YAML: this line is not in line with the fields above; indent it alike
""",
    ),
    "two colons on a line": (
        """\
apiVersion: v1
kind: Pod: x
""",
        """\
web.yaml:2: broken YAML: a `: ` too many, or wrong indentation, here or just above
""",
    ),
    "quotes never closed, and a fault in the next document": (
        """\
apiVersion: v1
kind: "Pod
metadata:
  name: web
---
apiVersion: v1
kind: Pud
metadata: {name: a}
""",
        """\
web.yaml:2: broken YAML: quotes that open here are never closed; close them
web.yaml:7 Pud/a .kind: unknown kind `Pud`; did you mean `Pod`?
""",
    ),
    "a list never closed": (
        """\
apiVersion: v1
kind: [Pod
metadata:
  name: web
""",
        """\
web.yaml:2: broken YAML: a list that begins with `[` does not end; add `]`
""",
    ),
    "a template": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
""",
        """\
web.yaml:1 Service: `ports` is missing; a Service has at least one, such as `- port: 80`
web.yaml:4 Service .metadata.name: a key that is no text; `{{ … }}` is a template; render it first (`helm template`)
web.yaml:4 Service .metadata.name: must be text, not a mapping; check the indentation
""",
    ),
    "a tag that would run code": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: !!python/object/apply:os.system ["x"]
""",
        """\
web.yaml:1 Pod: `spec` is missing; add it
web.yaml:4 Pod .metadata.name: unknown tag `!!python/object/apply:os.system`; remove it
web.yaml:4 Pod .metadata.name: must be text, not a list; check the indentation
""",
    ),
    "a control character": (
        "a: \x07\n",
        """\
web.yaml:1: character U+0007 may not stand in YAML; remove it
""",
    ),
    "a billion laughs": (
        """\
a: &a [x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]
e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]
f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]
""",
        """\
web.yaml:1: more than 400000 values; load it in parts
""",
    ),
    "an alias to itself": (
        "a: &a [*a]\n",
        """\
web.yaml:1: nested more than 100 levels deep; no manifest is
""",
    ),
}


@pytest.mark.parametrize(("text", "lines"), BROKEN.values(), ids=BROKEN)
def test_broken_yaml_is_explained(text: str, lines: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(text, name="web.yaml")
    assert str(refused.value) == lines.rstrip("\n")
