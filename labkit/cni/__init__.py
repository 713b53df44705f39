"""Network plugins by the name that a cluster's configuration uses."""

from __future__ import annotations

from difflib import get_close_matches

from labkit.api.state import ClusterConfig
from labkit.cni.base import CNI, node_cidrs
from labkit.cni.calico import calico
from labkit.cni.flannel import flannel
from labkit.errors import NotFound

__all__ = ["CNI", "NAMES", "cni_of", "node_cidrs"]

NAMES = (
    "calico",
    "calico/none",
    "calico/vxlan",
    "flannel",
    "flannel/host-gw",
    "flannel/vxlan",
)
"""`cni=` takes these; a plugin's name alone takes the way between nodes from `cni_options`
(`backend`), else flannel takes vxlan and Calico none."""


def cni_of(config: ClusterConfig) -> CNI:
    """The plugin that the configuration names.

    Raises:
        NotFound: no such plugin or backend; the message lists the choices.
    """
    plugin, _, backend = config.cni.partition("/")
    backend = backend or config.cni_options.get("backend", "")
    if plugin == "flannel":
        return flannel(backend or "vxlan")
    if plugin == "calico":
        return calico(backend or "none")
    near = get_close_matches(config.cni, NAMES, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"choose one of {', '.join(NAMES)}"
    raise NotFound(f"cni: the lab has no `{config.cni}`; {hint}")
