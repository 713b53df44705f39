"""What a Corefile means, and what CoreDNS would not start with."""

from __future__ import annotations

import pytest

from labkit.dns.corefile import CorefileError, key_of, parse
from labkit.dns.message import zones_of
from labkit.dns.server import load
from tests.units.dns.servers import corefile


def shape(text, **how):
    return [(block.keys, [line.words for line in block.directives]) for block in parse(text, **how)]


def test_comments_quotes_and_blocks_are_read_as_caddy_reads_them():
    keys = "example.org, example.com:1053"
    inner = '  log "two words" # why\n  health {\n    lameduck 5s\n  }\n'
    text = f"# first\n{keys} {{\n{inner}}}\n"
    (block,) = parse(text)
    assert block.keys == ("example.org", "example.com:1053")
    assert [line.words for line in block.directives] == [("log", "two words"), ("health",)]
    assert block.directives[1].block[0].words == ("lameduck", "5s")
    assert block.directives[1].number == 4


def test_a_hash_inside_a_word_is_no_comment():
    assert shape(corefile("log a#b")) == [((".:53",), [("log", "a#b")])]


def test_a_snippet_stands_wherever_it_is_imported():
    text = "(common) {\n  errors\n  log\n}\n" + corefile("import common", "cache 30")
    assert shape(text) == [((".:53",), [("errors",), ("log",), ("cache", "30")])]


def test_an_import_of_files_takes_all_that_fit_the_pattern():
    files = {"custom/a.server": "a.example {\n  log\n}\n", "custom/b.override": "log\n"}
    text = corefile("errors", "import custom/*.override") + "import custom/*.server\n"
    assert shape(text, files=files) == [
        ((".:53",), [("errors",), ("log",)]),
        (("a.example",), [("log",)]),
    ]


def test_variables_of_the_environment_are_filled_in():
    text = corefile("forward . {$UPSTREAM} {%GONE%}")
    assert shape(text, environment={"UPSTREAM": "192.0.2.53"})[0][1] == [
        ("forward", ".", "192.0.2.53", "")
    ]


def test_one_server_block_needs_no_braces():
    assert shape("example.org\nerrors\nlog\n") == [(("example.org",), [("errors",), ("log",)])]


@pytest.mark.parametrize(
    ("text", "key"),
    {
        ".:53": ("dns", ".", 53),
        ".": ("dns", ".", 53),
        "Example.org:1053": ("dns", "example.org", 1053),
        "tls://example.org": ("tls", "example.org", 853),
        "10.0.0.0/8": ("dns", "10.0.0.0/8", 53),
        "10.0.0.0/8:1053": ("dns", "10.0.0.0/8", 1053),
    }.items(),
)
def test_a_key_is_transport_zone_and_port(text, key):
    (block,) = parse(corefile())
    assert key_of(text, block.head) == key


def test_a_range_of_addresses_stands_for_its_reverse_zones():
    assert zones_of("10.0.0.0/8") == ("10.in-addr.arpa.",)
    found = zones_of("10.96.0.0/12")
    assert (found[0], found[-1], len(found)) == ("96.10.in-addr.arpa.", "111.10.in-addr.arpa.", 16)
    assert zones_of("fd00:96::/32") == ("6.9.0.0.0.0.d.f.ip6.arpa.",)


WRONG = {
    "a misspelt directive": (("kubernets cluster.local",), 2, "did you mean `kubernetes`?"),
    "a misspelt option": (("kubernetes x {", "  tll 5", "}"), 3, "did you mean `ttl`?"),
    "a ttl out of range": (("kubernetes x {", "  ttl 9999", "}"), 3, "from 0 to 3600"),
    "a ttl that is no number": (("kubernetes x {", "  ttl 5s", "}"), 3, "`5s` is no number"),
    "a mode of pods that is none": (("kubernetes x {", "  pods on", "}"), 3, "there are disabled"),
    "namespaces said twice over": (
        ("kubernetes x {", "  namespaces a", "  namespace_labels a=b", "}"),
        2,
        "exclude each other",
    ),
    "kubernetes twice": (("kubernetes x", "kubernetes y"), 3, "stands twice"),
    "only reverse zones": (("kubernetes in-addr.arpa",), 2, "not a reverse one"),
    "forward without a server": (("forward .",), 2, "write forward . /etc/resolv.conf"),
    "forward to a name": (("forward . dns.google",), 2, "neither an address nor a file"),
    "more than fifteen servers": (
        ("forward . " + " ".join(f"192.0.2.{i}" for i in range(16)),),
        2,
        "more than 15 servers",
    ),
    "a policy that is none": (("forward . 192.0.2.1 {", "  policy best", "}"), 3, "policy `best`"),
    "a duration that is none": (("health {", "  lameduck soon", "}"), 3, "is no duration"),
    "a brace that is not at the end": (("health { lameduck 5s", "}"), 2, "must end its line"),
    "a block on one line": (("health { lameduck 5s }",), 2, "line of its own"),
    "a block that nobody closes": (("health {",), 1, "has no `}`"),
    "an import of nothing": (("import comon",), 2, "unknown snippet or file `comon`"),
    "autopath without its partner": (("autopath @kubernetes",), 2, "needs the kubernetes plugin"),
    "a rewrite without an end": (("rewrite name a.example",), 2, "write rewrite name FROM TO"),
    "a rewrite of nothing known": (("rewrite nam a b",), 2, "did you mean `name`?"),
    "a pattern that is none": (("rewrite name regex ( b",), 2, "no regular expression"),
    "answer auto on a pattern": (("rewrite name regex a b answer auto",), 2, "exact, prefix"),
    "a plugin that the lab lacks": (("template IN A",), 2, "does not model the plugin `template`"),
}


@pytest.mark.parametrize(("lines", "number", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_corefile_is_refused_with_file_line_and_cure(lines, number, words):
    with pytest.raises(CorefileError) as caught:
        load(corefile(*lines))
    text = str(caught.value)
    assert text.startswith(f"Corefile:{number}: ")
    assert words in text
    assert "\n" not in text


def test_a_brace_that_closes_nothing_is_refused():
    with pytest.raises(CorefileError, match="Corefile:3: `}` closes nothing"):
        load(corefile() + "}\n")


def test_a_zone_belongs_to_one_server_block():
    with pytest.raises(CorefileError, match="has a server block already"):
        load(corefile("errors") + corefile("log"))


def test_a_file_that_imports_itself_is_refused():
    with pytest.raises(CorefileError, match="imports itself"):
        load("import a\n", files={"a": "import a\n"})
