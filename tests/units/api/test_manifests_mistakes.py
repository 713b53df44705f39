"""Mistakes that learners make most.

Each row: a manifest, and the lines that a learner reads.
"""

# ruff: noqa: E501 - the expected lines stand as a learner reads them

from __future__ import annotations

import pytest

from labkit.api.manifests import load
from labkit.errors import ManifestError

MISTAKES = {
    "misspelled key (selectors)": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selectors:
    app: web
  ports:
  - port: 80
""",
        """\
web.yaml:6 Service/web .spec: unknown field `selectors`; did you mean `selector`?
""",
    ),
    "port is text": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - port: eighty
""",
        """\
web.yaml:8 Service/web .spec.ports[0].port: must be a whole number, not the text `eighty`
""",
    ),
    "port quoted '80'": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - port: "80"
""",
        """\
web.yaml:8 Service/web .spec.ports[0].port: must be a whole number, not the text `80`; remove the quotes
""",
    ),
    "selector label value int/bool": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web, version: 2, canary: yes}
  ports:
  - port: 80
""",
        """\
web.yaml:6 Service/web .spec.selector.version: must be text, and 2 is not; put it in quotes: "2"
web.yaml:6 Service/web .spec.selector.canary: must be text, and YAML reads `yes` as true; put it in quotes: "yes"
""",
    ),
    "missing apiVersion": (
        """\
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
""",
        """\
web.yaml:1 Service/web: `apiVersion` is missing; a Service needs `apiVersion: v1`
""",
    ),
    "wrong indentation (ports under selector)": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
    ports:
    - port: 80
""",
        """\
web.yaml:5 Service/web .spec: `ports` is missing; a Service has at least one, such as `- port: 80`
web.yaml:8 Service/web .spec.selector.ports: must be text, not a list; `ports` belongs to .spec: indent it less
""",
    ),
    "duplicate key": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  selector: {app: db}
  ports:
  - port: 80
""",
        """\
web.yaml:7 Service/web .spec: `selector` is here twice, first on line 6; remove one
""",
    ),
    "from/podSelector as string (netpol)": (
        """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: p
spec:
  podSelector:
    app: web
  ingress:
  - from:
    - podSelector: {matchLabels: {a: b}}
    port: 80
""",
        """\
web.yaml:7 NetworkPolicy/p .spec.podSelector: unknown field `app`; labels stand under `matchLabels`
web.yaml:11 NetworkPolicy/p .spec.ingress[0]: unknown field `port`; did you mean `ports`?
""",
    ),
    "wrong apiVersion for kind": (
        """\
apiVersion: v1
kind: Deployment
metadata:
  name: d
spec:
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: i}]}}
""",
        """\
web.yaml:1 Deployment/d .apiVersion: Deployment is not in `v1`; write `apiVersion: apps/v1`
""",
    ),
    "deployment selector mismatch": (
        """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: d
spec:
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: b}}, spec: {containers: [{name: c, image: i}]}}
""",
        """\
web.yaml:6 Deployment/d .spec.selector: asks for `app: a`, but the template has `app: b`; make them equal
""",
    ),
    "port out of range / bad protocol case": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - port: 99999
    protocol: tcp
""",
        """\
web.yaml:8 Service/web .spec.ports[0].port: 99999 is no port; ports are 1-65535
web.yaml:9 Service/web .spec.ports[0].protocol: `tcp` is not one of TCP, UDP, SCTP; did you mean `TCP`?
""",
    ),
    "missing containers": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containerz: []
""",
        """\
web.yaml:5 Pod/web .spec: `containers` is missing; add it
web.yaml:6 Pod/web .spec: unknown field `containerz`; did you mean `containers`?
""",
    ),
    "bad name (underscore, capital)": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: My_Web
spec:
  selector: {app: web}
  ports:
  - port: 80
""",
        """\
web.yaml:4 Service/My_Web .metadata.name: `My_Web` is no valid name: a DNS label has small letters, digits and `-`, and begins and ends with no `-`; try `my-web`
""",
    ),
    "ingress old backend (serviceName)": (
        """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i
spec:
  rules:
  - http:
      paths:
      - path: /
        pathType: Prefix
        backend: {serviceName: web, servicePort: 80}
""",
        """\
web.yaml:11 Ingress/i .spec.rules[0].http.paths[0].backend: unknown field `serviceName`; that was networking.k8s.io/v1beta1; now it is `service: {name: …}`
web.yaml:11 Ingress/i .spec.rules[0].http.paths[0].backend: unknown field `servicePort`; that was networking.k8s.io/v1beta1; now it is `service: {port: {number: …}}`
web.yaml:11 Ingress/i .spec.rules[0].http.paths[0].backend: says nothing; give `service` or `resource`
""",
    ),
}


@pytest.mark.parametrize(("text", "lines"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_line_and_its_cure(text: str, lines: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(text, name="web.yaml")
    assert str(refused.value) == lines.rstrip("\n")
