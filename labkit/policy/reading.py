"""What the NetworkPolicy API leaves open, as switches; each default is the reading of
Kubernetes' own end-to-end suite (`test/e2e/network/netpol` in kubernetes/kubernetes).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from labkit.errors import CommandError


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How the open points are read.

    hostnet: a hostNetwork pod is its node: no policy selects it, no pod peer matches it, an
        ipBlock sees the node's address, and its own node always reaches a pod. Off: a
        hostNetwork pod is a pod like any other (Cilium's host firewall goes that way).
    ipblock_pods: an ipBlock is compared with pods' addresses too, as Calico does. Off: only
        with addresses outside the cluster, as Cilium does.
    sidecar: the port names of restartable init containers count.
    hostbits: `10.0.0.5/24` means the network 10.0.0.0/24. Off: such a block matches nothing.
    itself: a pod always reaches itself.
    experimental: a ClusterNetworkPolicy's peers `nodes` are understood. Off: they are not, as in
        Calico 3.32, and a rule that has one fails closed.
    """

    hostnet: bool = True
    ipblock_pods: bool = True
    sidecar: bool = True
    hostbits: bool = True
    itself: bool = True
    experimental: bool = False


DEFAULT = Reading()
NAMED: Mapping[str, Reading] = {
    # products that read the open points differently
    "calico": DEFAULT,
    "cilium": Reading(ipblock_pods=False),
}


def reading_of(wanted: str | Reading) -> Reading:
    """A reading, or the one that a product is named for.

    Raises:
        CommandError: no such product.
    """
    if isinstance(wanted, Reading):
        return wanted
    if wanted not in NAMED:
        raise CommandError(f"reading {wanted!r} is not known; it is one of {', '.join(NAMED)}")
    return NAMED[wanted]
