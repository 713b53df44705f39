"""The core group: Namespace, Node, Pod, Service, ConfigMap, ServiceAccount, Endpoints.

Source: Kubernetes `k8s.io/api/core/v1/types.go`; fields that no lesson needs stay in the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from labkit.api.meta import Address, Condition, Field, Object

PortProtocol = Literal["TCP", "UDP", "SCTP"]
IPFamily = Literal["IPv4", "IPv6"]


class Namespace(Object, frozen=True):
    pass


class ServiceAccount(Object, frozen=True):
    pass


class ConfigMap(Object, frozen=True):
    data: Mapping[str, str] = {}


class Secret(Object, frozen=True):
    type: str = "Opaque"


# --- Node ------------------------------------------------------------------------------


class Taint(Field, frozen=True):
    key: str
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    value: str = ""


class NodeSpec(Field, frozen=True):
    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] = ()
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeAddress(Field, frozen=True):
    type: str
    address: str


class NodeInfo(Field, frozen=True):
    """`status.nodeInfo`"""

    kubelet_version: str = ""
    os_image: str = ""
    kernel_version: str = ""
    container_runtime_version: str = ""


class NodeStatus(Field, frozen=True):
    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()
    node_info: NodeInfo = NodeInfo()


class Node(Object, frozen=True):
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


# --- Pod -------------------------------------------------------------------------------


class ContainerPort(Field, frozen=True):
    container_port: int
    name: str = ""
    protocol: PortProtocol = "TCP"
    host_port: int | None = None
    host_ip: str = ""


class PortAction(Field, frozen=True):
    """`httpGet`, `tcpSocket` and `grpc` of a probe, as far as ports go."""

    port: int | str
    path: str = ""


class Probe(Field, frozen=True):
    http_get: PortAction | None = None
    tcp_socket: PortAction | None = None
    grpc: PortAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    success_threshold: int = 1


class SleepAction(Field, frozen=True):
    seconds: int = 0


class ExecAction(Field, frozen=True):
    command: tuple[str, ...] = ()


class LifecycleHandler(Field, frozen=True):
    """What a hook does; a request by HTTP stays in the manifest."""

    sleep: SleepAction | None = None
    exec_: ExecAction | None = None


class Lifecycle(Field, frozen=True):
    pre_stop: LifecycleHandler | None = None


class Container(Field, frozen=True):
    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    startup_probe: Probe | None = None
    readiness_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    restart_policy: str = ""  # "Always" on an init container makes it a sidecar
    termination_message_policy: str = "File"


class Toleration(Field, frozen=True):
    key: str = ""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str = ""
    effect: str = ""


class DNSConfigOption(Field, frozen=True):
    name: str
    value: str | None = None


class DNSConfig(Field, frozen=True):
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DNSConfigOption, ...] = ()


class PodSpec(Field, frozen=True):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    node_name: str = ""
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    dns_policy: str = "ClusterFirst"
    dns_config: DNSConfig | None = None
    restart_policy: str = "Always"
    service_account_name: str = ""
    termination_grace_period_seconds: int = 30


class PodIP(Field, frozen=True):
    ip: Address


class ContainerState(Field, frozen=True):
    """One of `waiting`, `running`, `terminated` is set."""

    waiting: StateDetail | None = None
    running: StateDetail | None = None
    terminated: StateDetail | None = None


class StateDetail(Field, frozen=True):
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: str = ""
    finished_at: str = ""


class ContainerStatus(Field, frozen=True, omit_defaults=False):
    """Printed whole: `ready: false` and `restartCount: 0` are what one looks for."""

    name: str
    ready: bool = False
    started: bool = False
    restart_count: int = 0
    image: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Field, frozen=True):
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    pod_ip: Address | None = None
    pod_ips: tuple[PodIP, ...] = ()
    host_ip: str = ""
    start_time: str = ""
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Object, frozen=True):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        """The condition `Ready`, which is what Services look at."""
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """One address a family, the primary first; empty before the pod is wired."""
        if self.status.pod_ips:
            return tuple(p.ip for p in self.status.pod_ips)
        return (self.status.pod_ip,) if self.status.pod_ip else ()


# --- Service ---------------------------------------------------------------------------


class ServicePortSpec(Field, frozen=True):
    """One item of `spec.ports`."""

    port: int
    name: str = ""
    protocol: PortProtocol = "TCP"
    target_port: int | str | None = None
    node_port: int | None = None
    app_protocol: str = ""


class ClientIPConfig(Field, frozen=True):
    timeout_seconds: int = 10800


class SessionAffinityConfig(Field, frozen=True):
    client_ip: ClientIPConfig = ClientIPConfig()


class ServiceSpec(Field, frozen=True):
    """`spec`. A headless Service has `cluster_ip` "None"; ExternalName has none."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    selector: Mapping[str, str] = {}
    ports: tuple[ServicePortSpec, ...] = ()
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    ip_families: tuple[IPFamily, ...] = ()
    ip_family_policy: str = ""
    external_ips: tuple[str, ...] = ()
    external_name: str = ""
    session_affinity: Literal["None", "ClientIP"] = "None"
    session_affinity_config: SessionAffinityConfig = SessionAffinityConfig()
    internal_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    external_traffic_policy: Literal["Cluster", "Local", ""] = ""
    health_check_node_port: int | None = None
    load_balancer_ip: str = ""
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    allocate_load_balancer_node_ports: bool = True
    publish_not_ready_addresses: bool = False
    traffic_distribution: str = ""

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether pods with these labels are meant; without a selector none are."""
        return bool(self.selector) and self.selector.items() <= labels.items()


class LoadBalancerIngress(Field, frozen=True):
    ip: str = ""
    hostname: str = ""
    ip_mode: str = ""


class LoadBalancerStatus(Field, frozen=True):
    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(Field, frozen=True):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(Object, frozen=True):
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


# --- Endpoints (deprecated since 1.33) -----------------------------------------------------


class ObjectReference(Field, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class EndpointAddress(Field, frozen=True):
    ip: str
    hostname: str = ""
    node_name: str = ""
    target_ref: ObjectReference | None = None


class EndpointPort(Field, frozen=True, omit_defaults=False):
    port: int
    name: str = ""
    protocol: PortProtocol = "TCP"


class EndpointSubset(Field, frozen=True):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Object, frozen=True):
    subsets: tuple[EndpointSubset, ...] = ()
