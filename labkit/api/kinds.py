"""The kinds that the lab models: how the API and `kubectl` name each, and its type."""

from __future__ import annotations

import msgspec

from labkit.api import apps, cluster_policy, core, discovery, networking
from labkit.api.meta import Object


class Kind(msgspec.Struct, frozen=True):
    """One row of `kubectl api-resources`."""

    kind: str
    api_version: str
    plural: str
    type: type[Object]
    short: tuple[str, ...] = ()
    namespaced: bool = True

    @property
    def group(self) -> str:
        """`apps`; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def resource(self) -> str:
        """`deployments.apps`; `pods` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        return self.kind.lower()


KINDS: tuple[Kind, ...] = (
    Kind("ConfigMap", "v1", "configmaps", core.ConfigMap, ("cm",)),
    Kind("Endpoints", "v1", "endpoints", core.Endpoints, ("ep",)),
    Kind("Namespace", "v1", "namespaces", core.Namespace, ("ns",), False),
    Kind("Node", "v1", "nodes", core.Node, ("no",), False),
    Kind("Pod", "v1", "pods", core.Pod, ("po",)),
    Kind("Secret", "v1", "secrets", core.Secret),
    Kind("ServiceAccount", "v1", "serviceaccounts", core.ServiceAccount, ("sa",)),
    Kind("Service", "v1", "services", core.Service, ("svc",)),
    Kind("DaemonSet", "apps/v1", "daemonsets", apps.DaemonSet, ("ds",)),
    Kind("Deployment", "apps/v1", "deployments", apps.Deployment, ("deploy",)),
    Kind("ReplicaSet", "apps/v1", "replicasets", apps.ReplicaSet, ("rs",)),
    Kind("StatefulSet", "apps/v1", "statefulsets", apps.StatefulSet, ("sts",)),
    Kind("Job", "batch/v1", "jobs", apps.Job),
    Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices", discovery.EndpointSlice),
    Kind(
        "IngressClass", "networking.k8s.io/v1", "ingressclasses", networking.IngressClass, (), False
    ),
    Kind("Ingress", "networking.k8s.io/v1", "ingresses", networking.Ingress, ("ing",)),
    Kind(
        "NetworkPolicy",
        "networking.k8s.io/v1",
        "networkpolicies",
        networking.NetworkPolicy,
        ("netpol",),
    ),
    Kind(
        "ClusterNetworkPolicy",
        "policy.networking.k8s.io/v1alpha2",
        "clusternetworkpolicies",
        cluster_policy.ClusterNetworkPolicy,
        ("cnp",),
        False,
    ),
)

BY_KIND = {k.kind: k for k in KINDS}
BY_TYPE = {k.type: k for k in KINDS}
BY_WORD = {
    word: k for k in KINDS for word in (k.plural, k.singular, *k.short, k.resource)
}  # what may stand behind `kubectl get`
