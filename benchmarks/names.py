"""What names cost: reading a large cluster, look-ups in the model, answers on loopback."""

from __future__ import annotations

import socket
from itertools import islice

from dnslib import DNSRecord

from benchmarks.timing import best, show
from labkit import scenario
from labkit.api.core import Namespace, Service, ServicePortSpec, ServiceSpec
from labkit.api.meta import Meta
from labkit.api.state import ClusterConfig, State, key_of
from labkit.dns.known import known
from labkit.dns.message import Answer, Query
from labkit.dns.plugin import World
from labkit.dns.server import ask, load
from labkit.serve.dns import NameServer, served

SERVICES, QUESTIONS = 10_000, 2_000


def large() -> State:
    """A namespace with 10,000 Services, as they stand."""
    services = [
        Service(
            metadata=Meta(name=f"app-{n}", namespace="default"),
            spec=ServiceSpec(
                cluster_ip=f"10.{96 + n // 60000}.{n // 250 % 250}.{1 + n % 250}",
                ports=(ServicePortSpec(port=80, name="http"),),
            ),
        )
        for n in range(SERVICES)
    ]
    objects = (Namespace(metadata=Meta(name="default")), *services)
    return State(ClusterConfig(), {key_of(o): o for o in objects})


class Echo(NameServer):
    """dnslib's least: a question parsed, packed and sent back."""

    def _answered(self, data: bytes, client: str, largest: int = 0) -> bytes:
        return bytes(DNSRecord.parse(data).reply().pack())


RUNS = 5
ONE = ["backend.default.svc.cluster.local"] * QUESTIONS * RUNS
FRESH = [
    f"10-{n // 60000}-{n // 250 % 250}-{n % 250}.default.pod.cluster.local"
    for n in range(QUESTIONS * RUNS)
]


def asked(server: NameServer, names: list[str]) -> float:
    """Seconds for a row of questions on loopback; each run takes the next names."""
    server.start()
    packed = iter([DNSRecord.question(name).pack() for name in names])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", server.port))
        client.settimeout(5)

        def row() -> None:
            for data in islice(packed, QUESTIONS):
                client.send(data)
                client.recv(512)

        cost = best(row, runs=RUNS)
    server.close()
    return cost


def measure() -> None:
    state = large()
    show(f"{SERVICES} Services read for DNS", best(lambda: known(state)) * 1e3, "ms", "under 1000")
    lab = scenario("shop")
    server = load(lab.get("configmap/kube-system/coredns").data["Corefile"])
    world = World(known=known(state), upstream=lambda address, query: None)
    queries = [Query(f"app-{n}.default.svc.cluster.local.", id=n) for n in range(QUESTIONS)]
    cost = best(lambda: [ask(server, world, query) for query in queries])
    show("look-ups by the plugins", QUESTIONS / cost, "a second", "over 20000")
    lab.resolve("pod/frontend", "backend")
    once = best(lambda: [lab.resolve("pod/frontend", "backend") for _ in range(20)]) / 20
    show("one name looked up by packets", once * 1e3, "ms", "")
    for words, names in (("seen before", ONE), ("not seen before", FRESH)):
        answers = asked(NameServer(served(lab)), names)
        echo = asked(Echo(lambda query: Answer()), names)
        told = f"{answers / echo:.1f} x the time of an echo, under 2"
        show(f"questions on loopback, {words}", QUESTIONS / answers, "a second", told)
