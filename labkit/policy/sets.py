"""The sets that policies' rules name: pods by their addresses, ports by what each pod calls so.

A set is made when a rule first asks for it, and two rules that ask for the same share one.

Source: Calico 3.32 `felix/calc/rule_scanner.go`, `felix/ipsets/ipset_defs.go`.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Literal

from labkit.api.core import Namespace, Pod, PortProtocol
from labkit.api.meta import Address
from labkit.api.names import FINISHED
from labkit.api.networking import NetworkPolicyPeer, NetworkPolicyPort
from labkit.api.state import State
from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Match
from labkit.policy.explain import wants
from labkit.policy.matcher import DEFAULT, named_ports

Family = Literal["ip", "ip6"]
VERSION = {"ip": 4, "ip6": 6}
MOST_PORTS = 15  # numbers in one multiport match; a range takes two
LONGEST_SET = 31  # characters of an ipset's name
Matches = tuple[Match, ...]


class Sets:
    """The sets of one family, and the matches that ask for them."""

    def __init__(self, state: State, family: Family) -> None:
        self.state, self.family = state, family
        self.named: dict[str, nf.Ipset] = {}

    @property
    def version(self) -> int:
        return VERSION[self.family]

    def pod_set(self, namespace: str, peer: NetworkPolicyPeer) -> str:
        """The set of the addresses of all pods that a peer describes.

        Args:
            namespace: where a podSelector looks that stands alone.
        """
        parts = []
        if peer.namespace_selector is None:
            parts.append(f"namespace == {namespace}")
        else:
            parts.append(f"namespaces with {wants(peer.namespace_selector)}")
        if peer.pod_selector is not None:
            parts.append(wants(peer.pod_selector))
        name = self._name("s", " && ".join(parts))
        if name not in self.named:
            chosen = (p for p in self._pods() if self._described(namespace, peer, p))
            found = sorted({a for pod in chosen for a in self._addresses(pod)})
            self.named[name] = nf.Ipset(name, "hash:net", tuple(map(str, found)))
        return name

    def _described(self, namespace: str, peer: NetworkPolicyPeer, pod: Pod) -> bool:
        if peer.namespace_selector is None:
            if pod.namespace != namespace:
                return False
        else:
            space = self.state.get(Namespace, pod.namespace)
            if not peer.namespace_selector.matches(space.labels if space else {}):
                return False
        return peer.pod_selector is None or peer.pod_selector.matches(pod.labels)

    # --- ports

    def ports(self, ports: tuple[NetworkPolicyPort, ...]) -> Iterator[Matches]:
        """What the ports ask, one rule each: any of them is enough."""
        if not ports:
            yield ()
        for protocol in dict.fromkeys(port.protocol for port in ports):
            mine = [port for port in ports if port.protocol == protocol]
            proto = nf.Proto(protocol.lower())
            if any(port.port is None for port in mine):
                yield (proto,)
                continue
            ranges = [(p.port, p.end_port or p.port) for p in mine if isinstance(p.port, int)]
            yield from ((proto, nf.Ports(some)) for some in _portions(ranges))
            for name in dict.fromkeys(p.port for p in mine if isinstance(p.port, str)):
                named = self.port_set(name, protocol)
                yield proto, nf.InSet(named, ("dst", "dst"))

    def port_set(self, port: str, *protocols: PortProtocol) -> str:
        """Each pod's address with the numbers that it gives to a port's name."""
        name = self._name("n", ",".join((*protocols, port)))
        if name not in self.named:
            found = sorted(
                (address, protocol.lower(), number)
                for protocol in protocols
                for pod in self._pods()
                for number in named_ports(pod, port, protocol, DEFAULT)
                for address in self._addresses(pod)
            )
            members = tuple(dict.fromkeys(f"{a},{p}:{n}" for a, p, n in found))
            self.named[name] = nf.Ipset(name, "hash:ip,port", members)
        return name

    # --- pods

    def _name(self, kind: str, text: str) -> str:
        """`cali40s:...`: Calico hashes what a set is made from."""
        digits = urlsafe_b64encode(sha256(f"{kind}:{text}".encode()).digest()).decode()
        return f"cali{self.version}0{kind}:{digits}"[:LONGEST_SET]

    def _pods(self) -> Iterator[Pod]:
        """Pods that a selector may mean: those on their node's network are the node."""
        for pod in self.state.list(Pod):
            if not pod.spec.host_network and pod.status.phase not in FINISHED:
                yield pod

    def _addresses(self, pod: Pod) -> Iterator[Address]:
        return (a for a in pod.addresses if a.version == self.version)


def _portions(ranges: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Ports and ranges, as many at a time as one match takes."""
    some: list[tuple[int, int]] = []
    room = MOST_PORTS
    for first, last in ranges:
        cost = 1 if first == last else 2
        if cost > room:
            yield tuple(some)
            some, room = [], MOST_PORTS
        some.append((first, last))
        room -= cost
    if some:
        yield tuple(some)
