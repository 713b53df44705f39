"""The matrix says who may connect to whom, and what changed; its words and signs agree."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import traitlets

from labkit.errors import CommandError
from labkit.views import dash, matrix, policies, union
from labkit.views.discs import counted, words
from labkit.views.figure import ALT
from labkit.views.grid import MOST, Grid, table
from labkit.views.matrix import picture
from labkit.views.sheets import verdict, way
from tests.units.views.policed import BOTH, DENY, FRONT, HEAD, OUT, crowd, shop, strangers

LABS = {
    "no policy": shop,
    "a wall": lambda: shop(DENY),
    "a door in it": lambda: shop(DENY, FRONT),
    "both ends": lambda: shop(FRONT, OUT),
    "200 pods": lambda: crowd(FRONT, OUT),
    "60 strangers": lambda: strangers(DENY),
    "a plugin that enforces nothing": lambda: shop(DENY, cni="flannel"),
}
each = pytest.mark.parametrize("make", LABS.values(), ids=LABS)


def reach(lab, port: int = 8080):
    return lab.reachability(port)


@each
def test_the_picture_is_xml_with_a_short_alt_and_equal_bytes(make):
    found = reach(make())
    first, second = picture(found), picture(found)
    assert first == second
    assert len(first.alt) < ALT
    assert ElementTree.fromstring(first.svg).attrib["width"] == "720"


@each
def test_every_cell_agrees_with_the_verdict_on_its_pair(make):
    found = reach(make())
    rows = table(found)
    for i, row in enumerate(rows.cells):
        for j, state in enumerate(row):
            a, b = rows.pair(i, j)
            assert found.open(a, b) == (state in "+.")
            if rows.single and state in "<>x":
                judged = found.why(a, b)
                agrees = {(True, False): "<", (False, True): ">", (False, False): "x"}
                assert agrees[judged.leaving.allowed, judged.entering.allowed] == state


@each
def test_the_cells_stand_for_every_pair_once(make):
    found = reach(make())
    rows, count = table(found), len(found.pods)
    everyone = range(len(rows.names))
    assert sum(rows.weight(i, j) for i in everyone for j in everyone) == count * (count - 1)
    shown = sum(rows.weight(i, j) for i in everyone for j in everyone if rows.cells[i][j] == "+")
    assert shown == found.open_pairs - count
    assert len(set(rows.names)) == len(rows.names)


def test_equal_pods_share_a_row_only_where_there_are_many():
    assert table(reach(crowd(FRONT))).sizes == (60, 20, 80, 1, 39)
    assert set(table(reach(shop())).sizes) == {1}
    assert len(table(reach(strangers(DENY))).names) > MOST


def test_two_hundred_pods_have_five_rows_with_their_number():
    grid = Grid(table(reach(crowd(FRONT))))
    assert [grid.short(k) for k in range(5)] == [
        "backend ×60",
        "db ×20",
        "frontend ×80",
        "monitoring",
        "payments ×39",
    ]
    assert grid.cell == 34


def test_the_twin_of_a_crowd_counts_pods_and_names_workloads():
    assert words(reach(crowd(FRONT))).splitlines() == [
        "Policy verdicts on TCP 8080: 40000 pairs, 32860 open, 7140 closed.",
        "into default/backend x60",
        "  open to    default/frontend x80",
        "  closed to  default/backend x60, default/db x20, ops/monitoring, pay/payments x39",
    ]


def test_the_twin_says_where_nobody_enforces():
    lab = shop(DENY, cni="flannel")
    last = words(reach(lab)).splitlines()[-1]
    assert last == "flannel enforces no policy: every connection opens all the same."
    assert last in picture(reach(lab)).svg
    assert "enforces" not in words(reach(shop(DENY)))


# --- what changed ----------------------------------------------------------------------------


def test_a_difference_counts_what_it_draws():
    before, after = reach(shop(DENY)), reach(shop(FRONT, OUT))
    count = counted(after, before)
    assert count == {"opened": 8, "closed": 2, "open": 6, "": 4}
    told = words(after, before).splitlines()
    assert told[0] == (
        f"What changed on TCP 8080: {count['opened']} pairs opened, {count['closed']} closed."
    )
    assert len(told) == 1 + count["opened"] + count["closed"]
    assert sum(count.values()) == 20


def test_a_difference_of_equal_clusters_is_nothing():
    assert words(reach(shop(DENY)), reach(shop(DENY))) == "What changed on TCP 8080: nothing."


def test_a_difference_names_the_rule_that_opened():
    told = words(reach(shop(DENY, FRONT)), reach(shop(DENY))).splitlines()
    assert told[1:] == [
        "opened  default/frontend to default/backend: from-frontend rule 1 (line 4) lets it in"
    ]


def test_other_pods_are_not_compared():
    with pytest.raises(CommandError, match="hold other pods"):
        matrix(reach(shop()), before=reach(strangers()))


# --- the widget ------------------------------------------------------------------------------


def test_a_cell_says_its_sentence_and_shows_the_packets_way():
    widget = matrix(reach(shop(FRONT)))
    widget.value = "ops/monitoring to default/backend"
    assert widget.way.splitlines()[0].endswith("TCP: timed out")
    (said,) = widget.asked.values()
    assert said.startswith("ops/monitoring to default/backend: denied; default/backend does not")
    assert "from-frontend rule 1 (line 4)" in said
    widget.value = "default/frontend to default/backend"
    assert widget.way.splitlines()[0].endswith("TCP: answered")


def test_every_cell_has_its_sentence_in_the_browser():
    found = reach(shop(DENY))
    widget = matrix(found)
    sheet, count = widget.sheets[0], len(found.pods)
    for i in range(count):
        for j in range(count):
            said = widget.sentences[sheet["says"][i * count + j]]
            assert said == verdict(found, i, j)
            assert ("allowed" in said.partition(";")[0]) == (sheet["open"][i][j] == "1")


def test_a_field_sends_no_sentences_and_asks_the_kernel():
    widget = matrix(reach(strangers(DENY)))
    assert widget.sentences == []
    widget.value = "pay/payments to default/app-7"
    assert widget.asked[widget.value].endswith("deny has no ingress rule.")


def test_a_packet_that_finds_no_listener_is_refused_although_it_is_allowed():
    found = reach(shop(), 9999)
    assert found.open(0, 1)
    assert way(found, 0, 1).splitlines()[0].endswith("refused")


@pytest.mark.parametrize("policies", [(DENY, FRONT), (FRONT, OUT)], ids=["a wall", "both ends"])
def test_a_packet_meets_what_the_cell_says(policies):
    found = reach(shop(*policies))
    for source in range(len(found.pods)):
        for goal in range(len(found.pods)):
            seen = way(found, source, goal).splitlines()[0]
            assert seen.endswith("timed out") != found.open(source, goal), seen


def test_a_widget_refuses_a_cell_that_it_does_not_have():
    widget = matrix(reach(shop()))
    with pytest.raises(traitlets.TraitError, match="no cell"):
        widget.value = "nobody to default/backend"
    with pytest.raises(traitlets.TraitError, match="no sheet `then`; now"):
        widget.shown = "then"
    assert len(widget.moves["value"]) == 25


def test_before_it_is_run_the_widget_is_a_picture_with_words():
    widget = matrix(reach(shop(DENY)))
    data, _ = widget._repr_mimebundle_()
    assert data["text/html"].count("<img alt=") == 1
    assert data["text/plain"] == widget.words == repr(reach(shop(DENY)))


# --- choices of policies, and one dash -------------------------------------------------------


def test_every_choice_in_every_order_is_a_sheet():
    widget = union(shop(), {"deny": DENY, "front": FRONT, "out": OUT}, 8080)
    assert len(widget.moves["shown"]) == 16
    by_mask: dict[int, set[str]] = {}
    for sheet in widget.sheets:
        by_mask.setdefault(sheet["mask"], set()).add(sheet["cells"])
    assert sorted(by_mask) == list(range(8))
    assert all(len(cells) == 1 for cells in by_mask.values())
    first, nothing, *_ = widget.words.split("\n\n")
    assert first.startswith("Policy verdicts on TCP 8080 between default/backend, default/db, ")
    assert nothing == "No policy is applied.\nAll pairs are open."
    assert widget.words.count("In both orders: the same matrix.") == 3
    assert widget.words.count("In all 6 orders: the same matrix.") == 1


def test_a_union_leaves_the_cluster_as_it_was():
    lab = shop()
    union(lab, {"deny": DENY}, 8080)
    assert lab.list("networkpolicies") == ()


def test_one_dash_is_the_only_letter_between_two_drafts():
    lab = shop()
    widget = dash(lab, BOTH, 8080)
    assert widget.shown == "two dashes"
    assert widget.moves["shown"] == ("one dash", "two dashes")
    _, one, two = widget.words.split("\n\n")
    assert one.splitlines()[0] == (
        "one dash: all pods in namespaces with kubernetes.io/metadata.name=ops, and pods with "
        "app=monitoring in all namespaces: ops/monitoring."
    )
    assert two.splitlines()[0] == (
        "two dashes: all pods in namespaces with kubernetes.io/metadata.name=ops, or pods with "
        "app=monitoring in default: ops/monitoring."
    )
    assert lab.list("networkpolicies") == ()


def test_a_manifest_without_two_peers_has_no_dash_to_turn():
    with pytest.raises(CommandError, match="two peers"):
        dash(shop(), FRONT, 8080)


# --- who is guarded by which policy ----------------------------------------------------------


def test_the_policies_are_told_with_whom_they_guard_and_let_in():
    figure = policies(shop(FRONT, OUT))
    assert figure.twin.splitlines() == [
        "2 policies; no policy selects default/frontend, ops/monitoring, pay/payments.",
        "default/db-out isolates default/db for egress.",
        "db-out: it may go nowhere.",
        "default/from-frontend isolates default/backend for ingress.",
        "from-frontend lets in pods with app=frontend in default, on TCP 8080.",
    ]
    assert figure == policies(shop(FRONT, OUT))


def test_a_policy_that_selects_nobody_says_so():
    lab = shop(HEAD % ("lost", "matchLabels: {app: nobody}", "ingress: [{}]"))
    twin = policies(lab).twin
    assert "default/lost isolates no pod for ingress." in twin
    assert "lost lets in anybody, on any port." in twin
    assert "selects no pod" in policies(lab).svg


def test_no_policy_is_told_in_one_line():
    assert policies(shop()).twin.startswith("0 policies; no policy selects default/backend")


EVIL = "</svg><script>alert(1)</script>"


def test_markup_in_a_label_is_shown_as_text():
    sheet = union(shop(), {EVIL: DENY}, 8080)
    for html in (sheet.shell, *(s["above"] for s in sheet.sheets)):
        assert "<script" not in html
