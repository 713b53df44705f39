"""L05's key is made by the model: the measured runs, and the chances of a chain."""

from __future__ import annotations

import ast
import json
from fractions import Fraction

import pytest

from labkit.lessons import l05
from labkit.traffic.branches import tree
from tests.needs import ROOT

CASES = {
    # a formula as learners write it: its value for k = 2, n = 5
    "1/(n-k+1)": Fraction(1, 4),
    " 1 / (1 + n - k)": Fraction(1, 4),
    "0.25": Fraction(1, 4),
    "k/n": Fraction(2, 5),
    "1/(N − K + 1)": Fraction(1, 4),  # as phones write minus
    "-1/(k-n-1)": Fraction(1, 4),
    "0.3333333333333333": Fraction(1, 3),  # 1/3 without quotes
    "n/k": None,  # no chance
    "1/(n-5)": None,  # divides by zero
    "x/2": None,
    "2 ** k": None,
    "__import__('os').getcwd()": None,
    "": None,
}


@pytest.mark.parametrize(("text", "wanted"), CASES.items(), ids=CASES)
def test_a_formula_is_reckoned_and_never_run(text, wanted):
    assert l05.value(text, k=2, n=5) == wanted


def test_the_chances_of_the_kernels_own_rules_are_fair():
    lab = l05.three_pods()
    found = tree(lab.state, lab.network, l05.TARGET, "node-1")
    taken, lost = l05.shares([b.chance for b in found.choices])
    assert (taken, lost) == ([Fraction(1, 3)] * 3, 0)


def test_equal_chances_are_unfair_and_lose_connections():
    taken, lost = l05.shares([Fraction(1, 4)] * 4)
    assert taken[1] == Fraction(3, 16)
    assert lost == Fraction(81, 256)


def test_the_histograms_in_the_notebook_are_the_runs_of_the_model():
    cells = json.loads((ROOT / "notebooks/L05-kube-proxy.ipynb").read_text("utf-8"))["cells"]
    (source,) = ("".join(c["source"]) for c in cells if "four = " in "".join(c["source"]))
    four = ast.literal_eval(source.partition("views")[0].partition("=")[2].strip())
    assert four == {letter: l05.measured(way) for letter, way in l05.MEASURED.items()}
    assert l05._key() == l05.MEASURED
