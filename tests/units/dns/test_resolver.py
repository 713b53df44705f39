"""Which questions a name becomes, under which resolver, and when it stops asking."""

from __future__ import annotations

import pytest

from labkit.dns.message import Answer, Record
from labkit.dns.resolvconf import ResolvConf, parse_resolv_conf, pod_resolv_conf
from labkit.dns.resolver import candidates, look_up
from labkit.dns.server import ask, load
from tests.clusters import pod
from tests.units.dns.servers import KUBERNETES, WORLD, corefile

SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
CORP = (*SEARCH, "corp.example")
POD = ResolvConf(("10.96.0.10",), SEARCH, ("ndots:5",))
SERVER = load(corefile(KUBERNETES, "forward . 192.0.2.53"))


def through(server, query):
    return ask(SERVER, WORLD, query).answer


# Captured with glibc's getaddrinfo(AF_INET) and a server that told what it was asked.
GLIBC = {
    "web": "web.shop.svc.cluster.local",
    "web.shop": "web.shop.shop.svc.cluster.local web.shop.svc.cluster.local",
    "web.shop.svc": "web.shop.svc.shop.svc.cluster.local web.shop.svc.svc.cluster.local "
    "web.shop.svc.cluster.local",
    "web.shop.svc.cluster.local.": "web.shop.svc.cluster.local",
    "none.example": "none.example.shop.svc.cluster.local none.example.svc.cluster.local "
    "none.example.cluster.local none.example.corp.example none.example",
    "a.b.c.d.e.example": "a.b.c.d.e.example a.b.c.d.e.example.shop.svc.cluster.local "
    "a.b.c.d.e.example.svc.cluster.local a.b.c.d.e.example.cluster.local "
    "a.b.c.d.e.example.corp.example",
    "ext": "ext.shop.svc.cluster.local",
}


@pytest.mark.parametrize(("name", "names"), GLIBC.items())
def test_glibc_asks_the_captured_names(name, names):
    conf = ResolvConf(("10.96.0.10",), CORP, ("ndots:5",))
    lookup = look_up(name, conf, through, types=("A",))
    assert [n.rstrip(".") for n in lookup.wire_names] == names.split()


def test_a_and_aaaa_are_asked_for_each_name():
    lookup = look_up("web", POD, through)
    assert [one.query.type for one in lookup.sent] == ["A", "AAAA"]
    assert lookup.addresses == ("10.96.10.20",)


def test_an_alias_is_followed_to_its_address_and_told_as_the_name():
    lookup = look_up("ext", POD, through)
    assert (lookup.addresses, lookup.canonical) == (("192.0.2.7",), "db.example.com.")


def test_records_of_another_owner_do_not_count():
    def renaming(server, query):
        return Answer(answer=(Record("other.example.", query.type, 5, "192.0.2.1"),))

    assert look_up("a.example.", POD, renaming).problem == "NODATA"


def test_busybox_asks_every_name_for_a_before_aaaa():
    lookup = look_up("web", POD, through, "busybox-nslookup")
    asked = [(one.query.name.partition(".")[2], one.query.type) for one in lookup.sent]
    domains = [f"{domain}." for domain in SEARCH]
    assert asked == [(d, t) for t in ("A", "AAAA") for d in domains]


def test_each_resolver_has_its_own_candidates():
    assert candidates("web.shop", POD, "busybox-nslookup") == ("web.shop.",)
    assert candidates("a.b.c.d.e.f", POD, "musl") == ("a.b.c.d.e.f.",)
    assert candidates("a.b.c.d.e.f", POD, "glibc")[0] == "a.b.c.d.e.f."
    assert candidates("web", ResolvConf(), "musl") == ("web.",)


FAULTS = {
    # what every server does: (answer or fault, resolver, problem, questions sent)
    "silence is waited out on both servers, twice": ("timed out", "glibc", "AGAIN", 8),
    "a refused datagram is tried elsewhere": ("refused", "glibc", "AGAIN", 8),
    "glibc goes on to the next name after SERVFAIL": ("SERVFAIL", "glibc", "AGAIN", 32),
    "musl stops at SERVFAIL": ("SERVFAIL", "musl", "AGAIN", 4),
    "a refusal ends glibc's search": ("REFUSED", "glibc", "AGAIN", 8),
}


@pytest.mark.parametrize(("says", "resolver", "problem", "sent"), FAULTS.values(), ids=FAULTS)
def test_servers_that_fail(says, resolver, problem, sent):
    def failing(server, query):
        return Answer(rcode=says) if says.isupper() else says

    conf = ResolvConf(("192.0.2.1", "192.0.2.2"), SEARCH, ("ndots:5",))
    lookup = look_up("web", conf, failing, resolver)
    assert (lookup.problem, len(lookup.sent)) == (problem, sent)


def test_timeout_and_attempts_are_heeded():
    conf = ResolvConf(("192.0.2.1",), (), ("timeout:1", "attempts:3"))
    lookup = look_up("web", conf, lambda server, query: "timed out", types=("A",))
    assert (lookup.seconds, len(lookup.sent)) == (3, 3)


# --- /etc/resolv.conf --------------------------------------------------------------------------

NODE = parse_resolv_conf("nameserver 192.0.2.53\nsearch lab.example.\noptions timeout:2\n")


def written(**spec):
    conf, event = pod_resolv_conf(pod("a", "10.244.1.2", **spec), NODE, ("10.96.0.10",), "c.local")
    return str(conf), event


def test_the_kubelet_writes_search_nameserver_and_options():
    text = (
        "search default.svc.c.local svc.c.local c.local lab.example\n"
        "nameserver 10.96.0.10\noptions ndots:5\n"
    )
    assert written() == (text, "")
    assert (
        parse_resolv_conf(text)
        == pod_resolv_conf(pod("a", "10.244.1.2"), NODE, ("10.96.0.10",), "c.local")[0]
    )


POLICIES = {
    "the node's network needs the longer policy": ("ClusterFirst", True, "192.0.2.53"),
    "with it the pod asks the cluster": ("ClusterFirstWithHostNet", True, "10.96.0.10"),
    "Default is the node's file": ("Default", False, "192.0.2.53"),
}


@pytest.mark.parametrize(("policy", "host", "server"), POLICIES.values(), ids=POLICIES)
def test_policies(policy, host, server):
    assert f"nameserver {server}\n" in written(dns_policy=policy, host_network=host)[0]


def test_a_search_list_is_cut_to_what_resolvers_take():
    many = " ".join(f"{'x' * 60}{i:02}.example" for i in range(40))
    node = parse_resolv_conf(f"search {many}\n")
    conf, event = pod_resolv_conf(pod("a", "10.244.1.2"), node, ("10.96.0.10",), "c.local")
    assert event == "DNSConfigForming"
    assert len(" ".join(conf.search)) <= 2048
    assert len(conf.search) == 31


def test_a_node_without_cluster_dns_gives_its_own_file():
    conf, event = pod_resolv_conf(pod("a", "10.244.1.2"), NODE, (), "c.local")
    assert (conf.nameservers, event) == (("192.0.2.53",), "MissingClusterDNS")
