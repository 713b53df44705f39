"""Cases of every seed: a symptom that is there, and a cause whose mending closes the case."""

from __future__ import annotations

import pytest

from labkit import LabError, check
from labkit.api.datafiles import DATA
from labkit.api.objects import encode
from labkit.cluster import Cluster
from labkit.lessons.detective import CALLS, CASES, CAUSES, MORE, WELL, Case, open_case
from labkit.lessons.exercises import apply_changed
from labkit.lessons.scenarios import scenario
from labkit.traffic import faults

SEEDS = range(1, 13)
HEALTH_OF_DNS = {"deploy/kube-system/coredns": "spec", "configmap/kube-system/coredns": "data"}


pytestmark = pytest.mark.usefixtures("a_new_learner")


def healthy() -> Cluster:
    lab = scenario("shop", cni="flannel/host-gw", proxy_mode="iptables")
    lab.apply(MORE)
    return lab


def mend(case: Case) -> None:
    """What somebody would do who knows how the shop was before."""
    lab, well = case.lab, healthy()
    if case.truth == "e":
        (fault,) = lab.faults
        prefix = fault.name.split()[2]
        number = prefix.split(".")[2]
        lab.inject(faults.extra_route(fault.name.split(":")[0], prefix, f"192.168.7.1{number}"))
    elif case.truth == "h":
        for name, part in HEALTH_OF_DNS.items():
            before = {part: encode(well.get(name))[part]}
            apply_changed(lab, name, lambda manifest, before=before: manifest.update(before))
    else:
        lab.apply(DATA / "shop.yaml")
        lab.apply(MORE)


def test_in_a_healthy_shop_every_call_is_answered():
    lab = healthy()
    assert {call.says: call.seen(lab) for call in CALLS} == {call.says: WELL for call in CALLS}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_case_of_a_seed_can_be_closed(seed):
    truths = set()
    for number in range(1, CASES + 1):
        case = open_case(number, seed)
        assert any(call.seen(case.lab) != WELL for call in CALLS), case
        mend(case)
        feedback = check(f"L11-{number}", case.closed(case.truth))
        assert feedback.standing == "SOLVED", (case, feedback)
        truths.add(case.truth)
    assert len(truths) == CASES
    assert truths <= set(CAUSES)


def test_a_seed_always_gives_the_same_case():
    assert repr(open_case(2, 5)) == repr(open_case(2, 5)) != repr(open_case(2, 6))


def test_a_report_does_not_name_the_cause():
    for seed in SEEDS:
        case = open_case(1, seed)
        assert CAUSES[case.truth] not in repr(case)


def test_a_trace_counts_for_three_and_a_line_for_one():
    case = open_case(1, 7)
    case.lab.trace("pod/frontend", "svc/backend:80")
    case.lab.asked.append("pod/frontend: curl http://backend")
    assert case.cost == 4


def test_what_was_planted_cannot_be_undone():
    for number in range(1, CASES + 1):
        with pytest.raises(LabError, match="nothing was changed"):
            open_case(number, 7).lab.undo()


def test_a_cause_that_is_named_counts_once():
    case = open_case(1, 7)
    for letter in ("a", "b", "b", ..., "z"):
        case = case.closed(letter)
    assert case.cost == 2


def test_a_call_that_fails_now_and_then_is_reported_so():
    assert "http://db:5432: no answer from DNS, at times" in open_case(2, 7).report


def test_a_pod_that_is_not_ready_leaves_the_case_open():
    case = open_case(6, 2)

    def unready_too(manifest):
        manifest["spec"]["publishNotReadyAddresses"] = True

    apply_changed(case.lab, "svc/db", unready_too)
    says = check("L11-6", case.closed("d")).says
    assert says.startswith("every call works, and db-")
    assert says.endswith("is still not ready. Mend the cause.")


UNFIT = {
    "no case": ("b", 'hand in `case.closed("a")`, with the case from `open_case(1)`'),
    "another case": (open_case(2, 7).closed("b"), "this is case 2; hand in case 1"),
    "no such letter": (open_case(1, 7).closed("z"), "name one letter of a, b, c, d, e, f, g, h"),
    "still open": (open_case(1, 7), "no cause named yet"),
}


@pytest.mark.parametrize(("answer", "says"), UNFIT.values(), ids=UNFIT)
def test_what_cannot_be_judged_is_said(answer, says):
    assert check("L11-1", answer).says == says


def test_there_are_six_cases():
    with pytest.raises(LabError, match="case 7: there are cases 1 to 6"):
        open_case(7)
