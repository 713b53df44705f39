"""Clusters with policies for the pictures: small ones, and large ones that are made once."""

from __future__ import annotations

from functools import cache

from labkit import Cluster, kubectl, scenario

HEAD = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s}
spec: {podSelector: {%s}, %s}
"""
FRONT = HEAD % (
    "from-frontend",
    "matchLabels: {app: backend}",
    "ingress: [{from: [{podSelector: {matchLabels: {app: frontend}}}], ports: [{port: 8080}]}]",
)
DENY = HEAD % ("deny", "", "policyTypes: [Ingress]")
OUT = HEAD % ("db-out", "matchLabels: {app: db}", "policyTypes: [Egress]")
BOTH = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: two}
spec:
  podSelector: {matchLabels: {app: backend}}
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}
    - podSelector: {matchLabels: {app: monitoring}}
"""


def shop(*policies: str, cni: str = "calico") -> Cluster:
    lab = scenario("shop", cni=cni, proxy_mode="iptables")
    for policy in policies:
        lab.apply(policy)
    return lab


@cache
def crowd(*policies: str) -> Cluster:
    """200 pods of five workloads."""
    lab = shop(*policies)
    for name, count in (("frontend", 80), ("backend", 60), ("db", 20)):
        kubectl(lab, f"scale deployment {name} --replicas={count}")
    kubectl(lab, "scale deployment payments -n pay --replicas=39")
    return lab


@cache
def strangers(*policies: str) -> Cluster:
    """60 pods of which no two are alike."""
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: app-%d, labels: {a: n%d, half: h%d}}\n"
        "spec: {containers: [{name: c, image: c}]}"
    )
    return shop("\n---\n".join(pod % (n, n, n % 2) for n in range(60)), *policies)
