"""Services, slices, policies, Ingresses and ranges, as the API server sees them.

Each row: a manifest, and the lines that a learner reads.
"""

# ruff: noqa: E501 - the expected lines stand as a learner reads them

from __future__ import annotations

import pytest

from labkit.api.manifests import load
from labkit.errors import ManifestError

NETWORK = {
    "a node port out of range": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: NodePort
  ports:
  - port: 80
    nodePort: 8080
""",
        """\
web.yaml:9 Service/web .spec.ports[0].nodePort: 8080 is not in the range of node ports; choose from 30000-32767, or leave it out
""",
    ),
    "a node port of a ClusterIP Service": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
    nodePort: 30080
""",
        """\
web.yaml:8 Service/web .spec.ports[0].nodePort: does not go with type ClusterIP; use type NodePort
""",
    ),
    "several ports without names": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
  - port: 81
""",
        """\
web.yaml:7 Service/web .spec.ports[0]: `name` is missing; with several ports each needs one
web.yaml:8 Service/web .spec.ports[1]: `name` is missing; with several ports each needs one
""",
    ),
    "ports twice": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - {name: a, port: 80}
  - {name: a, port: 80}
""",
        """\
web.yaml:8 Service/web .spec.ports[1].name: `a` is already that of ports[0]
web.yaml:8 Service/web .spec.ports[1].port: `80 TCP` is already that of ports[0]
""",
    ),
    "a target port in quotes": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
    targetPort: "8080"
""",
        """\
web.yaml:8 Service/web .spec.ports[0].targetPort: "8080" is text; a port's number is written without quotes
""",
    ),
    "a cluster IP that is none": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  clusterIP: none
  ports:
  - port: 80
""",
        """\
web.yaml:6 Service/web .spec.clusterIP: `none` is neither an IP address nor `None`; did you mean `None`?
""",
    ),
    "ExternalName without a name": (
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: ExternalName
""",
        """\
web.yaml:5 Service/web .spec: `externalName` is missing; an ExternalName Service needs it
""",
    ),
    "blocks and peers of a policy": (
        """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: p
spec:
  podSelector: {}
  ingress:
  - from:
    - ipBlock: {cidr: 10.0.0.0, except: [10.1.0.0/16]}
    - ipBlock:
        cidr: 10.0.0.0/8
        except: [11.0.0.0/16]
    - {}
    - ipBlock: {cidr: 10.0.0.0/8}
      podSelector: {}
""",
        """\
web.yaml:9 NetworkPolicy/p .spec.ingress[0].from[0].ipBlock.cidr: `10.0.0.0` is no CIDR such as 10.244.0.0/16 or fd00::/64; for this address alone write `10.0.0.0/32`
web.yaml:12 NetworkPolicy/p .spec.ingress[0].from[1].ipBlock.except[0]: `11.0.0.0/16` does not lie within 10.0.0.0/8; only a part of it can be left out
web.yaml:13 NetworkPolicy/p .spec.ingress[0].from[2]: says nothing; give podSelector, namespaceSelector or ipBlock
web.yaml:14 NetworkPolicy/p .spec.ingress[0].from[3]: has ipBlock and podSelector; make two items of them
""",
    ),
    "ranges of ports": (
        """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: p
spec:
  podSelector: {}
  ingress:
  - ports:
    - {port: 80, endPort: 70}
    - {port: web, endPort: 90}
    - protocol: http
""",
        """\
web.yaml:9 NetworkPolicy/p .spec.ingress[0].ports[0].endPort: 70 is less than port 80; swap them
web.yaml:10 NetworkPolicy/p .spec.ingress[0].ports[1].endPort: needs a number as `port`, which has a name
web.yaml:11 NetworkPolicy/p .spec.ingress[0].ports[2].protocol: `http` is not one of TCP, UDP, SCTP
""",
    ),
    "policyTypes in small letters": (
        """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: p
spec:
  podSelector: {}
  policyTypes: [ingress]
""",
        """\
web.yaml:7 NetworkPolicy/p .spec.policyTypes[0]: `ingress` is not one of Ingress, Egress; did you mean `Ingress`?
""",
    ),
    "paths and backends of an Ingress": (
        """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i
spec:
  rules:
  - host: 10.0.0.1
    http:
      paths:
      - path: shop
        backend: {service: {name: web, port: {number: 80, name: x}}}
      - pathType: prefix
        path: /
        backend: {}
""",
        """\
web.yaml:7 Ingress/i .spec.rules[0].host: `10.0.0.1` is an address; a host is a DNS name: remove it to match every host
web.yaml:10 Ingress/i .spec.rules[0].http.paths[0]: `pathType` is missing; add it
web.yaml:10 Ingress/i .spec.rules[0].http.paths[0].path: `shop` is no absolute path; begin it with `/`
web.yaml:11 Ingress/i .spec.rules[0].http.paths[0].backend.service.port: has `number` and `name`; keep one of them
web.yaml:12 Ingress/i .spec.rules[0].http.paths[1].pathType: `prefix` is not one of Exact, Prefix, ImplementationSpecific; did you mean `Prefix`?
web.yaml:14 Ingress/i .spec.rules[0].http.paths[1].backend: says nothing; give `service` or `resource`
""",
    ),
    "an Ingress without rules": (
        """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i
spec:
  ingressClassName: nginx
""",
        """\
web.yaml:5 Ingress/i .spec: has neither `rules` nor `defaultBackend`; give one of them
""",
    ),
    "two ranges of one family": (
        """\
apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDR: 10.244.1.0/24, podCIDRs: [10.244.2.0/24, 10.244.3.0/24]}
""",
        """\
web.yaml:4 Node/n1 .spec.podCIDRs[0]: must equal podCIDR, which is `10.244.1.0/24`
web.yaml:4 Node/n1 .spec.podCIDRs[1]: is of the same family as the first; one must be IPv4, one IPv6
""",
    ),
    "addresses of a slice": (
        """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s}
addressType: IPv4
endpoints:
- addresses: [fd00::1]
- addresses: []
ports: [{port: 0}]
""",
        """\
web.yaml:6 EndpointSlice/s .endpoints[0].addresses[0]: `fd00::1` is not of addressType IPv4
web.yaml:7 EndpointSlice/s .endpoints[1].addresses: is empty; an endpoint has at least one address
web.yaml:8 EndpointSlice/s .ports[0].port: 0 is no port; ports are 1-65535
""",
    ),
}


@pytest.mark.parametrize(("text", "lines"), NETWORK.values(), ids=NETWORK)
def test_what_the_api_server_would_refuse_is_refused(text: str, lines: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(text, name="web.yaml")
    assert str(refused.value) == lines.rstrip("\n")
