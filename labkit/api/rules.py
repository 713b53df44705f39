"""What single fields may hold: one row a field, as the API server checks them on write.

A row's key is `Type.field`, with the types' names of `data/schema/kubernetes.json`, so it holds
wherever that type occurs: a pod's rows also hold in every template.

Source: Kubernetes `pkg/apis/{core,apps,batch,discovery,networking}/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from labkit.api import syntax
from labkit.api.syntax import Check, between, one_of

_PROTOCOL = one_of("TCP", "UDP", "SCTP")
_ACTION = one_of("Accept", "Deny", "Pass")
_FAMILY = one_of("IPv4", "IPv6")
_COUNT = between(0)
_STATUS = one_of("True", "False", "Unknown")
_PULL = one_of("Always", "IfNotPresent", "Never")

VALUES: Mapping[str, Callable[[Any], str]] = {
    "ObjectMeta.generateName": syntax.generate_name,
    "ObjectMeta.namespace": syntax.dns_label,
    "LabelSelectorRequirement.key": syntax.label_key,
    "LabelSelectorRequirement.operator": one_of("In", "NotIn", "Exists", "DoesNotExist"),
    "LabelSelectorRequirement.values": syntax.label_value,
    "LabelSelector.matchLabels": syntax.label_value,
    "ObjectMeta.labels": syntax.label_value,
    # Node
    "NodeSpec.podCIDR": syntax.cidr,
    "NodeSpec.podCIDRs": syntax.cidr,
    "Taint.key": syntax.label_key,
    "Taint.value": syntax.label_value,
    "Taint.effect": one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
    "NodeCondition.status": _STATUS,
    # Pod
    "PodSpec.dnsPolicy": one_of("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "PodSpec.hostname": syntax.dns_label,
    "PodSpec.nodeName": syntax.dns_subdomain,
    "PodSpec.nodeSelector": syntax.label_value,
    "PodSpec.restartPolicy": one_of("Always", "OnFailure", "Never"),
    "PodSpec.serviceAccountName": syntax.dns_subdomain,
    "PodSpec.subdomain": syntax.dns_label,
    "PodSpec.terminationGracePeriodSeconds": _COUNT,
    "PodDNSConfig.nameservers": syntax.address,
    "PodStatus.hostIP": syntax.optional_address,
    "PodStatus.phase": one_of("Pending", "Running", "Succeeded", "Failed", "Unknown"),
    "PodStatus.podIP": syntax.optional_address,
    "PodIP.ip": syntax.address,
    "HostIP.ip": syntax.address,
    "PodCondition.status": _STATUS,
    "HostAlias.ip": syntax.address,
    "Toleration.operator": one_of("Exists", "Equal", "Lt", "Gt"),
    "Toleration.effect": one_of("NoSchedule", "PreferNoSchedule", "NoExecute", ""),
    "Volume.name": syntax.dns_label,
    "Container.name": syntax.dns_label,
    "Container.imagePullPolicy": _PULL,
    "EphemeralContainer.name": syntax.dns_label,
    "EphemeralContainer.imagePullPolicy": _PULL,
    "EnvVar.name": syntax.env_name,
    "ContainerPort.containerPort": syntax.port,
    "ContainerPort.hostPort": between(0, 65535),
    "ContainerPort.name": syntax.port_name,
    "ContainerPort.protocol": _PROTOCOL,
    "HTTPGetAction.port": syntax.port_or_name,
    "HTTPGetAction.scheme": one_of("HTTP", "HTTPS"),
    "TCPSocketAction.port": syntax.port_or_name,
    "GRPCAction.port": syntax.port,
    "Probe.failureThreshold": _COUNT,
    "Probe.initialDelaySeconds": _COUNT,
    "Probe.periodSeconds": _COUNT,
    "Probe.successThreshold": _COUNT,
    "Probe.timeoutSeconds": _COUNT,
    # workloads
    "ReplicaSetSpec.replicas": _COUNT,
    "DeploymentSpec.replicas": _COUNT,
    "DeploymentSpec.minReadySeconds": _COUNT,
    "DeploymentStrategy.type": one_of("RollingUpdate", "Recreate"),
    "RollingUpdateDeployment.maxSurge": syntax.count_or_percent,
    "RollingUpdateDeployment.maxUnavailable": syntax.count_or_percent,
    "StatefulSetSpec.replicas": _COUNT,
    "StatefulSetSpec.podManagementPolicy": one_of("OrderedReady", "Parallel"),
    "StatefulSetUpdateStrategy.type": one_of("RollingUpdate", "OnDelete"),
    "DaemonSetUpdateStrategy.type": one_of("RollingUpdate", "OnDelete"),
    "JobSpec.parallelism": _COUNT,
    "JobSpec.completions": _COUNT,
    "JobSpec.backoffLimit": _COUNT,
    "JobSpec.completionMode": one_of("NonIndexed", "Indexed"),
    # Service and its endpoints
    "ServiceSpec.type": one_of("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    "ServiceSpec.selector": syntax.label_value,
    "ServiceSpec.clusterIP": syntax.cluster_ip,
    "ServiceSpec.clusterIPs": syntax.cluster_ip,
    "ServiceSpec.externalIPs": syntax.address,
    "ServiceSpec.externalTrafficPolicy": one_of("Cluster", "Local"),
    "ServiceSpec.internalTrafficPolicy": one_of("Cluster", "Local"),
    "ServiceSpec.ipFamilies": _FAMILY,
    "ServiceSpec.ipFamilyPolicy": one_of("SingleStack", "PreferDualStack", "RequireDualStack"),
    "ServiceSpec.loadBalancerSourceRanges": lambda text: syntax.cidr(text.strip()),
    "ServiceSpec.sessionAffinity": one_of("None", "ClientIP"),
    "ServiceSpec.trafficDistribution": one_of("PreferClose", "PreferSameZone", "PreferSameNode"),
    "ClientIPConfig.timeoutSeconds": between(1, 86400),
    "ServicePort.name": syntax.dns_label,
    "ServicePort.port": syntax.port,
    "ServicePort.protocol": _PROTOCOL,
    "ServicePort.targetPort": syntax.port_or_name,
    "ServicePort.nodePort": syntax.node_port,
    "EndpointAddress.ip": syntax.address,
    "EndpointPort.port": syntax.port,
    "EndpointPort.protocol": _PROTOCOL,
    "EndpointSlice.addressType": one_of("IPv4", "IPv6", "FQDN"),
    "Endpoint.nodeName": syntax.dns_subdomain,
    "Endpoint.hostname": syntax.dns_label,
    "discovery.EndpointPort.port": syntax.port,
    "discovery.EndpointPort.protocol": _PROTOCOL,
    # NetworkPolicy
    "NetworkPolicySpec.policyTypes": one_of("Ingress", "Egress"),
    "NetworkPolicyPort.port": syntax.port_or_name,
    "NetworkPolicyPort.protocol": _PROTOCOL,
    "NetworkPolicyPort.endPort": syntax.port,
    "IPBlock.cidr": syntax.cidr,
    "IPBlock.except": syntax.cidr,
    # ClusterNetworkPolicy
    "ClusterNetworkPolicySpec.tier": one_of("Admin", "Baseline"),
    "ClusterNetworkPolicySpec.priority": between(0, 1000),
    "ClusterNetworkPolicyIngressRule.action": _ACTION,
    "ClusterNetworkPolicyEgressRule.action": _ACTION,
    "ClusterNetworkPolicyEgressPeer.networks": syntax.cidr,
    "ClusterNetworkPolicyPort.number": syntax.port,
    "ClusterNetworkPolicyPortRange.start": syntax.port,
    "ClusterNetworkPolicyPortRange.end": syntax.port,
    # Ingress
    "IngressSpec.ingressClassName": syntax.dns_subdomain,
    "IngressRule.host": syntax.dns_host,
    "IngressTLS.hosts": syntax.dns_host,
    "IngressServiceBackend.name": syntax.dns_label,
    "ServiceBackendPort.number": syntax.port,
    "ServiceBackendPort.name": syntax.port_name,
    "HTTPIngressPath.pathType": one_of("Exact", "Prefix", "ImplementationSpecific"),
}

KEYS: Mapping[str, Check] = {
    "ObjectMeta.labels": syntax.label_key,
    "ObjectMeta.annotations": syntax.annotation_key,
    "LabelSelector.matchLabels": syntax.label_key,
    "PodSpec.nodeSelector": syntax.label_key,
    "ServiceSpec.selector": syntax.label_key,
    "ConfigMap.data": syntax.config_key,
    "ConfigMap.binaryData": syntax.config_key,
    "Secret.data": syntax.config_key,
    "Secret.stringData": syntax.config_key,
}

_ONLY_ALLOWS = "can only allow; what no rule allows is closed once a policy selects the pod"
_NO_REQUESTS = "sees addresses and ports, never what is inside a request"
_PROTOCOLS = "ports stand under `protocols`, as `- tcp: {destinationPort: {number: …}}`"
_V1BETA1 = "that was networking.k8s.io/v1beta1; now it is"
_SELECTOR = "a Service's selector holds the labels themselves, without `{}`"

FIELD_HINTS: Mapping[tuple[str, str], str] = {
    # (type, field that it does not have) or (map, key that is a mistake): what was meant;
    # `*` stands for every field.
    ("LabelSelector", "*"): "labels stand under `matchLabels`",
    ("ServiceSpec.selector", "matchLabels"): _SELECTOR.format("matchLabels"),
    ("ServiceSpec.selector", "matchExpressions"): _SELECTOR.format("matchExpressions"),
    ("ServicePort", "containerPort"): "the pod's port is `targetPort` here",
    ("ContainerPort", "port"): "in a container it is `containerPort`",
    ("ContainerPort", "targetPort"): "in a container it is `containerPort`",
    ("IngressBackend", "serviceName"): f"{_V1BETA1} `service: {{name: …}}`",
    ("IngressBackend", "servicePort"): f"{_V1BETA1} `service: {{port: {{number: …}}}}`",
    ("IngressSpec", "backend"): f"{_V1BETA1} `defaultBackend`",
    ("NetworkPolicySpec", "from"): "`from` stands in an item of `ingress`",
    ("NetworkPolicySpec", "to"): "`to` stands in an item of `egress`",
    ("NetworkPolicyIngressRule", "to"): "an ingress rule has `from`; `to` is for egress",
    ("NetworkPolicyEgressRule", "from"): "an egress rule has `to`; `from` is for ingress",
    ("NetworkPolicyPeer", "cidr"): "`cidr` stands under `ipBlock`",
    **{
        (f"NetworkPolicy{place}", key): f"a NetworkPolicy {can}"
        for place in ("Spec", "IngressRule", "EgressRule", "Port", "Peer")
        for key, can in {
            "deny": _ONLY_ALLOWS,
            "action": _ONLY_ALLOWS,
            "path": _NO_REQUESTS,
            "method": _NO_REQUESTS,
            "host": _NO_REQUESTS,
        }.items()
    },
    ("ClusterNetworkPolicySpec", "podSelector"): "whom it is about stands under `subject`",
    ("ClusterNetworkPolicyIngressRule", "ports"): _PROTOCOLS,
    ("ClusterNetworkPolicyEgressRule", "ports"): _PROTOCOLS,
    ("ClusterNetworkPolicyIngressPeer", "networks"): "only an egress rule can name networks",
    ("ClusterNetworkPolicyIngressPeer", "nodes"): "only an egress rule can name nodes",
}
