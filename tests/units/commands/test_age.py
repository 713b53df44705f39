"""The AGE column."""

from __future__ import annotations

import pytest

from labkit.commands.age import age, human, long_date

CASES = {
    # seconds: as kubectl prints it
    -2: "<invalid>",
    -1: "0s",
    0: "0s",
    119: "119s",
    120: "2m",
    125: "2m5s",
    599: "9m59s",
    600: "10m",
    10799: "179m",
    10800: "3h",
    12000: "3h20m",
    28800: "8h",
    26 * 3600: "26h",
    48 * 3600: "2d",
    51 * 3600: "2d3h",
    8 * 86400: "8d",
    12 * 86400: "12d",
    775 * 86400: "2y45d",
    3000 * 86400: "8y",
}


@pytest.mark.parametrize(("seconds", "printed"), CASES.items())
def test_a_duration_is_printed_as_kubectl_does(seconds, printed):
    assert human(seconds) == printed


def test_the_age_counts_on_the_clusters_own_clock():
    assert age("2026-11-22T10:00:00Z", now=45.0) == "45s"


def test_an_object_without_a_timestamp_has_an_unknown_age():
    assert age("", now=45.0) == "<unknown>"


def test_describe_prints_long_dates_with_the_day_of_the_week():
    assert long_date("2026-11-22T10:00:00Z") == "Sun, 22 Nov 2026 10:00:00 +0000"
