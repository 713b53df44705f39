"""A small shop for CoreDNS: a Service, a headless one, an ExternalName, and an upstream."""

from __future__ import annotations

from typing import Any

from labkit.dns.known import known
from labkit.dns.message import Answer, Query, Record
from labkit.dns.plugin import World
from labkit.dns.server import Reply, ask, load
from tests.conformance.objects import state_of

DOMAIN = "cluster.local"
KUBERNETES = f"kubernetes {DOMAIN} in-addr.arpa ip6.arpa"
UPSTREAM = {"example.com.": "192.0.2.80", "db.example.com.": "192.0.2.7"}


def service(name: str, ip: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"clusterIP": ip, "ports": [{"name": "http", "port": 80}], **spec},
    }


OBJECTS: list[dict[str, Any]] = [
    service("web", "10.96.10.20"),
    service("hl", "None"),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "ext", "namespace": "shop"},
        "spec": {"type": "ExternalName", "externalName": "db.example.com"},
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "hl-1",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": "hl"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": ["10.244.1.30"]}, {"addresses": ["10.244.2.31"]}],
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client", "namespace": "shop"},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"phase": "Running", "podIP": "10.244.1.9"},
    },
]


def upstream(address: str, query: Query) -> Answer | None:
    """A server outside; 192.0.2.254 is silent."""
    if address == "192.0.2.254":
        return None
    found = UPSTREAM.get(query.key)
    if found is None:
        soa = Record("com.", "SOA", 60, "a.example. b.example. 1 2 3 4 60")
        return Answer(rcode="NXDOMAIN", authority=(soa,))
    rows = (Record(query.name, "A", 300, found),) if query.type == "A" else ()
    return Answer(answer=rows)


WORLD = World(known=known(state_of(OBJECTS)), upstream=upstream, local_ips=("10.244.0.2",))


def corefile(*lines: str, keys: str = ".:53") -> str:
    return "\n".join([f"{keys} {{", *(f"    {line}" for line in lines), "}", ""])


def asked(text: str, name: str, type_: str = "A", **how: Any) -> Reply:
    query = Query(name, type_, how.pop("client", ""), how.pop("id", 0))
    return ask(load(text), how.pop("world", WORLD), query, **how)


def rows(reply: Reply) -> list[str]:
    """`A 10.96.10.20`, ... of the answer section."""
    return [f"{r.type} {r.data}" for r in reply.answer.answer]
