"""networking.k8s.io/v1: NetworkPolicy, Ingress, IngressClass.

None and empty differ in a policy and both are kept: `from: []` is a rule without a source
condition like a missing `from`, but `ingress: []` has no rule at all.

Source: Kubernetes `k8s.io/api/networking/v1/types.go`.
"""

from __future__ import annotations

from typing import Literal

from labkit.api.core import LoadBalancerStatus, PortProtocol
from labkit.api.meta import Field, LabelSelector, Object

LAST_PORT = 65535


class IPBlock(Field, frozen=True):
    cidr: str
    except_: tuple[str, ...] = ()


class NetworkPolicyPeer(Field, frozen=True):
    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


class NetworkPolicyPort(Field, frozen=True):
    protocol: PortProtocol = "TCP"
    port: int | str | None = None
    end_port: int | None = None

    @property
    def numbers(self) -> range:
        """The ports that it covers: all where none is given, none where a pod has to say."""
        if self.port is None:
            return range(LAST_PORT + 1)
        if isinstance(self.port, str):
            return range(0)
        return range(self.port, (self.end_port or self.port) + 1)


class IngressRule(Field, frozen=True):
    """One item of `spec.ingress` of a NetworkPolicy."""

    from_: tuple[NetworkPolicyPeer, ...] = ()
    ports: tuple[NetworkPolicyPort, ...] = ()


class EgressRule(Field, frozen=True):
    to: tuple[NetworkPolicyPeer, ...] = ()
    ports: tuple[NetworkPolicyPort, ...] = ()


class NetworkPolicySpec(Field, frozen=True):
    pod_selector: LabelSelector = LabelSelector()
    ingress: tuple[IngressRule, ...] | None = None
    egress: tuple[EgressRule, ...] | None = None
    policy_types: tuple[Literal["Ingress", "Egress"], ...] = ()


class NetworkPolicy(Object, frozen=True):
    spec: NetworkPolicySpec = NetworkPolicySpec()


class ServiceBackendPort(Field, frozen=True):
    name: str = ""
    number: int = 0


class IngressServiceBackend(Field, frozen=True):
    name: str
    port: ServiceBackendPort = ServiceBackendPort()


class IngressBackend(Field, frozen=True):
    service: IngressServiceBackend | None = None


class HTTPIngressPath(Field, frozen=True):
    backend: IngressBackend
    path: str = ""
    path_type: str = ""


class HTTPIngressRule(Field, frozen=True):
    paths: tuple[HTTPIngressPath, ...] = ()


class IngressHostRule(Field, frozen=True):
    """One item of `spec.rules` of an Ingress."""

    host: str = ""
    http: HTTPIngressRule | None = None


class IngressTLS(Field, frozen=True):
    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressSpec(Field, frozen=True):
    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    rules: tuple[IngressHostRule, ...] = ()
    tls: tuple[IngressTLS, ...] = ()


class IngressStatus(Field, frozen=True):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Ingress(Object, frozen=True):
    spec: IngressSpec = IngressSpec()
    status: IngressStatus = IngressStatus()


class IngressClassSpec(Field, frozen=True):
    controller: str = ""


class IngressClass(Object, frozen=True):
    spec: IngressClassSpec = IngressClassSpec()
