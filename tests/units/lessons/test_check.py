"""Guesses are kept, answers judged, hints climb, and a token tells an instructor no answer."""

from __future__ import annotations

import pytest

from labkit import check, scenario
from labkit.errors import CommandError, NotFound
from labkit.lessons import progress
from tests.needs import ROOT

pytestmark = pytest.mark.usefixtures("a_new_learner")


def test_a_guess_is_kept_and_not_judged():
    assert repr(check("L00-P1", ...)).startswith("L00-P1  no guess yet\nPut ")
    assert check("L00-P1", "in between").standing == "kept"
    assert progress.load().guesses == {"L00-P1": "in between"}


def test_a_word_that_is_no_answer_is_not_kept():
    feedback = check("L00-P1", "everywhere")
    assert "'everywhere' is not among the answers" in repr(feedback)
    assert not feedback
    assert progress.load().guesses == {}


def test_each_new_wrong_answer_gets_the_next_hint_and_the_last_stays():
    lab = scenario("shop")
    lab.apply(ROOT / "notebooks/lessons/L00-cart.yaml")
    levels = []
    for selector in ("carts", "kart", "frontend", "db"):
        answer = lab.fork()
        answer.apply(
            "apiVersion: v1\nkind: Service\nmetadata: {name: cart}\nspec:\n"
            f"  selector: {{app: {selector}}}\n  ports: [{{port: 80, targetPort: 8080}}]"
        )
        levels.append(repr(check("L00-1", answer)).partition("Hint ")[2][0])
    assert levels == ["1", "2", "3", "3"]


def test_the_same_answer_again_keeps_its_hint_until_the_fourth_time():
    lab = scenario("shop")
    lab.apply(ROOT / "notebooks/lessons/L00-cart.yaml")
    said = [repr(check("L00-1", lab)).partition("Hint ")[2][0] for _ in range(4)]
    assert said == ["1", "1", "1", "2"]


def test_something_that_is_no_cluster_is_asked_for_and_not_judged():
    assert "hand in a cluster" in repr(check("L00-1", "app: cart"))
    assert progress.load().wrong == {}


@pytest.mark.parametrize("strange", ["L00", "l00-1", "L00-9", "L99-1", "L00-P9"])
def test_an_unknown_id_is_one_line(strange):
    with pytest.raises(NotFound) as caught:
        check(strange, ...)
    assert len(str(caught.value).splitlines()) == 1


def test_a_card_is_kept_beside_the_guesses():
    check("L00-P1", "node-2")
    feedback = check("L00-card", {"surprised by": "node-1", "still foggy": ...})
    assert repr(feedback) == "L00-card  kept\nYour guesses: P1 node-2, P2 none."


def test_a_token_holds_what_was_solved_and_nothing_that_was_written():
    check("L00-card", {"still foggy": "everything"})
    check("L00-1", scenario("shop"))
    token = progress.token()
    assert progress.read_token(token) == {"solved": [], "wrong": {"L00-1": 1}}
    assert len(token) < 120


@pytest.mark.parametrize("broken", ["", "LK1-", "LK1-ABC", "hello", "LK1-MFRGG==="])
def test_a_broken_token_is_refused_in_one_line(broken):
    with pytest.raises(CommandError, match="copy it whole"):
        progress.read_token(broken)
