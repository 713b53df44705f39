"""Network plugins by the name that a cluster's configuration uses."""

from __future__ import annotations

from difflib import get_close_matches

from labkit.api.state import ClusterConfig
from labkit.cni.base import CNI, node_cidrs
from labkit.cni.flannel import flannel
from labkit.errors import NotFound

__all__ = ["CNI", "NAMES", "cni_of", "node_cidrs"]

NAMES = ("flannel", "flannel/host-gw", "flannel/vxlan")
"""`cni=` takes these; `flannel` alone takes its backend from `cni_options`, else vxlan."""


def cni_of(config: ClusterConfig) -> CNI:
    """The plugin that the configuration names.

    Raises:
        NotFound: no such plugin or backend; the message lists the choices.
    """
    plugin, _, backend = config.cni.partition("/")
    if plugin != "flannel":
        near = get_close_matches(config.cni, NAMES, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"choose one of {', '.join(NAMES)}"
        raise NotFound(f"cni: the lab has no `{config.cni}`; {hint}")
    return flannel(backend or config.cni_options.get("backend", "vxlan"))
