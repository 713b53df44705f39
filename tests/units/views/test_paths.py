"""Where a path puts its stops, and what a stepper's frames hold."""

from __future__ import annotations

import re

import msgspec
import pytest

from labkit.kernel.packet import ETHERNET, Icmp, Packet
from labkit.views.hops import steps
from labkit.views.layers import rows_for
from labkit.views.path import path
from labkit.views.scene import scene
from labkit.views.stack import HEIGHT, headers, payload, total
from labkit.views.stepper import frames, mtu, shell
from tests.units.views.faulty import REAL, shop
from tests.units.views.made import (
    IP,
    MADE,
    SYN,
    TOLD,
    circles,
    cluster_ip,
    one_machine,
    outer,
    outside,
    refused,
)

ALL = {**MADE, **REAL}
NOBODY = """
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""
SCENES = pytest.mark.parametrize("made", ALL.values(), ids=ALL)


@SCENES
def test_no_two_stops_stand_on_one_spot(made):
    at = [(stop.x, stop.y) for stop in scene(made()).stops]
    assert len(set(at)) == len(at)
    assert all(max(abs(x - u), abs(y - v)) >= 22 for n, (x, y) in enumerate(at) for u, v in at[:n])


@SCENES
def test_the_numbers_of_the_stops_run_on(made):
    numbers = [stop.step.number for stop in scene(made()).stops]
    if made not in (circles, REAL["a circle"]):
        assert numbers == list(range(1, len(numbers) + 1))
    assert numbers == sorted(numbers)


@SCENES
def test_on_its_lane_a_packet_runs_one_way_only(made):
    found = scene(made())
    lanes: dict[tuple[str, float], list[float]] = {}
    for stop in found.stops:
        lanes.setdefault((stop.step.leg, stop.x), []).append(stop.y)
    for ys in lanes.values():
        assert ys == sorted(ys) or ys == sorted(ys, reverse=True)


@SCENES
def test_every_stop_is_inside_the_frame(made):
    found = scene(made())
    assert all(0 < stop.x < 720 and stop.y > 0 for stop in found.stops)


def test_request_and_reply_never_cross_between_two_machines():
    found = scene(cluster_ip())
    xs = {leg: [s.x for s in found.stops if s.step.leg == leg] for leg in ("request", "reply")}
    assert min(xs["request"]) < min(xs["reply"]) < max(xs["reply"]) < max(xs["request"])


def test_a_machine_that_takes_no_part_is_not_drawn():
    assert [s.place.title for s in scene(outside()).sides] == ["node-1", "router", "outside"]
    assert [s.place.title for s in scene(refused()).sides] == ["node-1"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (cluster_ip, ("rules ● before", "○ after routing")),
        (outside, ("rules ○ before", "● after routing")),
        (refused, ("rules after", "routing")),
        (one_machine, ("rules before", "or after routing")),
        (
            REAL["from a machine"],
            ("rules ● before", "○ after routing", "rules ○ before", "● after routing"),
        ),
    ],
)
def test_a_row_of_rules_says_on_which_side_of_routing_it_decides(made, words):
    said = [w for w in re.findall(r">([^<>]*)</text>", path(made()).svg) if "r" in w]
    assert [w for w in said if "rules" in w or "routing" in w] == list(words)


def test_a_refusal_starts_at_the_routes_of_the_machine_that_refuses_and_ends_in_one_wide_pod():
    lab = shop("vxlan").fork()
    lab.apply(NOBODY)
    found = scene(lab.connect("pod/frontend", "svc/nobody:80"))
    (side,) = found.sides
    reply = [stop for stop in found.stops if stop.step.leg == "reply"]
    assert not side.halves
    assert [stop.y for stop in reply] == [found.y("routes"), found.y("pod")]
    assert all(stop.x > side.middle for stop in reply)


def test_the_router_and_the_outside_stand_under_their_addresses_inside_the_frame():
    svg = path(outside()).svg
    assert ">192.168.7.1</text>" in svg
    assert ">203.0.113.9</text>" in svg
    assert max(side.x + side.width for side in scene(outside()).sides) < 719


def test_only_what_travels_wrapped_runs_in_the_sheath():
    found = scene(cluster_ip())
    assert [s.step.number for s in found.segments if s.wrapped] == [6, 12]


def test_a_loop_is_drawn_once_and_told_with_its_length():
    found = scene(circles())
    assert len(found.stops) == 4
    assert len(steps(circles())) == 24


def test_rows_that_decide_nothing_are_left_out():
    assert rows_for((("pod", "routes"),), frozenset()) == ("pod", "routes")


def test_rules_before_and_after_the_routes_get_a_row_each():
    ways = (("above", "routes", "below"), ("routes", "below", "routes"))
    assert rows_for(ways, frozenset()) == ("above", "routes", "below", "routes")


# --- the stack of headers ----------------------------------------------------------------

PACKETS = {
    "opening": SYN,
    "wrapped": outer(TOLD, 1, 2),
    "full": msgspec.structs.replace(SYN, size=1450, flags="ACK"),
    "full and wrapped": outer(msgspec.structs.replace(SYN, size=1450, flags="ACK"), 1, 2),
    "datagram": msgspec.structs.replace(SYN, protocol="UDP", size=60),
    "ping": Packet(src=IP("10.0.0.1"), dst=IP("10.0.0.2"), protocol="ICMP", size=84,
                   icmp=Icmp("echo-request")),
    "smaller than its headers": msgspec.structs.replace(SYN, size=40),
}  # fmt: skip


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS)
def test_headers_and_payload_sum_to_the_packet(packet):
    assert total(packet) == packet.size
    assert sum(h.size for h in headers(packet)) + payload(packet) == packet.size + ETHERNET


def test_wrapping_adds_headers_in_front_and_changes_none_behind():
    plain, wrapped = headers(TOLD), headers(outer(TOLD, 1, 2))
    assert wrapped[-len(plain) :] == plain
    assert sum(h.size for h in wrapped) - sum(h.size for h in plain) == 50


# --- frames ------------------------------------------------------------------------------


@SCENES
def test_every_frame_of_a_stepper_is_alike(made):
    shown = frames(made())
    assert len(shown) == len(steps(made()))
    assert all(f.say and f.short and f'viewBox="0 0 720 {HEIGHT}"' in f.stack for f in shown)


@SCENES
def test_the_steppers_room_holds_its_longest_frame(made):
    shown = frames(made())
    html = shell(made(), shown)
    assert html.count("<p class='ghost'>") == html.count("<dl class='ghost'>") == len(shown)


def test_a_wrapped_packet_is_measured_against_the_card_and_others_against_the_tunnel():
    told = steps(cluster_ip())
    by = {f"{s.leg} {s.hop.action} {s.title}": mtu(cluster_ip(), s) for s in told}
    assert by["request wrap node-1"] == 1500
    assert by["request unwrap node-2"] == 1450
    assert by["request send frontend"] == 1450


def test_a_widget_refuses_what_it_does_not_hold():
    import traitlets

    from labkit.views import choose, path, stepper

    moved = stepper(cluster_ip())
    moved.step = 99
    assert moved.step == moved.moves["step"][-1] == len(moved.frames) - 1
    choice = choose("which", {"a": path(cluster_ip()), "b": path(outside())})
    assert choice.moves == {"value": ("a", "b")}
    choice.value = "b"
    with pytest.raises(traitlets.TraitError, match="no option `c`; a, b"):
        choice.value = "c"


def test_a_widgets_text_is_its_twin():
    from labkit.views import stepper

    widget = stepper(cluster_ip())
    data, _ = widget._repr_mimebundle_()
    assert data["text/plain"] == widget.words
    assert "application/vnd.jupyter.widget-view+json" in data
