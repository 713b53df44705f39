"""The kubelet's own few chains, which are there in every proxy mode.

Source: Kubernetes `pkg/kubelet/kubelet_network_linux.go`; KEP-3178.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Literal

from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Rule
from labkit.kernel.routes import Prefix

LOOPBACK: Mapping[int, Prefix] = {4: ip_network("127.0.0.0/8"), 6: ip_network("::1/128")}

# A neighbour must not reach the node's 127.0.0.1 although kube-proxy lets such packets be routed.
MARTIAN = Rule(
    (
        nf.Source(LOOPBACK[4], negate=True),
        nf.Destination(LOOPBACK[4]),
        nf.Comment("block incoming localnet connections"),
        nf.CtState(("RELATED", "ESTABLISHED", "DNAT"), negate=True),
    ),
    nf.Verdict("DROP"),
)


def chains(table: str, family: Literal["ip", "ip6"]) -> dict[str, tuple[Rule, ...]]:
    """The kubelet's chains of one table. The hint tells other software which iptables it uses."""
    own: dict[str, tuple[Rule, ...]] = {"KUBE-KUBELET-CANARY": ()}
    if table == "mangle":
        own["KUBE-IPTABLES-HINT"] = ()
    if table == "filter":
        own["KUBE-FIREWALL"] = (MARTIAN,) if family == "ip" else ()
    return own


def jumps(table: str) -> dict[nf.Hook, tuple[Rule, ...]]:
    """The kubelet starts first, so its jumps stand behind those of kube-proxy."""
    if table != "filter":
        return {}
    firewall = (Rule((), nf.Jump("KUBE-FIREWALL")),)
    return {"INPUT": firewall, "OUTPUT": firewall}
