"""The chain of plugins and the questions over time: what they say, and what names may not do."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from labkit import kubectl, scenario
from labkit.views import plugins, queries
from tests.units.dns.test_edits import CACHE, edited, instead

OUT = "api.stripe.com"
EVIL = "<script>alert(1)</script>\"'.example"


def shop():
    lab = scenario("shop")
    kubectl(lab, "scale deployment coredns -n kube-system --replicas=1")
    return lab


@pytest.fixture(scope="module")
def lab():
    return shop()


def rows(figure):
    return [line.split(". ", 1)[1] for line in figure.twin.splitlines()[2:]]


def test_each_question_of_a_lookup_has_its_own_chain(lab):
    found = lab.fork().resolve("pod/frontend", OUT)
    first, last = plugins(found, 1), plugins(found)
    assert first.twin.splitlines()[0] == (
        "api.stripe.com.default.svc.cluster.local. A is answered by kubernetes: NXDOMAIN."
    )
    assert rows(first)[3:] == [
        "cache: keeps no denials of cluster.local.",
        "kubernetes: answers NXDOMAIN.",
        "loop: not reached.",
        "forward: not reached.",
    ]
    assert rows(last)[-1] == "forward: asks 203.0.113.9: no record of this type."
    assert last.answer == "is answered by forward: no record of this type"


def test_what_is_remembered_never_reaches_the_plugins_below(lab):
    fork = lab.fork()
    fork.resolve("pod/frontend", f"{OUT}.")
    fork.wait(12)
    shown = plugins(fork.resolve("pod/frontend", f"{OUT}."), 1)
    assert rows(shown)[3] == "cache: answers 203.0.113.9 from memory, 18 s left."
    assert rows(shown)[4] == "kubernetes: not reached."


def test_a_rewrite_and_a_server_that_gives_up_are_told(lab):
    line = ".:53 {\n    rewrite name api.shop.example backend.default.svc.cluster.local\n"
    fork = edited(lab, instead(".:53 {\n", line))
    shown = plugins(fork.resolve("pod/frontend", "api.shop.example.", "A"))
    assert rows(shown)[2] == "rewrite: asks for backend.default.svc.cluster.local. A instead."
    fork = edited(lab, instead("/etc/resolv.conf", "192.168.7.99"))
    shown = plugins(fork.resolve("pod/frontend", f"{OUT}.", "A"), 1)
    assert rows(shown)[-1] == "forward: asks 192.168.7.99: no answer."


def test_a_question_that_no_coredns_took_says_so(lab):
    fork = lab.fork()
    kubectl(fork, "scale deployment coredns -n kube-system --replicas=0")
    shown = plugins(fork.resolve("pod/frontend", "backend"), 1)
    assert shown.twin == "No server took the question: refused."
    assert "outside the cluster" in plugins(fork.resolve("node-1", OUT), 1).twin


def asked_too_early(lab, *edits):
    """Looked up before the Service is there, 4 s and 31 s later."""
    fork = edited(lab, *edits)
    kubectl(fork, "scale deployment coredns -n kube-system --replicas=1")
    found = [fork.resolve("pod/frontend", "late", "A")]
    fork.apply(
        "{apiVersion: v1, kind: Service, metadata: {name: late}, spec: {ports: [{port: 80}]}}"
    )
    for seconds in (4, 27):
        fork.wait(seconds)
        found.append(fork.resolve("pod/frontend", "late", "A"))
    return found


def test_the_clock_shows_how_long_a_no_holds(lab):
    lines = queries(asked_too_early(lab, instead(CACHE, "cache 30"))).twin.splitlines()
    assert lines[0] == "9 questions in 3 look-ups: 1 answered, 8 no such name."
    assert lines[3] == "At second 4: late gives NXDOMAIN; 4 questions: 4 no such name from a cache."
    assert lines[4].startswith("At second 31: late gives 10.96.1.")
    assert lines[5] == (
        "A cache holds late.default.svc.cluster.local. A, no such name, from second 0 to 30."
    )


def test_with_todays_corefile_it_is_there_at_once(lab):
    lines = queries(asked_too_early(lab)).twin.splitlines()
    assert lines[0] == "6 questions in 3 look-ups: 2 answered, 4 no such name."


def test_the_key_explains_the_signs_that_are_drawn(lab):
    once = queries(lab.fork().resolve("pod/frontend", "backend")).svg
    assert "no record of this type" in once
    assert not [w for w in ("no such name", "from memory", "remembered") if w in once]
    clock = queries(asked_too_early(lab, instead(CACHE, "cache 30"))).svg
    assert "from memory" in clock
    assert "remembered" in clock


def test_one_lookup_needs_no_list(lab):
    found = lab.fork().resolve("pod/frontend", OUT)
    assert queries(found).twin == queries([found]).twin
    assert queries(found).answer == "means 8 questions"


@pytest.mark.parametrize("draw", [lambda f: plugins(f, 1), queries], ids=["plugins", "queries"])
def test_a_picture_escapes_names_and_is_the_same_twice(lab, draw):
    found = lab.fork().resolve("pod/frontend", EVIL)
    figure = draw(found)
    assert "<script" not in figure._repr_html_()
    assert ElementTree.fromstring(figure.svg).attrib["width"] == "720"
    assert figure._repr_html_() == draw(lab.fork().resolve("pod/frontend", EVIL))._repr_html_()


def test_many_names_are_counted_where_they_are_not_drawn(lab):
    fork = lab.fork()
    figure = queries([fork.resolve("pod/frontend", f"n{i}") for i in range(4)])
    assert "and 6 more names" in figure.svg
    assert figure.twin.startswith("32 questions in 4 look-ups")


def early():
    return asked_too_early(shop(), instead(CACHE, "cache 30"))


LONG = "a-very-long-name-of-a-host.in-a-department.of-a-company.with-a-long-name.example"
DRAWN = {
    "plugins, turned by kubernetes": lambda: plugins(shop().resolve("pod/frontend", OUT), 1),
    "plugins, asked outside": lambda: plugins(shop().resolve("pod/frontend", OUT)),
    "plugins, a long name": lambda: plugins(shop().resolve("pod/frontend", LONG), 3),
    "queries, one look-up": lambda: queries(shop().resolve("pod/frontend", OUT)),
    "queries, the clock": lambda: queries(early()),
    "queries, many names": lambda: queries(
        [shop().resolve("pod/frontend", f"{n}.{LONG}") for n in "abcd"]
    ),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_what_is_drawn_has_its_words(draw):
    figure = draw()
    assert ElementTree.fromstring(figure.svg).attrib["viewBox"].startswith("0 0 720 ")
    assert len(figure.twin.splitlines()) > 2
