"""The two ends that a policy sees: a pod, a node, or an address outside."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import msgspec

from labkit.api.core import Namespace, Node, Pod
from labkit.api.meta import Address
from labkit.api.names import titles
from labkit.api.state import State
from labkit.policy.reading import Reading

NO_LABELS: Mapping[str, str] = {}


class End(msgspec.Struct, frozen=True):
    """One end of a connection. `pod` is None for a node and for what is outside.

    `node` names the machine it is on or is; empty outside. `title` is how verdicts call it.
    """

    title: str
    addresses: tuple[Address, ...]
    pod: Pod | None = None
    node: str = ""
    namespace_labels: Mapping[str, str] = NO_LABELS


def pod_end(state: State, pod: Pod, reading: Reading) -> End:
    """The end that a pod is; with `hostnet`, a hostNetwork pod is its node's."""
    short = titles(state).get((pod.namespace, pod.name), pod.name)
    title = f"{pod.namespace}/{short}"
    if pod.spec.host_network and reading.hostnet:
        return End(title, pod.addresses, None, pod.spec.node_name)
    space = state.get(Namespace, pod.namespace)
    labels = space.labels if space else NO_LABELS
    return End(title, pod.addresses, pod, pod.spec.node_name, labels)


def address_end(state: State, address: Address, reading: Reading) -> End:
    """The end behind an address: a pod, a node, or the world outside."""
    owner = state.cached(_owners).get(address)
    if isinstance(owner, Pod):
        return pod_end(state, owner, reading)
    return End(str(address), (address,), None, owner or "")


def _owners(state: State) -> dict[Address, Pod | str]:
    """Who has an address. A node's address is the node, whichever hostNetwork pods use it."""
    found: dict[Address, Pod | str] = {}
    for pod in state.list(Pod):
        if not pod.spec.host_network:
            found.update(dict.fromkeys(pod.addresses, pod))
    for pod in state.list(Pod):
        if pod.status.host_ip:
            found.setdefault(ip_address(pod.status.host_ip), pod.spec.node_name)
        if pod.spec.host_network:
            found.update(dict.fromkeys(pod.addresses, pod.spec.node_name))
    for node in state.list(Node):
        for item in node.status.addresses:
            if item.type == "InternalIP":
                found[ip_address(item.address)] = node.name
    return found
