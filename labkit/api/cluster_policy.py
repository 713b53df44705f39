"""policy.networking.k8s.io/v1alpha2: ClusterNetworkPolicy.

The fields are those of the experimental channel; the standard one, which Calico 3.32 installs,
has neither `nodes` nor `domainNames`.

Source: `apis/v1alpha2/clusternetworkpolicy_types.go` in kubernetes-sigs/network-policy-api.
"""

from __future__ import annotations

from typing import Literal

from labkit.api.meta import Field, LabelSelector, Object

Action = Literal["Accept", "Deny", "Pass"]


class NamespacedPod(Field, frozen=True):
    """Pods by their labels, in namespaces by theirs; an empty selector chooses all."""

    namespace_selector: LabelSelector = LabelSelector()
    pod_selector: LabelSelector = LabelSelector()


class Subject(Field, frozen=True):
    """Whom a policy is about; exactly one field is set. Pods on their node's network never are."""

    namespaces: LabelSelector | None = None
    pods: NamespacedPod | None = None


class ClusterPeer(Field, frozen=True):
    """The other end; exactly one field is set, and an ingress rule has the first two only."""

    namespaces: LabelSelector | None = None
    pods: NamespacedPod | None = None
    nodes: LabelSelector | None = None
    networks: tuple[str, ...] = ()
    domain_names: tuple[str, ...] = ()


class PortRange(Field, frozen=True):
    start: int
    end: int


class DestinationPort(Field, frozen=True):
    number: int = 0
    range: PortRange | None = None


class L4(Field, frozen=True):
    """What is asked of a TCP, UDP or SCTP packet."""

    destination_port: DestinationPort | None = None


class ClusterProtocol(Field, frozen=True):
    """Exactly one field is set."""

    tcp: L4 | None = None
    udp: L4 | None = None
    sctp: L4 | None = None
    destination_named_port: str = ""


class ClusterRule(Field, frozen=True):
    """One item of `spec.ingress`, which has `from`, or of `spec.egress`, which has `to`."""

    action: Action
    name: str = ""
    from_: tuple[ClusterPeer, ...] = ()
    to: tuple[ClusterPeer, ...] = ()
    protocols: tuple[ClusterProtocol, ...] = ()

    @property
    def peers(self) -> tuple[ClusterPeer, ...]:
        return self.from_ or self.to


class ClusterNetworkPolicySpec(Field, frozen=True):
    """All of the first three are written; the defaults stand for no policy at all."""

    tier: Literal["Admin", "Baseline"] = "Admin"
    priority: int = 0
    subject: Subject = Subject()
    ingress: tuple[ClusterRule, ...] = ()
    egress: tuple[ClusterRule, ...] = ()


class ClusterNetworkPolicy(Object, frozen=True):
    spec: ClusterNetworkPolicySpec = ClusterNetworkPolicySpec()
