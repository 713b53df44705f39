"""Subject `networkpolicy`: what the policies mean for one flow, asked of the matcher."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import get_args

from labkit.api.core import Pod, PortProtocol
from labkit.api.state import State
from labkit.policy.ends import End, address_end, pod_end
from labkit.policy.matcher import DEFAULT, Flow, judge
from tests.conformance.objects import state_of
from tests.conformance.run import Answer, Case

READINGS = ("hostnet", "ipblock-pods", "sidecar", "hostbits", "self")
"""Points that the API leaves open; a case expects the default of our switch for it."""
ASKED = {"src", "dst", "protocol", "port"}


def answers(case: Case) -> Iterator[tuple[str, Answer]]:
    reading, query = case.get("reading"), case["query"]
    if reading is not None and reading not in READINGS:
        raise ValueError(f"unknown reading {reading}")
    if query.keys() != ASKED or query["protocol"] not in get_args(PortProtocol):
        raise ValueError(f"a query asks for {', '.join(sorted(ASKED))}, got {query}")
    state = state_of(case["manifests"])
    source, destination = (end_of(state, query[side]) for side in ("src", "dst"))
    flow = Flow(source, destination, query["protocol"], query["port"])
    yield "", {"allowed": judge(state, flow).allowed}


def end_of(state: State, text: str) -> End:
    """`namespace/pod`, or an address: a pod's, a node's, else one outside."""
    namespace, _, name = text.rpartition("/")
    if not namespace:
        return address_end(state, ip_address(text), DEFAULT)
    pod = state.get(Pod, name, namespace)
    if pod is None:
        raise ValueError(f"no pod {text}")
    return pod_end(state, pod, DEFAULT)
