"""The timeline: lanes, red bars, and the same in words."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

import msgspec
import pytest

from labkit.traffic.timeline import Life, Tick, Timeline
from labkit.views import scrubber, timeline
from labkit.views.scrubber import frames, shell
from tests.units.views.test_figures import EVIL, QUOTE
from tests.units.views.test_twins import DRAWN


def life(name: str, lanes: str, used: str, held: str = "") -> Life:
    """`lanes`: a letter a tick: r ready, n not ready, t terminating and serving, . not there."""
    pod = {"r": "ready", "n": "not ready", "t": "terminating", ".": ""}
    entry = {**pod, "t": "serving"}
    return Life(
        name=name,
        address=f"10.244.1.{len(name)}",
        pod=tuple(pod[x] for x in lanes),
        listens=tuple(x in "rt" for x in lanes),
        entry=tuple(entry[x] for x in lanes),
        used={"node-1": tuple(x == "+" for x in used)},
        held=tuple(x == "+" for x in held),
    )


def made(*lives: Life, failures: str = "0000000000", **more) -> Timeline:
    found = [
        Tick(at=float(i), failures={"unreachable": Fraction(int(x), 3)} if int(x) else {})
        for i, x in enumerate(failures)
    ]
    said = {
        "source": "default/frontend",
        "target": "svc/backend:80",
        "node": "node-1",
        "delays": {"node-1": 2.0},
        "acts": ((2.0, "deployment/backend configured"),),
    }
    return Timeline(ticks=tuple(found), lives=lives, **(said | more))


OLD = life("backend-5c9d-aaaaa", "rr........", "++++......", "++--------")
NEW = life("backend-7f4b-bbbbb", "..nnrrrrrr", "......++++")
LATE = made(OLD, NEW, failures="0013000000")
CASES = {
    "late": lambda: LATE,
    "patient": lambda: made(life("backend-5c9d-aaaaa", "rrttttt...", "++++......"), NEW),
    "nobody": lambda: made(failures="3333333333", acts=()),
    "many": lambda: made(*(life(f"web-{i}", "r" * 10, "+" * 10) for i in range(12))),
    "two acts": lambda: made(OLD, acts=((2.0, "service/a created"), (2.0, "service/b created"))),
    "short": lambda: made(life("web-0", "r", "+"), failures="0"),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def found(request):
    return request.param()


def test_the_twin_obeys_the_rules_of_twins(found):
    figure = timeline(found)
    assert not DRAWN.search(figure.twin)
    assert all(line.endswith(".") for line in figure.twin.splitlines())
    assert len(figure.alt) < 200
    assert figure == timeline(found)


def test_the_twin_says_when_and_why():
    assert timeline(LATE).twin.splitlines() == [
        "On average 1.3 of 10 new connections fail.",
        "The rules are late: on node-1 by 2 s.",
        "At 2 s: deployment/backend configured.",
        "At 2 s: a new connection fails (1/3 unreachable).",
        "At 3 s: every new connection fails (unreachable).",
        "backend-5c9d-aaaaa, 10.244.1.18; pod: ready 0-1 s; slice: ready 0-1 s; "
        "node-1: sends there 0-1 s, sends there in vain 2-3 s; "
        "a connection opened at the start breaks at 2 s.",
        "backend-7f4b-bbbbb, 10.244.1.18; pod: not ready 2-3 s, ready 4-9 s; "
        "slice: not ready 2-3 s, ready 4-9 s; node-1: sends there 6-9 s.",
    ]


def test_a_leaving_pod_is_told_as_serving():
    words = timeline(CASES["patient"]()).twin
    assert (
        "pod: ready 0-1 s, terminating 2-6 s; slice: ready 0-1 s, serving, terminating 2-6 s"
        in words
    )
    assert words.startswith("0 of 10 new connections fail.")


def test_after_eight_pods_there_are_more():
    assert timeline(CASES["many"]()).twin.splitlines()[-1] == "And 4 more pods."


def test_each_failure_is_a_bar_of_its_own(found):
    bars = timeline(found).svg.count("data-hop=")
    assert bars == sum(bool(tick.failed) for tick in found.ticks)


def test_a_frame_for_each_tick_and_no_two_alike(found):
    shown = frames(found)
    assert len({repr(f) for f in shown}) == len(shown) == len(found.ticks)
    widget = scrubber(found)
    assert widget.moves == {"step": tuple(range(len(shown)))}
    assert repr(widget) == repr(timeline(found))


def test_a_frame_says_who_sends_where():
    frame = frames(LATE)[3]
    assert frame.say == "3 s. Every new connection fails (unreachable)."
    assert "node-1 sends to</dt><dd><samp>10.244.1.18 (nobody listens)</samp>" in frame.why
    assert frames(LATE)[2].say.startswith("2 s. deployment/backend configured.")


def test_markup_in_a_name_is_shown_as_text():
    wicked = made(
        msgspec.structs.replace(OLD, name=f"{EVIL}-{QUOTE}-x", address=EVIL),
        source=EVIL,
        target=QUOTE,
        delays={EVIL: 1.0},
        acts=((2.0, f"{EVIL}{QUOTE}"),),
    )
    wicked = msgspec.structs.replace(
        wicked,
        lives=tuple(msgspec.structs.replace(x, used={EVIL: (True,) * 10}) for x in wicked.lives),
    )
    html = timeline(wicked)._repr_html_() + shell(wicked, frames(wicked))
    html += "".join(f.why for f in frames(wicked))
    for bad in ("<script", "<img src=x", "onerror='", "\x07"):
        assert bad not in html
    ElementTree.fromstring(timeline(wicked).svg)
