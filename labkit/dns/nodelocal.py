"""NodeLocal DNSCache: a CoreDNS on each node that takes the cluster's DNS address for itself.

The addresses lie on a dummy device, so that a pod's question ends on its own node; rules of
the table `raw` hide it from conntrack, and so from kube-proxy's rewriting.

*The lab simplifies*: device and rules are there as long as the pod's container runs; ConfigMap
`kube-dns`, through which stub domains may come, is left out.

Source: kubernetes/dns `cmd/node-cache/app/cache_app.go`; kubernetes/kubernetes
`cluster/addons/dns/nodelocaldns/nodelocaldns.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_interface, ip_network

from labkit.api.core import Pod, Service
from labkit.api.state import State
from labkit.kernel import netfilter as nf
from labkit.kernel.links import Link
from labkit.kernel.netns import Part
from labkit.kernel.packet import Address

DEVICE = "nodelocaldns"
DNS_PORT, HEALTH_PORT = 53, 8080
SKIP = nf.Comment("NodeLocal DNS Cache: skip conntrack")
ALLOW = nf.Comment("NodeLocal DNS Cache: allow DNS traffic")
NOTRACK, ACCEPT = nf.NoTrack(), nf.Verdict("ACCEPT")
HOOKS: Mapping[str, tuple[nf.Hook, ...]] = {
    "raw": ("PREROUTING", "OUTPUT"),
    "filter": ("INPUT", "OUTPUT"),
}


def is_node_cache(pod: Pod) -> bool:
    return any("k8s-dns-node-cache" in c.image for c in pod.spec.containers)


def flag(pod: Pod, name: str) -> str:
    """The word behind a flag of node-cache, such as `-localip`; empty if it is not given."""
    for container in pod.manifest.get("spec", {}).get("containers", ()):
        words = [str(word) for word in container.get("args", ())]
        if name in words[:-1]:
            return words[words.index(name) + 1]
    return ""


def filled_in(corefile: str, state: State, pod: Pod) -> str:
    """The Corefile that node-cache writes out of its template before CoreDNS reads it.

    The upstream's address comes from the pod's environment in life, so that a Service that is
    made anew is found at the next start only; here at once.
    """
    service = state.get(Service, flag(pod, "-upstreamsvc"), pod.namespace)
    upstream = service.spec.cluster_ip if service else ""
    filled = corefile.replace("__PILLAR__CLUSTER__DNS__", upstream)
    return filled.replace("__PILLAR__UPSTREAM__SERVERS__", "/etc/resolv.conf")


def node_local_parts(state: State) -> tuple[dict[str, Part], dict[str, Part]]:
    """Rules and device of every node with a running cache, by the node's namespace.

    Two mappings, since node-cache puts its rules in front of all others.
    """
    rules: dict[str, Part] = {}
    devices: dict[str, Part] = {}
    for pod in state.list(Pod):
        if is_node_cache(pod) and any(c.state.running for c in pod.status.container_statuses):
            own = tuple(ip_address(a) for a in flag(pod, "-localip").split(",") if a)
            netns = f"node/{pod.spec.node_name}"
            rules[netns] = Part(tables=tuple(_table(name, own) for name in HOOKS))
            devices[netns] = Part(links=(_device(own),))
    return rules, devices


def _device(own: tuple[Address, ...]) -> Link:
    """Down and silent, as `kube-ipvs0`: its addresses only make the node take the packets."""
    hosts = tuple(ip_interface((a, a.max_prefixlen)) for a in own)
    return Link(name=DEVICE, kind="dummy", mac="0e:6c:64:6e:73:00", addresses=hosts, up=False)


def _table(name: str, own: tuple[Address, ...]) -> nf.Table:
    chains: dict[str, nf.Chain] = {}
    for hook in HOOKS[name]:
        put_in_front = [rule for address in own for rule in _rules(name, hook, address)]
        chains[hook] = nf.Chain(
            name=hook,
            rules=tuple(reversed(put_in_front)),
            hook=hook,
            priority=nf.PRIORITY[name],
            policy="ACCEPT",
        )
    return nf.Table(name=name, chains=chains)


def _rules(table: str, hook: nf.Hook, own: Address) -> Iterator[nf.Rule]:
    """The rules for one address, in the order in which node-cache puts each in front."""
    note, target = (SKIP, NOTRACK) if table == "raw" else (ALLOW, ACCEPT)
    to, come = nf.Destination(ip_network(own)), nf.Source(ip_network(own))
    if hook != "OUTPUT":
        yield from _both(to, nf.DestinationPort(DNS_PORT), note, target)
        return
    yield from _both(come, nf.SourcePort(DNS_PORT), note, target)
    if table == "raw":
        yield from _both(to, nf.DestinationPort(DNS_PORT), note, target)
        tcp = nf.Proto("tcp", module=True)
        yield nf.Rule((to, tcp, nf.DestinationPort(HEALTH_PORT), note), target)
        yield nf.Rule((come, tcp, nf.SourcePort(HEALTH_PORT), note), target)


def _both(
    end: nf.Source | nf.Destination,
    port: nf.SourcePort | nf.DestinationPort,
    note: nf.Comment,
    target: nf.Target,
) -> Iterator[nf.Rule]:
    for name in ("tcp", "udp"):
        yield nf.Rule((end, nf.Proto(name, module=True), port, note), target)
