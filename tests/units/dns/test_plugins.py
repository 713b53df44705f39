"""What each plugin does to a question and its answer, and in which order they stand."""

from __future__ import annotations

import re

import msgspec
import pytest

from labkit.dns.message import Record
from labkit.dns.plugins import shuffled
from labkit.dns.resolvconf import ResolvConf
from labkit.dns.server import load, looping
from tests.units.dns.servers import KUBERNETES, WORLD, asked, corefile, rows

FORWARD = "forward . 192.0.2.53"


def stations(reply):
    return [station.plugin for station in reply.stations]


def test_the_order_in_the_file_does_not_matter():
    lines = (FORWARD, "cache 30", KUBERNETES, "errors", "loadbalance")
    chain = ["errors", "loadbalance", "cache", "kubernetes", "forward"]
    assert stations(asked(corefile(*lines), "example.com.")) == chain
    assert stations(asked(corefile(*reversed(lines)), "example.com.")) == chain


def test_a_question_stops_at_the_plugin_that_answers():
    reply = asked(corefile(KUBERNETES, FORWARD), "web.shop.svc.cluster.local.")
    assert (stations(reply), reply.upstreams) == (["kubernetes"], ())


def test_the_longest_zone_takes_the_question():
    text = corefile("forward . 192.0.2.1", keys="example.com:53") + corefile(FORWARD)
    assert asked(text, "db.example.com.").upstreams == ("192.0.2.1",)
    assert asked(text, "db.badexample.com.").upstreams == ("192.0.2.53",)


def test_a_block_without_plugins_refuses_and_a_chain_that_ends_fails():
    assert asked(corefile("ready"), "example.com.").answer.rcode == "REFUSED"
    assert asked(corefile("errors"), "example.com.").answer.rcode == "SERVFAIL"


def test_errors_logs_why_a_question_failed():
    reply = asked(corefile("errors", "forward . 192.0.2.254"), "example.com.")
    assert reply.log == ("[ERROR] plugin/errors: 2 example.com. A: i/o timeout",)
    assert asked(corefile("forward . 192.0.2.254"), "example.com.").log == ()


# --- cache -----------------------------------------------------------------------------------


def twice(lines, name, later, type_="A"):
    text = corefile(*lines)
    first = asked(text, name, type_, now=100.0)
    return first, asked(text, name, type_, memory=first.memory, now=100.0 + later)


def test_the_cache_answers_until_the_time_is_up_and_counts_down():
    first, second = twice(("cache 30", FORWARD), "example.com.", 10)
    assert (first.cached, second.cached) == (False, True)
    assert [r.ttl for r in (*first.answer.answer, *second.answer.answer)] == [30, 20]
    assert not twice(("cache 30", FORWARD), "example.com.", 30)[1].cached


def test_an_answer_from_the_cache_claims_authority():
    first, second = twice(("cache 30", FORWARD), "example.com.", 1)
    assert (first.answer.aa, second.answer.aa) == (False, True)


def test_a_no_is_remembered_as_well():
    first, second = twice(("cache 30", KUBERNETES), "late.shop.svc.cluster.local.", 4)
    assert (first.answer.rcode, second.answer.rcode) == ("NXDOMAIN", "NXDOMAIN")
    assert second.cached


@pytest.mark.parametrize("name", ["web.shop.svc.cluster.local.", "no.shop.svc.cluster.local."])
def test_a_zone_can_be_kept_out_of_the_cache(name):
    off = ("disable success cluster.local", "disable denial cluster.local")
    lines = ("cache 30 {", *off, "}", KUBERNETES, FORWARD)
    assert not twice(lines, name, 1)[1].cached
    assert twice(lines, "example.com.", 1)[1].cached


def test_the_cache_never_keeps_shorter_than_five_seconds():
    first, second = twice(
        ("cache 30", f"{KUBERNETES} {{", "ttl 0", "}"), "web.shop.svc.cluster.local.", 4
    )
    assert second.cached
    assert first.answer.answer[0].ttl == 5


def test_a_failure_that_no_upstream_wrote_is_not_cached():
    assert not twice(("cache 30", "forward . 192.0.2.254"), "example.com.", 1)[1].cached


# --- rewrite ---------------------------------------------------------------------------------

WEB = "web.shop.svc.cluster.local."
REWRITES = {
    "exact": ("name shop.example web.shop.svc.cluster.local", "shop.example."),
    "exact, in the question's case": ("name exact shop.example " + WEB, "Shop.EXAMPLE."),
    "suffix with answer auto": (
        "name suffix .lab.example .svc.cluster.local answer auto",
        "web.shop.lab.example.",
    ),
    "prefix with answer auto": ("name prefix my- we answer auto", "my-b.shop.svc.cluster.local."),
    "regex with answer name": (
        r"name regex (.*)\.lab\.example {1}.svc.cluster.local "
        r"answer name (.*)\.svc\.cluster\.local {1}.lab.example",
        "web.shop.lab.example.",
    ),
}


@pytest.mark.parametrize(("rule", "name"), REWRITES.values(), ids=REWRITES)
def test_a_rewritten_question_is_answered_under_its_own_name(rule, name):
    reply = asked(corefile(f"rewrite {rule}", KUBERNETES), name)
    assert rows(reply) == ["A 10.96.10.20"]
    assert reply.answer.answer[0].name == name


def test_without_answer_auto_the_new_name_shows():
    text = corefile("rewrite name suffix .lab.example .svc.cluster.local", KUBERNETES)
    assert asked(text, "web.shop.lab.example.").answer.answer[0].name == WEB


def test_the_first_rule_that_fits_stops_unless_it_continues():
    first = "rewrite {}name a.example b.example"
    second = "rewrite name b.example web.shop.svc.cluster.local"
    assert asked(corefile(first.format(""), second, KUBERNETES), "a.example.").answer.answer == ()
    reply = asked(corefile(first.format("continue "), second, KUBERNETES), "a.example.")
    assert reply.answer.answer[0].data == "10.96.10.20"


def test_types_and_ttls_can_be_rewritten():
    reply = asked(corefile("rewrite type AAAA A", KUBERNETES), WEB, "AAAA")
    assert rows(reply) == ["A 10.96.10.20"]
    reply = asked(corefile(f"rewrite ttl exact {WEB} 60", KUBERNETES), WEB)
    assert reply.answer.answer[0].ttl == 60


# --- hosts, forward, autopath, loadbalance -----------------------------------------------------


def test_hosts_answers_from_its_lines_and_fails_for_other_names():
    text = corefile("hosts {", "192.0.2.9 legacy.example old.example", "}", FORWARD)
    assert rows(asked(text, "old.example.")) == ["A 192.0.2.9"]
    assert asked(text, "old.example.", "AAAA").answer.rcode == "NOERROR"
    assert rows(asked(text, "9.2.0.192.in-addr.arpa.", "PTR")) == [
        "PTR legacy.example.",
        "PTR old.example.",
    ]
    assert asked(text, "example.com.").answer.rcode == "SERVFAIL"
    falling = corefile("hosts {", "192.0.2.9 a.example", "fallthrough", "}", FORWARD)
    assert rows(asked(falling, "example.com.")) == ["A 192.0.2.80"]


def test_forward_leaves_out_what_it_is_told_and_tries_the_next_server():
    text = corefile("forward . 192.0.2.53 {", "except example.com", "}")
    assert asked(text, "db.example.com.").answer.rcode == "SERVFAIL"
    reply = asked(corefile("forward . 192.0.2.254 192.0.2.53"), "example.com.")
    assert (rows(reply), reply.upstreams) == (["A 192.0.2.80"], ("192.0.2.254", "192.0.2.53"))


def test_forward_to_a_file_means_the_servers_of_the_pod():
    world = msgspec.structs.replace(WORLD, resolv_conf=ResolvConf(("192.0.2.1",)))
    reply = asked(corefile("forward . /etc/resolv.conf"), "example.com.", world=world)
    assert reply.upstreams == ("192.0.2.1",)


AUTOPATH = ("autopath @kubernetes", f"{KUBERNETES} {{", "pods verified", "}", FORWARD)


def test_autopath_walks_the_search_list_of_the_pod_that_asks():
    name = "example.com.shop.svc.cluster.local."
    reply = asked(corefile(*AUTOPATH), name, client="10.244.1.9")
    assert rows(reply) == ["CNAME example.com.", "A 192.0.2.80"]
    assert asked(corefile(*AUTOPATH), name, client="10.244.9.9").answer.rcode == "NXDOMAIN"


def test_addresses_are_shuffled_by_the_questions_lot_and_aliases_stay_first():
    addresses = [Record("a.", "A", 5, f"192.0.2.{i}") for i in range(3)]
    records = (*addresses, Record("b.", "CNAME", 5, "a."))
    orders = {tuple(r.data for r in shuffled(records, lot)) for lot in range(6)}
    assert {order[0] for order in orders} == {"a."}
    assert {order[1] for order in orders} == {"192.0.2.0", "192.0.2.1", "192.0.2.2"}


# --- loop ------------------------------------------------------------------------------------

LOOPS = {
    "a node's stub resolver means the pod itself": ("127.0.0.53", True),
    "its own address as well": ("10.244.0.2", True),
    "another server is no loop": ("192.0.2.53", False),
    "another port is no loop": ("127.0.0.1:5353", False),
}


@pytest.mark.parametrize(("server", "loops"), LOOPS.values(), ids=LOOPS)
def test_loop_finds_questions_that_come_back(server, loops):
    text = corefile("loop", f"forward . {server}")
    assert bool(looping(load(text), WORLD)) is loops
    assert not looping(load(corefile(f"forward . {server}")), WORLD)


def test_loop_ends_with_the_line_that_coredns_writes():
    says = looping(load(corefile("loop", "forward . 127.0.0.53")), WORLD)
    form = (
        r"\[FATAL\] plugin/loop: Loop \(127\.0\.0\.1:\d{5} -> :53\) detected for zone \"\.\", see "
        r"https://coredns\.io/plugins/loop#troubleshooting\. Query: \"HINFO \d+\.\d+\.\""
    )
    assert re.fullmatch(form, says), says
