"""The print-outs that are kept in this folder, each with what makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from labkit.api import manifests
from labkit.api.state import ClusterConfig, State
from labkit.kernel.ipsets import ipset_save
from labkit.kernel.ipvs import ipvsadm_list
from labkit.kernel.netns import Netns, merge
from labkit.kernel.text import iptables_save, nft_list_ruleset
from labkit.proxy import proxy_parts
from tests.conformance.objects import state_of

HERE = Path(__file__).parent


@cache
def services(mode: str) -> State:
    """`services.yaml` as it stands, under one proxy mode."""
    loaded = manifests.load_as_it_stands(HERE / "services.yaml")
    return state_of((each.manifest for each in loaded), ClusterConfig(proxy_mode=mode))


def node(mode: str, name: str) -> Netns:
    """What kube-proxy alone puts on a node."""
    place = f"node/{name}"
    return merge(place, name, [proxy_parts(services(mode))[place]])


def save(mode: str, name: str) -> str:
    return iptables_save(node(mode, name))


def balancer(name: str) -> str:
    return ipvsadm_list(node("ipvs", name).virtual_servers)


def sets(name: str) -> str:
    return ipset_save(node("ipvs", name).ruleset.sets.values())


def ruleset(name: str) -> str:
    return nft_list_ruleset(node("nftables", name))


GOLDEN: Mapping[str, Callable[[], str]] = {
    "iptables-save-node-1.txt": partial(save, "iptables", "node-1"),
    "iptables-save-node-2.txt": partial(save, "iptables", "node-2"),
    "nft-list-ruleset-node-1.txt": partial(ruleset, "node-1"),
    "nft-list-ruleset-node-2.txt": partial(ruleset, "node-2"),
    "ipvs-iptables-save-node-1.txt": partial(save, "ipvs", "node-1"),
    "ipvs-ipset-save-node-1.txt": partial(sets, "node-1"),
    "ipvs-ipvsadm-node-1.txt": partial(balancer, "node-1"),
}
