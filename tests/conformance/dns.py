"""Names: what CoreDNS answers, what resolvers ask, and what the kubelet writes for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labkit.api.core import Pod
from labkit.commands.nslookup import busybox_nslookup
from labkit.dns.known import known
from labkit.dns.message import Answer, Query, Record
from labkit.dns.plugin import Upstream, World
from labkit.dns.resolvconf import ResolvConf, parse_resolv_conf, pod_resolv_conf
from labkit.dns.resolver import Lookup, look_up
from labkit.dns.server import Server, ask, load
from tests.conformance.objects import state_of

UPSTREAM_TTL = 30
FINAL = {
    ("glibc", "NODATA"): "no address",
    ("musl", "NODATA"): "EAI_NODATA",
    ("busybox-nslookup", "NODATA"): "no address",
    ("musl", "FAIL"): "EAI_FAIL",
    ("musl", "AGAIN"): "EAI_AGAIN",
    ("glibc", "AGAIN"): "EAI_AGAIN",
}

Case = Mapping[str, Any]


def answers(case: Case) -> Iterator[tuple[str, Mapping[str, Any]]]:
    match case["kind"]:
        case "dns":
            yield "", served(case)
        case "search_sequence":
            yield "", searched(case)
        case "resolv_conf":
            yield "", written(case)
        case kind:
            raise ValueError(f"unknown kind {kind}")


# --- one question to CoreDNS ------------------------------------------------------------------


def served(case: Case) -> Mapping[str, Any]:
    query = case["query"]
    asked = Query(query["qname"], query["qtype"], client_of(case))
    reply = ask(load(case["corefile"]), world_of(case), asked)
    answer = reply.answer
    soa = answer.soa
    ttl = answer.answer[0].ttl if answer.answer else soa.ttl if soa else None
    found: dict[str, Any] = {
        "rcode": answer.rcode,
        "aa": answer.aa,
        "answer": [row(r) for r in answer.answer],
        "additional": [row(r) for r in answer.additional],
        "authority_soa": soa is not None,
        "soa_owner": soa.name if soa else None,
        "soa_rdata": row(soa)[2] if soa else None,
        "ttl": ttl,
        "forwarded_to": reply.upstreams[-1] if reply.upstreams else None,
    }
    if case["expect"].get("ttl") is None or ttl is None:
        found["ttl"] = case["expect"].get("ttl")  # not compared where there is no such record
    return found


def client_of(case: Case) -> str:
    """The address that the question comes from: as the case says, else the pod's own."""
    pod = case["query"].get("from_pod") or {}
    named = (pod.get("namespace", "default"), pod.get("name"))
    there = (p for p in state_of(case["objects"]).list(Pod) if (p.namespace, p.name) == named)
    found = next((str(a) for p in there for a in p.addresses), "")
    return str(pod.get("ip", found))


def row(record: Record) -> list[str]:
    """Owner, type and data; a SOA's serial is not told, a TXT's quotes are left out."""
    data = record.data
    if record.type == "SOA":
        words = data.split()
        data = " ".join([*words[:2], "<serial>", *words[3:]])
    if record.type == "TXT":
        data = data.strip('"')
    return [record.name, record.type, data]


def world_of(case: Case) -> World:
    return World(
        known=known(state_of(case["objects"])),
        upstream=upstream_of(case.get("upstream_answers") or {}),
        local_ips=tuple(case.get("coredns_local_ips", ())),
        synced=case.get("coredns_synced", True),
    )


def upstream_of(given: Mapping[str, Any]) -> Upstream:
    """Servers that know these answers and no other name."""
    table = {key.lower(): value for key, value in given.items()}

    def upstream(address: str, query: Query) -> Answer:
        default = table.get(f"{query.key} *", table.get("*", ("NXDOMAIN", ())))
        rcode, rows = table.get(f"{query.key} {query.type}".lower(), default)
        records = tuple(Record(name, type_, UPSTREAM_TTL, data) for name, type_, data in rows)
        return Answer(rcode=rcode, answer=records)

    return upstream


# --- a name in a pod --------------------------------------------------------------------------


def searched(case: Case) -> Mapping[str, Any]:
    query, world, server = case["query"], world_of(case), load(case["corefile"])
    client = client_of(case)
    lookup = look_up(
        query["qname"],
        conf_of(query["resolv_conf"]),
        lambda address, asked: through(server, world, asked, client),
        query["resolver"],
        tuple(query["qtype"].split("+")),
    )
    printed = busybox_nslookup(lookup)
    lines = set(printed.splitlines())
    wanted = case["expect"].get("prints_also", [])
    return {
        "wire_names": list(lookup.wire_names),
        "parallel": query["resolver"] == "busybox-nslookup",
        "final": final(lookup, case["expect"].get("final")),
        "exit_code": printed.exit_code,
        "prints_also": [line for line in wanted if line in lines],
    }


def through(server: Server, world: World, query: Query, client: str) -> Answer:
    """The answer with every lot drawn as 0: records stay in their order."""
    return ask(server, world, Query(query.name, query.type, client)).answer


def conf_of(given: Mapping[str, Any]) -> ResolvConf:
    options = tuple(f"{k}:{v}" for k, v in given.items() if k not in ("search", "nameservers"))
    return ResolvConf(
        tuple(given.get("nameservers", ["10.96.0.10"])), tuple(given.get("search", ())), options
    )


def final(lookup: Lookup, expected: Any) -> Any:
    """The addresses, alone or in a list as the case has them; else the resolver's verdict."""
    if lookup.problem:
        return FINAL.get((lookup.resolver, lookup.problem), lookup.problem)
    found = list(lookup.addresses)
    return found[0] if len(found) == 1 and not isinstance(expected, list) else found


# --- /etc/resolv.conf -------------------------------------------------------------------------


def written(case: Case) -> Mapping[str, Any]:
    node, name = case["node"], case["query"]["from_pod"]
    pod = next(p for p in state_of(case["objects"]).list(Pod) if p.name == name)
    servers = tuple(node["cluster_dns"])
    conf, event = pod_resolv_conf(
        pod, parse_resolv_conf(node["resolv_conf"]), servers, node["cluster_domain"]
    )
    return {
        "nameservers": list(conf.nameservers),
        "search": list(conf.search),
        "options": list(conf.options),
        "event": event or None,
    }
