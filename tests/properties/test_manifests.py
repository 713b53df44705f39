"""Manifests: what is written comes back, and no input makes the door fall in.

The law: `load(dump(x)) == x`, and whatever is done to a good manifest, it is loaded or refused
with a `ManifestError` whose faults are one line each.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.api.manifests import dump, dump_json, load
from labkit.errors import Fault, ManifestError

GOOD = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  type: NodePort
  clusterIP: 10.96.0.7
  selector: {app: web}
  sessionAffinity: ClientIP
  ports:
  - {name: http, port: 80, targetPort: 8080, nodePort: 30080, protocol: TCP}
  - {name: dns, port: 53, targetPort: dns, protocol: UDP}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector:
    matchLabels: {app: db}
    matchExpressions: [{key: app, operator: In, values: [db]}]
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: db
        image: db:1
        env: [{name: A, value: "1"}]
        ports: [{containerPort: 5432, name: sql, hostPort: 5432}]
        readinessProbe: {tcpSocket: {port: sql}}
        resources: {requests: {cpu: 100m}, limits: {cpu: 1}}
        volumeMounts: [{name: data, mountPath: /data}]
      tolerations: [{operator: Exists}]
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector: {matchLabels: {app: web}}
      namespaceSelector: {}
    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
    ports: [{port: 80, endPort: 90, protocol: TCP}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i}
spec:
  rules:
  - host: "*.shop.example"
    http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1}
addressType: IPv4
endpoints: [{addresses: [10.244.1.2], conditions: {ready: true}}]
ports: [{name: "", port: 8080, protocol: TCP}]
---
apiVersion: v1
kind: Node
metadata: {name: node-1}
spec: {podCIDR: 10.244.0.0/24, podCIDRs: [10.244.0.0/24, "fd00::/64"]}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
spec: {a: [1, 2.5, null, true, "yes"]}
"""

ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["", "None", "10.0.0.0/8", "fe80::1%eth0", "10.0.0.0/8/8", "<script>", "a\nb", "²", "1e9"]
    ),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just([[{}]]),
    st.just({"": {"": []}}),
    st.dictionaries(st.text(max_size=4), st.integers() | st.lists(st.text(max_size=3))),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside plain data, by its keys and indexes."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, item in inner:
            deep = isinstance(item, dict | list)
            found += places(item, (*path, key)) if deep else [(*path, key)]
    return found


@st.composite
def mutated(draw: st.DrawFn) -> list[Any]:
    """The good manifests with one to three of their values replaced, removed or renamed."""
    manifests: list[Any] = json.loads(json.dumps([x.manifest for x in load(GOOD)]))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(places(manifests)))
        holder: Any = manifests
        for key in above:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "remove", "add", "double"])):
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=10) | st.just("a\n"))] = deepcopy(draw(ODD))
            case "double" if isinstance(holder, list):
                holder.append(deepcopy(holder[last]))
            case _:
                holder[last] = deepcopy(draw(ODD))
    return manifests


def accepted(source: Any) -> bool:
    """Whether it is loaded; any other end than that or a `ManifestError` fails the test."""
    faults: tuple[Fault, ...] = ()
    try:
        load(source)
    except ManifestError as error:
        faults = error.faults or (Fault("", 0, "", "", "\n"),)
    assert not any(len(str(fault).splitlines()) != 1 for fault in faults)
    return not faults


def test_the_manifests_that_are_mutated_are_good() -> None:
    assert len(load(GOOD)) == 7


@given(mutated())
def test_a_mutated_manifest_is_taken_or_refused_in_lines(manifests: list[Any]) -> None:
    accepted(manifests)


@given(st.data())
def test_mutated_text_is_taken_or_refused_in_lines(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    until = data.draw(st.integers(at, min(len(GOOD), at + 20)))
    piece = data.draw(
        st.text(max_size=5)
        | st.sampled_from(["\t", "*a", "&a ", "<<: *a", ": ", "- ", "!!set ", "{"])
    )
    accepted(GOOD[:at] + piece + GOOD[until:])


@given(st.text())
def test_any_text_is_taken_or_refused_in_lines(text: str) -> None:
    accepted(text + "\n")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORDS = st.sampled_from(
    [
        "y",
        "no",
        "On",
        "~",
        "null",
        "010",
        "1e3",
        "12:30",
        "2001-01-01",
        "=",
        "<<",
        "-",
        "{a}",
        "[",
        "#",
        "'x",
        '"y',
        "a:",
        ":b",
        "!",
        "%",
        "@",
        "...",
        "---",
    ]
)
LINES = st.lists(TEXT | WORDS | st.just(" "), max_size=4).map("\n".join)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer())
    | TEXT
    | WORDS
    | LINES
    | st.just("...\n"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_what_is_dumped_loads_as_the_same(spec: Any) -> None:
    manifest = {"apiVersion": "a.example/v1", "kind": "A", "metadata": {"name": "a"}, "spec": spec}
    (from_list,) = load([manifest])
    (from_yaml,) = load(dump(manifest))
    (from_json,) = load(dump_json(manifest))
    assert from_list.manifest == from_yaml.manifest == from_json.manifest == manifest
    assert repr(from_list.manifest) == repr(manifest)  # and 1 has not become true
