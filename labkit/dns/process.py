"""CoreDNS as a process in a pod: its Corefile from the ConfigMap, and why it would not start.

*The lab simplifies*: a changed ConfigMap is in the pod, and read by `reload`, at once; in life
the kubelet takes up to a minute and `reload` another half. Without `reload` the lab reads it
as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from labkit.api.core import ConfigMap, Node, Pod, Service
from labkit.api.datafiles import data_file
from labkit.api.listens import Listen
from labkit.api.state import State
from labkit.dns.corefile import CorefileError
from labkit.dns.known import cluster_ips, known
from labkit.dns.message import Answer, Query, Record
from labkit.dns.nodelocal import filled_in, is_node_cache
from labkit.dns.plugin import Upstream, World
from labkit.dns.resolvconf import ResolvConf, parse_resolv_conf, pod_resolv_conf
from labkit.dns.server import Server, load, looping

HOME = "/etc/coredns/"
NODE_FILE = "labkit.dev/resolv-conf"  # a Node's annotation: what its /etc/resolv.conf says
DEFAULT_FILE = "nameserver 203.0.113.9\n"


class Configuration(NamedTuple):
    """The files in a CoreDNS pod, by path; those beside the Corefile by their bare name too."""

    corefile: str
    files: dict[str, str]


class Running(NamedTuple):
    """The server that a process runs; `broken` is why it did not take the newest Corefile."""

    server: Server | None
    broken: str = ""


def is_coredns(pod: Pod) -> bool:
    """Does CoreDNS run in it, be it inside node-cache?"""
    named = any("coredns" in c.image.rpartition("/")[2] for c in pod.spec.containers)
    return named or is_node_cache(pod)


def configuration(state: State, pod: Pod) -> Configuration:
    """What the ConfigMaps that a pod mounts put into it; no Corefile means CoreDNS's own."""
    files: dict[str, str] = {}
    spec = pod.manifest.get("spec", {})
    mounts = [m for c in spec.get("containers", ()) for m in c.get("volumeMounts", ())]
    for volume in spec.get("volumes", ()):
        source = volume.get("configMap") or {}
        found = state.get(ConfigMap, source.get("name", ""), pod.namespace)
        data = found.data if found else {}
        places = [m["mountPath"] for m in mounts if m["name"] == volume["name"]]
        for place in places:
            items = source.get("items") or [{"key": key, "path": key} for key in data]
            for item in items:
                path = f"{place.rstrip('/')}/{item['path']}"
                text = data.get(item["key"], "")
                files[path] = files[path.removeprefix(HOME)] = text
    if is_node_cache(pod):
        return Configuration(filled_in(files.get("Corefile.base", ""), state, pod), files)
    return Configuration(files.get("Corefile", ""), files)


def running(pod: Pod, states: Iterable[State]) -> Running:
    """The server of a pod, of all that its ConfigMap said since it was there, newest first.

    A Corefile with a mistake is not taken: the one before goes on serving. A ConfigMap that is
    gone leaves its files in the pods that mount it; where none ever was, CoreDNS has its own.
    """
    broken = ""
    for state in states:
        there = state.get(Pod, pod.name, pod.namespace)
        if there is None or there.metadata.uid != pod.metadata.uid:
            break
        given = configuration(state, pod)
        if not given.corefile:
            continue
        try:
            return Running(load(given.corefile, given.files), broken)
        except CorefileError as error:
            broken = broken or error.logged
    return Running(None, broken) if broken else Running(load(""))


def fatal(state: State, pod: Pod) -> str:
    """Why CoreDNS ends at once in this pod; empty if it runs.

    A question that comes back ends it whenever it is found; a mistake in the Corefile only
    where there is no older configuration to go on with.
    """
    given = configuration(state, pod)
    try:
        server = load(given.corefile, given.files)
    except CorefileError as error:
        alive = any(c.state.running for c in pod.status.container_statuses)
        return "" if alive else error.logged
    fronts = tuple(
        ip
        for service in state.list(Service, pod.namespace)
        if service.spec.selects(pod.labels)
        for ip in cluster_ips(service)
    )
    return looping(server, world_of(state, pod, lambda address, query: None), fronts)


def listens(state: State, pod: Pod) -> tuple[Listen, ...] | None:
    """The sockets of a pod's CoreDNS; None for other pods, and where its file is not to be read.

    *The lab simplifies*: with a broken or unknown Corefile the pod's annotation or ports say
    where it listens.
    """
    if not is_coredns(pod):
        return None
    statuses = pod.status.container_statuses
    if statuses and not any(c.state.running for c in statuses):
        return ()
    return _doors(state, pod)


def probe_door(state: State, pod: Pod) -> bool:
    """Does the Corefile open the door at which the kubelet asks whether CoreDNS is ready?"""
    doors = _doors(state, pod)
    if doors is None:
        return True
    probes = (c.readiness_probe for c in pod.spec.containers)
    asked = [p.http_get.port for p in probes if p and p.http_get]
    named = {p.name: p.container_port for c in pod.spec.containers for p in c.ports}
    open_ = {door.port for door in doors if door.protocol == "TCP" and not door.address}
    return all(named.get(str(port), port) in open_ for port in asked)


def _doors(state: State, pod: Pod) -> tuple[Listen, ...] | None:
    given = configuration(state, pod)
    try:
        return load(given.corefile, given.files).doors or None
    except CorefileError:
        return None


def world_of(state: State, pod: Pod, upstream: Upstream) -> World:
    """What a CoreDNS pod sees around it."""
    return World(
        known=state.cached(known),
        upstream=upstream,
        local_ips=tuple(str(a) for a in pod.addresses),
        resolv_conf=pod_file(state, pod)[0],
        hosts=configuration(state, pod).files,
    )


# --- files of pods and nodes -------------------------------------------------------------------


def node_file(state: State, node: str) -> ResolvConf:
    """A node's `/etc/resolv.conf`: its annotation, else the server outside."""
    found = state.get(Node, node)
    text = found.annotations.get(NODE_FILE, DEFAULT_FILE) if found else DEFAULT_FILE
    return parse_resolv_conf(text)


def pod_file(state: State, pod: Pod) -> tuple[ResolvConf, str]:
    """A pod's `/etc/resolv.conf`, and the reason of the event that writing it caused."""
    config = state.config
    node = node_file(state, pod.spec.node_name)
    return pod_resolv_conf(pod, node, (config.dns_ip,), config.dns_domain)


# --- the servers of the world ------------------------------------------------------------------


def outside(query: Query) -> Answer:
    """What the one DNS server outside knows: `data/outside.json`, and nothing of the cluster.

    *The lab simplifies*: it stands for the root servers as well, and delegates nothing.
    """
    world = msgspec.json.decode(data_file("outside.json").read_bytes())
    if (query.key, query.type) == (".", "NS"):
        return Answer(answer=(Record(".", "NS", world["ttl"], f"{world['root']}."),), ra=True)
    name, found = query.key.rstrip("."), []
    alias = world["aliases"].get(name)
    if alias:
        found.append(Record(query.name, "CNAME", world["ttl"], f"{alias}."))
        name = alias
    if name in world["names"]:
        if query.type == "A":
            owner = found[0].data if found else query.name
            found.append(Record(owner, "A", world["ttl"], world["address"]))
        if found:
            return Answer(answer=tuple(found), ra=True)
    rcode = "NOERROR" if name in world["names"] else "NXDOMAIN"
    data = f"ns.outside. hostmaster.outside. 1 7200 1800 86400 {world['denial_ttl']}"
    zone = f"{name.rpartition('.')[2]}."
    soa = Record(zone, "SOA", world["denial_ttl"], data)
    return Answer(rcode=rcode, authority=(soa,), ra=True)
