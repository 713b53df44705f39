"""What every cluster has without being asked: `data/system*.json`, filled in from its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from string import Template
from typing import Any

import msgspec

from labkit.api.admission import namespaced
from labkit.api.datafiles import data_file
from labkit.api.state import ClusterConfig
from labkit.errors import LabError

Manifest = Mapping[str, Any]

NO_KUBE_PROXY = ("ebpf", "none")
_POD_MAKERS = ("Deployment", "DaemonSet", "ReplicaSet", "StatefulSet")


def system_manifests(config: ClusterConfig, given: Sequence[Manifest]) -> list[Manifest]:
    """The cluster's own objects, without those that the input brings in its own form."""
    words = _words(config, given)
    plugin = f"system-{config.cni.partition('/')[0]}.json"
    cache = ("system-node-local-dns.json",) if config.node_local_dns else ()
    texts = [data_file(name).read_text("utf-8") for name in ("system.json", plugin, *cache)]
    found = [m for text in texts for m in msgspec.json.decode(Template(text).substitute(words))]
    brought = {_identity(m) for m in given}
    return [m for m in found if _identity(m) not in brought and _needed(config, m, given)]


def _words(config: ClusterConfig, given: Sequence[Manifest]) -> dict[str, str]:
    server = api_server(config, given)
    return {
        **_calico_words(config),
        "api_family": f"IPv{ip_address(server).version}",
        "api_ip": str(ip_network(config.service_cidrs[0])[1]),
        "api_server": server,
        "backend": _backend(config) or "vxlan",
        "dns_ip": config.dns_ip,
        "domain": config.dns_domain,
        "pod_cidrs": ",".join(config.pod_cidrs),
        "proxy_mode": config.proxy_mode,
    }


def _backend(config: ClusterConfig) -> str:
    """The way between nodes that the configuration names; empty for the plugin's own choice."""
    return config.cni.partition("/")[2] or config.cni_options.get("backend", "")


def _calico_words(config: ClusterConfig) -> dict[str, str]:
    vxlan = _backend(config) == "vxlan"
    felix = "127.0.0.1:9099/TCP"
    return {
        "calico_backend": "vxlan" if vxlan else "bird",
        "calico_listens": felix if vxlan else f"179/TCP,{felix}",  # BIRD speaks BGP on 179
        "calico_vxlan": "Always" if vxlan else "Never",
        "pod_mtu": "1450" if vxlan else "1500",
    }


def api_server(config: ClusterConfig, given: Sequence[Manifest]) -> str:
    """The address of the API server: that of the control plane's node, else of the first."""
    nodes = [m for m in given if m.get("kind") == "Node"]
    nodes.sort(key=lambda m: not any("control-plane" in k for k in _labels(m)))
    for node in nodes:
        for address in (node.get("status") or {}).get("addresses") or []:
            if address.get("type") == "InternalIP":
                return str(address["address"])
    return str(ip_network(config.node_cidr)[11])


def _identity(manifest: Manifest) -> tuple[Any, ...]:
    meta = manifest.get("metadata") or {}
    return manifest.get("kind"), meta.get("namespace") or "default", meta.get("name")


def _needed(config: ClusterConfig, manifest: Manifest, given: Sequence[Manifest]) -> bool:
    name = manifest["metadata"]["name"]
    if name == "kube-proxy" and config.proxy_mode in NO_KUBE_PROXY:
        return False
    if manifest["kind"] not in _POD_MAKERS:
        return True
    wanted = manifest["spec"]["selector"]["matchLabels"].items()
    return not any(wanted <= labels.items() for labels in map(_pod_labels, given))


def _labels(manifest: Manifest) -> Mapping[str, str]:
    return (manifest.get("metadata") or {}).get("labels") or {}


def _pod_labels(manifest: Manifest) -> Mapping[str, str]:
    """Labels of the pods that a manifest is or makes."""
    if manifest.get("kind") == "Pod":
        return _labels(manifest)
    if manifest.get("kind") in _POD_MAKERS:
        return _labels((manifest.get("spec") or {}).get("template") or {})
    return {}


def dns_ip(config: ClusterConfig, given: Sequence[Manifest]) -> str:
    """The address of the cluster's DNS: that of the kube-dns that the input brings, if any."""
    for manifest in given:
        if _identity(manifest) == ("Service", "kube-system", "kube-dns"):
            return str((manifest.get("spec") or {}).get("clusterIP") or config.dns_ip)
    if not config.service_cidrs:
        raise LabError("service_cidrs: there is none; give a range such as 10.96.0.0/12")
    first = ip_network(config.service_cidrs[0])
    if first.num_addresses < 16:
        raise LabError(f"service_cidrs: {first} has no room for the DNS; give a /28 or larger")
    return config.dns_ip if ip_address(config.dns_ip) in first else str(first[10])


# --- what an input only names ---------------------------------------------------------------


def named(given: Sequence[Manifest], there: Sequence[Manifest], nodes: int) -> list[Manifest]:
    """Namespaces and Nodes that the input speaks of and that are not `there`.

    A Node that a pod names gets its InternalIP from the pod's hostIP. `nodes` counts only
    where the input neither has nor names any: then they are node-1, node-2, ...
    """
    found = [*_named_namespaces(given, there), *_named_nodes(given)]
    if not any(m.get("kind") == "Node" for m in (*given, *found)):
        found += [_object("Node", f"node-{i}") for i in range(1, nodes + 1)]
    return found


def _named_namespaces(given: Sequence[Manifest], there: Sequence[Manifest]) -> Iterator[Manifest]:
    known = {m["metadata"]["name"] for m in there if m.get("kind") == "Namespace"}
    own = (m for m in given if namespaced(m))  # of the others the API server drops the field
    spoken = dict.fromkeys((m.get("metadata") or {}).get("namespace") for m in own)
    yield from (_object("Namespace", str(n)) for n in spoken if n and n not in known)


def _named_nodes(given: Sequence[Manifest]) -> Iterator[Manifest]:
    there = {m["metadata"]["name"] for m in given if m.get("kind") == "Node"}
    hosts: dict[str, str] = {}
    for manifest in given:
        if manifest.get("kind") == "Pod":
            name = (manifest.get("spec") or {}).get("nodeName")
            if name and name not in there:
                host = (manifest.get("status") or {}).get("hostIP") or ""
                hosts[name] = hosts.get(name) or host
    for name, host in hosts.items():
        addresses = [
            {"type": "InternalIP", "address": host},
            {"type": "Hostname", "address": name},
        ]
        yield {**_object("Node", name), **({"status": {"addresses": addresses}} if host else {})}


def _object(kind: str, name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
