"""What a cluster can be asked of its policies: nothing is sent, and nothing changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labkit.api.state import Key, State

if TYPE_CHECKING:
    from labkit.api.core import PortProtocol
    from labkit.policy.reach import Reach
    from labkit.traffic.meaning import Allowed, Explanation


class Policies(ABC):
    """The part of `Cluster` that tells what policies mean, under any CNI."""

    namespace: str
    lines: dict[Key, Mapping[str, int]]

    @property
    @abstractmethod
    def state(self) -> State:
        """The objects now."""

    def allowed(self, source: str, target: str, *, protocol: PortProtocol = "TCP") -> Allowed:
        """What the policies mean for one connection, under any CNI; `enforced` says if it heeds."""
        from labkit.traffic.meaning import allowed

        how: dict[str, Any] = {"namespace": self.namespace, "lines": self.lines}
        return allowed(self.state, source, target, protocol=protocol, **how)

    def explain(self, source: str, target: str, protocol: PortProtocol = "TCP") -> Explanation:
        """Why a connection may open or not, in sentences; `target` may be a Service, too."""
        from labkit.traffic.meaning import explained

        how: dict[str, Any] = {"namespace": self.namespace, "lines": self.lines}
        return explained(self.state, source, target, protocol=protocol, **how)

    def reachability(
        self, port: int, protocol: PortProtocol = "TCP", *, system: bool = False
    ) -> Reach:
        """What the policies mean for every pair of pods on one port of the receiver."""
        from labkit.policy.reach import reachability

        return reachability(self.state, port, protocol, system=system, lines=self.lines)
