"""What a topology is drawn from: the machines of a cluster with what hangs on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from labkit.api.core import Node, Pod
from labkit.api.names import FINISHED, SYSTEM, titles, workload_of
from labkit.api.state import State
from labkit.cni import cni_of
from labkit.kernel.links import Link
from labkit.kernel.netns import Netns, Network

MOST = 9  # chips that fit a machine; a fuller one groups its pods by workload


class Lab(Protocol):
    """What the views ask of a cluster."""

    @property
    def state(self) -> State: ...

    @property
    def network(self) -> Network: ...


class Chip(msgspec.Struct, frozen=True):
    """One pod, or several of one workload on one machine; `namespace` is empty for default."""

    namespace: str
    name: str
    addresses: tuple[str, ...]
    unready: int = 0
    count: int = 1
    host: bool = False  # uses the machine's own network
    workload: str = ""

    @property
    def full(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Device(msgspec.Struct, frozen=True):
    name: str
    address: str = ""
    mtu: int = 1500
    note: str = ""  # of a tunnel: "VXLAN 1, UDP 8472"


class Machine(msgspec.Struct, frozen=True):
    """One node. `bridge` and `tunnel` are None where the network plugin makes none."""

    name: str
    address: str
    cidr: str
    pods: tuple[Chip, ...]  # one for each pod
    bridge: Device | None
    tunnel: Device | None
    card: Device

    def chips(self, *, grouped: bool) -> tuple[Chip, ...]:
        """Pods first, then those that sit on the machine itself."""
        found = _grouped(self.pods) if grouped else self.pods
        return tuple(sorted(found, key=lambda chip: chip.host))


class Picture(msgspec.Struct, frozen=True):
    """A whole cluster: its machines, the underlay, and what is not drawn."""

    machines: tuple[Machine, ...]
    underlay: str
    mtu: int
    router: str
    outside: str
    waiting: tuple[str, ...]  # pods without a node
    hidden: int  # system pods that are left out

    @property
    def grouped(self) -> bool:
        return any(len(m.pods) > MOST for m in self.machines)


def picture(lab: Lab, *, system: bool) -> Picture:
    """The values of a topology; `system` also takes the cluster's own pods."""
    state, spaces = lab.state, lab.network.namespaces
    alive = [p for p in state.list(Pod) if p.status.phase not in FINISHED]
    pods = [p for p in alive if system or p.namespace not in SYSTEM]
    machines = tuple(
        _machine(node, spaces.get(f"node/{node.name}"), _of(pods, node.name), state)
        for node in state.list(Node)
    )
    router = spaces.get("router")
    card = next((k for k in router.links if k.name == "eth0"), None) if router else None
    return Picture(
        machines,
        str(card.addresses[0].network) if card and card.addresses else state.config.node_cidr,
        max((m.card.mtu for m in machines), default=1500),
        str(card.addresses[0].ip) if card and card.addresses else "",
        _address(spaces.get("outside")),
        tuple(_chip(p, state).full for p in pods if not p.spec.node_name),
        len(alive) - len(pods),
    )


def _address(netns: Netns | None) -> str:
    links = netns.links if netns else ()
    return next((str(a.ip) for k in links if k.name == "eth0" for a in k.addresses), "")


def _of(pods: Iterable[Pod], node: str) -> list[Pod]:
    return [p for p in pods if p.spec.node_name == node]


def _ranges(node: Node, state: State) -> str:
    """What the node's pods get their addresses from, of the cluster's first family."""
    own = cni_of(state.config).ranges(state).get(node.name, ())
    return ", ".join(str(r) for r in own if r.version == own[0].version)


def _machine(node: Node, netns: Netns | None, pods: list[Pod], state: State) -> Machine:
    links = netns.links if netns else ()
    bridge = next((k for k in links if k.kind == "bridge"), None)
    tunnel = next((k for k in links if k.kind in ("vxlan", "ipip")), None)
    card = next((k for k in links if k.name == "eth0"), None)
    address = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
    return Machine(
        node.name,
        address,
        _ranges(node, state),
        tuple(_chip(p, state) for p in pods),
        _device(bridge, prefix=True) if bridge else None,
        _device(tunnel, prefix=False) if tunnel else None,
        _device(card, prefix=False) if card else Device("eth0", address),
    )


def _device(link: Link, *, prefix: bool) -> Device:
    at = link.addresses[0] if link.addresses else None
    address = "" if at is None else str(at) if prefix else str(at.ip)
    note = f"VXLAN {link.vxlan.vni}, UDP {link.vxlan.port}" if link.vxlan else ""
    return Device(link.name, address, link.mtu, note)


def _chip(pod: Pod, state: State) -> Chip:
    namespace = "" if pod.namespace == "default" else pod.namespace
    title = titles(state).get((pod.namespace, pod.name), pod.name)
    addresses = tuple(str(a) for a in pod.addresses[:1])
    group = workload_of(state, pod)
    return Chip(namespace, title, addresses, int(not pod.ready), 1, pod.spec.host_network, group)


def _grouped(pods: tuple[Chip, ...]) -> tuple[Chip, ...]:
    groups: dict[tuple[str, str, bool], list[Chip]] = {}
    for pod in pods:
        groups.setdefault((pod.namespace, pod.workload, pod.host), []).append(pod)
    return tuple(_group(key, found) for key, found in groups.items())


def _group(key: tuple[str, str, bool], found: list[Chip]) -> Chip:
    if len(found) == 1:
        return found[0]
    namespace, name, host = key
    addresses = tuple(a for chip in found for a in chip.addresses)
    unready = sum(chip.unready for chip in found)
    return Chip(namespace, name, addresses, unready, len(found), host, name)


def spread(addresses: tuple[str, ...]) -> tuple[str, str]:
    """The common network part of addresses and the hosts: (`10.244.1`, `6–9`)."""
    if not addresses:
        return "", ""
    sign = ":" if ":" in addresses[0] else "."
    nets = dict.fromkeys(a.rpartition(sign)[0] for a in addresses)
    hosts = [a.rpartition(sign)[2] for a in addresses]
    if len(nets) > 1:
        return "", f"{len(addresses)} addresses"
    if not all(h.isdigit() for h in hosts) or len(hosts) == 1:
        return next(iter(nets)), ", ".join(hosts)
    numbers = sorted(int(h) for h in hosts)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    if len(runs) > 2:
        return next(iter(nets)), f"{numbers[0]}…{numbers[-1]}"
    words = (f"{r[0]}–{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
    return next(iter(nets)), ", ".join(words)
