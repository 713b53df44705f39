"""What a cluster can be asked of its policies: nothing is sent, and nothing changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from labkit.api.core import PortProtocol
from labkit.api.state import Key, State
from labkit.given import checked

if TYPE_CHECKING:
    from labkit.given import Port
    from labkit.policy.outside import Outside
    from labkit.policy.portmap import PortMap
    from labkit.policy.propose import Proposal
    from labkit.policy.reach import Reach
    from labkit.policy.reading import Reading
    from labkit.policy.review import Review
    from labkit.traffic.meaning import Allowed, Explanation


@checked
class Policies(ABC):
    """The part of `Cluster` that tells what policies mean, under any CNI."""

    namespace: str
    lines: dict[Key, Mapping[str, int]]

    @property
    @abstractmethod
    def state(self) -> State:
        """The objects now."""

    def allowed(
        self,
        source: str,
        target: str,
        *,
        protocol: PortProtocol = "TCP",
        reading: str | Reading = "calico",
    ) -> Allowed:
        """What the policies mean for one connection, under any CNI; `enforced` says if it heeds.

        `reading`: how the points are read that the API leaves open; "calico" or "cilium".
        """
        from labkit.policy.reading import reading_of
        from labkit.traffic.meaning import allowed

        how: dict[str, Any] = {"namespace": self.namespace, "lines": self.lines}
        how["reading"] = reading_of(reading)
        return allowed(self.state, source, target, protocol=protocol, **how)

    def explain(self, source: str, target: str, protocol: PortProtocol = "TCP") -> Explanation:
        """Why a connection may open or not, in sentences; `target` may be a Service, too."""
        from labkit.traffic.meaning import explained

        how: dict[str, Any] = {"namespace": self.namespace, "lines": self.lines}
        return explained(self.state, source, target, protocol=protocol, **how)

    def reachability(
        self, port: Port, protocol: PortProtocol = "TCP", *, system: bool = False
    ) -> Reach:
        """What the policies mean for every pair of pods on one port of the receiver."""
        from labkit.policy.reach import reachability

        return reachability(self.state, port, protocol, system=system, lines=self.lines)

    def outside(self, port: Port, protocol: PortProtocol = "TCP") -> Outside:
        """What the policies mean between the world outside, block by block, and every pod."""
        from labkit.policy.outside import outside

        return outside(self.reachability(port, protocol))

    def port_map(self, *, system: bool = False) -> PortMap:
        """On which ports each pair of pods may open connections: the map of all ports."""
        from labkit.policy.portmap import port_map

        return port_map(self.state, system=system)

    def review(self) -> Review:
        """What in NetworkPolicies selects nobody, adds nothing, or means another port; by line."""
        from labkit.policy.review import review

        return review(self.state, self.lines)

    def propose(self, *flows: tuple[str, str]) -> Proposal:
        """Policies under which only these flows are open: `("pod/frontend", "pod/backend:8080")`.

        A target may end in its protocol: `pod/dns:53/UDP`.

        Raises:
            NotFound, CommandError: a place is not there, or a target is no pod with a port.
        """
        from labkit.policy.propose import propose
        from labkit.traffic.meaning import flow_between

        asked = ((source, *_with_protocol(target)) for source, target in flows)
        found = (flow_between(self.state, *each, namespace=self.namespace) for each in asked)
        return propose(self.state, found)


def _with_protocol(target: str) -> tuple[str, PortProtocol]:
    """`pod/dns:53/UDP` as target and protocol; TCP where none is said."""
    for protocol in get_args(PortProtocol):
        if target.upper().endswith(f"/{protocol}"):
            return target[: -len(protocol) - 1], protocol
    return target, "TCP"
