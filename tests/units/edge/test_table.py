"""What is said of a product has the page that says it; the lab offers what it can walk."""

from __future__ import annotations

import json

import pytest

from labkit import Cluster
from labkit.api.datafiles import data_file
from labkit.edge.loadbalancer import NAIVE, balancer_named, table
from labkit.errors import NotFound

OWN_DOCS = (
    "https://docs.aws.amazon.com/",
    "https://kubernetes-sigs.github.io/aws-load-balancer-controller/",
    "https://github.com/kubernetes/cloud-provider-aws/",
    "https://docs.cloud.google.com/",
    "https://cloud.google.com/",
    "https://learn.microsoft.com/",
    "https://techcommunity.microsoft.com/",
    "https://kubernetes-sigs.github.io/cloud-provider-azure/",
    "https://metallb.universe.tf/",
)
CELLS = [
    (balancer.name, column, cell)
    for balancer in table().balancers
    for column, cell in balancer.cells.items()
]


@pytest.mark.parametrize(("name", "column", "cell"), CELLS, ids=[f"{n}, {c}" for n, c, _ in CELLS])
def test_every_cell_has_a_word_a_sentence_and_a_page_of_the_provider(name, column, cell):
    assert column in table().columns
    assert cell.value
    assert len(cell.says.split()) > 1
    assert cell.source.startswith(OWN_DOCS)


def test_the_file_holds_nothing_that_the_lab_does_not_read():
    plain = json.loads(data_file("loadbalancers.json").read_text(encoding="utf-8"))
    known = {"name", "title", "class", "walked", "cells"}
    assert all(set(row) <= known for row in plain["balancers"])


def test_a_row_that_is_walked_says_enough_for_it():
    for balancer in table().balancers:
        if balancer.walked:
            assert {"way", "targets", "client", "destination", "checks"} <= set(balancer.cells)


def test_the_naive_one_is_no_product():
    assert NAIVE.name not in {b.name for b in table().balancers}
    assert balancer_named("naive") == NAIVE
    assert balancer_named("") is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("aws-nlb-instanc", "did you mean `aws-nlb-instance`?"),
        ("aws-alb", "did you mean `aws-clb`?"),
        ("magic", "choose one of aws-nlb-instance, "),
    ],
)
def test_what_is_not_walked_is_refused_with_the_choices(name, says):
    with pytest.raises(NotFound, match=f"^load_balancer: the lab walks no `{name}`; .*") as error:
        Cluster.from_manifests("kind: Namespace\napiVersion: v1\nmetadata: {name: a}",
                               load_balancer=name)  # fmt: skip
    assert says in str(error.value)
