"""How a cluster begins: its options, its own objects, and what the input brings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from labkit.api import service_admission
from labkit.api.acts import Manifest, key_for
from labkit.api.admission import admit
from labkit.api.allocation import Network
from labkit.api.merge import LAST_APPLIED, noted
from labkit.api.state import ClusterConfig, Event, Key, State
from labkit.api.store import Delete, write
from labkit.api.syntax import dns_subdomain
from labkit.api.system import NO_KUBE_PROXY, dns_ip, named, system_manifests
from labkit.errors import Conflict, LabError, NotFound

SERVER_SIDE = ("uid", "resourceVersion", "creationTimestamp", "generation", "selfLink")
NO_NODE_LOCAL_DNS = ("ipvs", "ebpf", "none")  # these hold the DNS Service's address themselves
SAME_ADDRESSES = {"proxy_mode", "proxy_options", "load_balancer"}  # a running cluster may change


def built(
    given: Sequence[Manifest], nodes: int, config: ClusterConfig
) -> tuple[State, tuple[Event, ...]]:
    """The first state, before any controller has seen it.

    Raises:
        LabError: a manifest is refused.
    """
    config = msgspec.structs.replace(config, dns_ip=dns_ip(config, given))
    own = system_manifests(config, given)
    own += named(given, [*own, *given], nodes)
    # Namespaces and nodes first: all others stand in one or on one.
    first = [m for m in (*own, *given) if m["kind"] in ("Namespace", "Node")]
    rest = [m for m in (*own, *given) if m["kind"] not in ("Namespace", "Node")]
    learners = {id(m) for m in given}
    wanted = service_admission.asked(tuple(given))
    state = State(config)
    events: list[Event] = []
    for manifest in (*first, *rest):
        mine = id(manifest) in learners
        key = key_for(manifest, "default")
        if key in state.objects and mine:
            raise Conflict(f"{key.kind}/{key.name} stands in the input twice; keep one of the two")
        obj = admit(state, noted_once(manifest) if mine else manifest, wanted=wanted)
        state, new = write(state, "kubectl" if mine else "lab", (obj,))
        events += new
    return state, tuple(events)


def noted_once(manifest: Manifest) -> Manifest:
    """As `kubectl apply` would send it; what a real cluster printed stays as it is."""
    carried = manifest["kind"] == "Node" or manifest.get("metadata", {}).get("uid")
    return manifest if carried else noted(manifest)


def configured(config: ClusterConfig, options: Mapping[str, Any]) -> ClusterConfig:
    """The configuration with these options.

    Raises:
        NotFound: an option that there is not; with the nearest name.
        LabError: a value of the wrong form.
    """
    known = msgspec.structs.asdict(config)
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
            raise NotFound(f"{name}: a cluster has no such option; {hint}")
    values = dict(options)
    for name in ("pod_cidrs", "service_cidrs"):
        if isinstance(values.get(name), str):
            values[name] = tuple(part.strip() for part in values[name].split(","))
    try:
        new = msgspec.convert({**known, **values}, ClusterConfig)
        for cidr in (*new.pod_cidrs, *new.service_cidrs, new.node_cidr):
            ip_network(cidr)
        ip_address(new.dns_ip)
    except (msgspec.ValidationError, ValueError) as error:
        raise LabError(f"cluster option: {error}; see labkit.api.state.ClusterConfig") from None
    _check_ranges(new)
    if new.node_local_dns and new.proxy_mode in NO_NODE_LOCAL_DNS:
        raise LabError(
            f"node_local_dns: the lab has it beside kube-proxy's modes iptables and nftables, "
            f"not beside {new.proxy_mode}; choose one of the two"
        )
    return new


def _check_ranges(config: ClusterConfig) -> None:
    if fault := dns_subdomain(config.dns_domain):
        raise LabError(f"dns_domain: {fault}")
    machines = ip_network(config.node_cidr)
    if machines.version == 6 or machines.prefixlen > 24:
        raise LabError(f"node_cidr: {machines} is no IPv4 range of /24 or larger; give one")
    low, high = config.node_port_range
    if not 0 < low <= high < 65536:
        raise LabError(f"node_port_range: {low}-{high} is no range; give two ports, lower first")


def changed(
    state: State, events: Sequence[Event], config: ClusterConfig
) -> tuple[State, tuple[Event, ...]]:
    """The same cluster under other options.

    Another proxy mode leaves all objects as they are but the proxy's own; otherwise what the
    learner wrote is applied to a new cluster, with all that was allocated allocated anew.
    """
    was, now = msgspec.structs.asdict(state.config), msgspec.structs.asdict(config)
    if all(was[name] == value for name, value in now.items() if name not in SAME_ADDRESSES):
        return _reproxied(state, config)
    nodes = (key for key in state.objects if key.kind == "Node")
    learners = (e.key for e in events if e.actor == "kubectl")
    keys = dict.fromkeys((*nodes, *learners))
    ranges = [ip_network(cidr) for cidr in config.service_cidrs]
    return built([_bare(state, key, ranges) for key in keys if key in state.objects], 0, config)


def _reproxied(state: State, config: ClusterConfig) -> tuple[State, tuple[Event, ...]]:
    """kube-proxy told of its new mode; gone where the new mode has none, back where it had."""
    same = State(config, state.objects, state.revision, state.now, state.gone)
    own = {k: m for m in system_manifests(config, ()) if _is_proxys(k := key_for(m, "default"))}
    if not own:
        return write(same, "lab", [Delete(k) for k in state.objects if _is_proxys(k)])
    key = Key("ConfigMap", "kube-system", "kube-proxy")
    if state.config.proxy_mode in NO_KUBE_PROXY:
        return write(same, "lab", [admit(same, manifest) for manifest in own.values()])
    return write(same, "lab", [admit(same, own[key])] if key in state.objects else [])


def _is_proxys(key: Key) -> bool:
    kinds = ("ConfigMap", "DaemonSet", "ServiceAccount")
    return key.kind in kinds and (key.namespace, key.name) == ("kube-system", "kube-proxy")


def _bare(state: State, key: Key, ranges: Sequence[Network]) -> dict[str, Any]:
    """What was written of an object, without what the API server gave it.

    A Service keeps its ClusterIP if that lies in the new ranges.
    """
    manifest = dict(state.objects[key].manifest)
    meta = {k: v for k, v in manifest["metadata"].items() if k not in SERVER_SIDE}
    notes = {k: v for k, v in meta.get("annotations", {}).items() if k != LAST_APPLIED}
    manifest["metadata"] = {**meta, "annotations": notes} if "annotations" in meta else meta
    manifest.pop("status", None)
    spec: dict[str, Any] = manifest.get("spec") or {}
    if key.kind == "Service" and spec.get("clusterIP", "None") != "None":
        fits = any(ip_address(spec["clusterIP"]) in network for network in ranges)
        gone = {"clusterIPs", "ipFamilies"} | (set() if fits else {"clusterIP"})
        manifest["spec"] = {k: v for k, v in spec.items() if k not in gone}
    if key.kind == "Node" and spec:
        manifest["spec"] = {k: v for k, v in spec.items() if k not in ("podCIDR", "podCIDRs")}
    return manifest


def differences(before: State, after: State) -> tuple[Event, ...]:
    """The events that lead from one state to another, for edits that bypass the API."""
    keys = before.objects.keys() | after.objects.keys()
    return tuple(_events(before, after, sorted(keys)))


def _events(before: State, after: State, keys: list[Key]) -> Iterator[Event]:
    for key in keys:
        old, new = before.objects.get(key), after.objects.get(key)
        if old is not new and old != new:
            verb = "configured" if old and new else "created" if new else "deleted"
            yield Event(after.revision, "fault", verb, key, old, new)  # type: ignore[arg-type]
