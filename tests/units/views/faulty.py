"""Connections of a real cluster: near and far, whole and broken in every way that has a picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from labkit import Cluster, scenario
from labkit.kernel.dice import SeededDice
from labkit.traffic import faults
from labkit.traffic.connection import Connection


@cache
def shop(backend: str) -> Cluster:
    return scenario("shop", cni_options={"backend": backend})


def ask(backend: str, *injected: object, source: str = "pod/frontend",
        target: str = "svc/backend:80", **more: object) -> Callable[[], Connection]:  # fmt: skip
    """A connection that is made when asked for: collecting tests builds no cluster."""

    def connect() -> Connection:
        lab = shop(backend).fork()
        for fault in injected:
            lab.inject(fault)
        return lab.connect(source, target, **more)

    return connect


DOOR = """
apiVersion: v1
kind: Service
metadata: {name: frontend}
spec: {type: LoadBalancer, selector: {app: frontend}, ports: [{port: 80, targetPort: 8080}]}
"""


def balanced(product: str) -> Callable[[], Connection]:
    """From outside through a balancer to node-2, and on to the pod on node-1."""

    def connect() -> Connection:
        lab = scenario("shop", load_balancer=product)
        lab.apply(DOOR)
        tried = (lab.connect("outside", "198.51.100.10:80", dice=SeededDice(n)) for n in range(40))
        return next(one for one in tried if any("node-2" in h.netns for h in one.request.hops))

    return cache(connect)


DETOUR = (  # node-1 sends what is for node-2 by way of node-3
    faults.missing_route("node-1", "10.244.2.0/24"),
    faults.extra_route("node-1", "10.244.2.0/24", via="192.168.7.13"),
)
AND_BACK = (  # and node-3 sends it back
    faults.missing_route("node-3", "10.244.2.0/24"),
    faults.extra_route("node-3", "10.244.2.0/24", via="192.168.7.11"),
)
BACKEND, PLAIN = "pod/backend:8080", "vxlan"
REAL = {
    "a Service": ask(PLAIN),
    "the outside": ask(PLAIN, target="outside"),
    "itself": ask(PLAIN, source="pod/backend"),
    "from a machine": ask(PLAIN, source="node/node-1"),
    "from the outside": ask(PLAIN, source="outside", target="node/node-1:30080"),
    "a closed port": ask(PLAIN, target="pod/backend:9999"),
    "nobody": ask(PLAIN, target="10.244.77.7:80"),
    "a ping": ask(PLAIN, target="pod/backend", protocol="ICMP"),
    "much": ask(PLAIN, target=BACKEND, size=3000),
    "without a tunnel": ask("host-gw"),
    "a detour": ask("host-gw", *DETOUR),
    "a circle": ask("host-gw", *DETOUR, *AND_BACK),
    "no way back": ask(PLAIN, faults.missing_route("node-2", "10.244.1.0/24")),
    "no row in the fdb": ask(PLAIN, faults.missing_fdb("node-1", "192.168.7.12")),
    "a machine that is off": ask(PLAIN, faults.link_down("node-2", "eth0")),
    "no hairpin": ask(PLAIN, faults.hairpin_off("node-2"), source="pod/backend"),
    "too big at first": ask(
        PLAIN, faults.mtu("node-1", "flannel.1", 1400), target=BACKEND, size=3000
    ),
    "a small card": ask(PLAIN, faults.mtu("node-2", "eth0", 1400), target=BACKEND, size=3000),
    "five machines": balanced("aws-nlb-instance"),
    "five machines, and a proxy": balanced("aws-clb"),
    "five machines, one by the way": balanced("gcp-passthrough"),
}
