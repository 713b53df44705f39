"""Names, labels, pods and workloads, as the API server sees them.

Each row: a manifest, and the lines that a learner reads.
"""

# ruff: noqa: E501 - the expected lines stand as a learner reads them

from __future__ import annotations

import pytest

from labkit.api.manifests import load
from labkit.errors import ManifestError

RULES = {
    "labels' keys and values": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    app: my app
    -x: y
    n: 5
spec: {containers: [{name: c, image: i}]}
""",
        """\
web.yaml:6 Pod/web .metadata.labels.app: `my app` is no valid label value: it has letters, digits, `-`, `_` and `.`, with a letter or digit at both ends
web.yaml:7 Pod/web .metadata.labels[-x]: `-x` is no valid key: a key has letters, digits, `-`, `_` and `.`, with a letter or digit at both ends
web.yaml:7 Pod/web .metadata.labels[-x]: must be text, and YAML reads `y` as true; put it in quotes: "y"
web.yaml:8 Pod/web .metadata.labels.false: must be text, and 5 is not; put it in quotes: "5"
""",
    ),
    "containers and port names twice": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - {name: c, image: i, ports: [{name: a, containerPort: 1}, {name: a, containerPort: 2}]}
  - {name: c, image: i}
""",
        """\
web.yaml:7 Pod/web .spec.containers[0].ports[1].name: `a` is already that of ports[0]
web.yaml:8 Pod/web .spec.containers[1].name: `c` is already the name of containers[0]
""",
    ),
    "no container": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers: []
""",
        """\
web.yaml:6 Pod/web .spec.containers: is empty; a pod has at least one container
""",
    ),
    "a volume that is not there": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: c
    image: i
    volumeMounts: [{name: v, mountPath: /x}]
""",
        """\
web.yaml:9 Pod/web .spec.containers[0].volumeMounts[0].name: no volume is called `v`; add it to `volumes`
""",
    ),
    "a Deployment that never restarts": (
        """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: d
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}
""",
        """\
web.yaml:7 Deployment/d .spec.template.spec.restartPolicy: restartPolicy is Never; here it must be Always
""",
    ),
    "a Deployment without selector": (
        """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: d
spec:
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}
""",
        """\
web.yaml:5 Deployment/d .spec: `selector` is missing; add it
""",
    ),
    "markup as a name": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: <script>alert(1)</script>
spec: {containers: [{name: c, image: i}]}
""",
        """\
web.yaml:4 Pod/<script>alert(1)</script> .metadata.name: `<script>alert(1)</script>` is no valid name: a name has small letters, digits, `-` and `.`, and begins and ends with a letter or digit; try `script-alert-1-script`
""",
    ),
    "a line break in a name": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: "a\\nb"
spec: {containers: [{name: c, image: i}]}
""",
        """\
web.yaml:4 Pod/a\\nb .metadata.name: `a\\nb` is no valid name: a name has small letters, digits, `-` and `.`, and begins and ends with a letter or digit; try `a-b`
""",
    ),
    "quantities": (
        """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: c
    image: i
    resources: {requests: {cpu: 2, memory: 64MB}, limits: {cpu: 1}}
""",
        """\
web.yaml:9 Pod/web .spec.containers[0].resources.requests.memory: `64MB` is no quantity such as 250m, 1.5 or 64Mi
web.yaml:9 Pod/web .spec.containers[0].resources.requests.cpu: 2 is more than the limit of 1
""",
    ),
    "a Job that always restarts": (
        """\
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  template:
    spec: {containers: [{name: c, image: i}]}
""",
        """\
web.yaml:6 Job/j .spec.template.spec: restartPolicy is Always; here it must be OnFailure or Never
""",
    ),
    "a secret in plain text": (
        """\
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {password: hunter2!}
""",
        """\
web.yaml:4 Secret/s .data.password: `hunter2!` is not base64; plain text goes under `stringData`
""",
    ),
}


@pytest.mark.parametrize(("text", "lines"), RULES.values(), ids=RULES)
def test_what_the_api_server_would_refuse_is_refused(text: str, lines: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(text, name="web.yaml")
    assert str(refused.value) == lines.rstrip("\n")
