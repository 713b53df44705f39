"""Columns as Go's tabwriter lays them out."""

from __future__ import annotations

from labkit.commands.columns import tabbed, table


def test_a_line_without_tabs_ends_the_columns():
    text = tabbed("long name:\tx\nrow:\ty\nbreak\na:\tz")
    assert text == "long name:  x\nrow:        y\nbreak\na:  z"


def test_what_stands_behind_the_last_tab_sets_no_width():
    assert tabbed("a\tvery long\tx\nb\ty") == "a  very long  x\nb  y"


def test_an_empty_last_cell_leaves_the_padding():
    assert tabbed("IP:\t\nIPs:\t1") == "IP:   \nIPs:  1"


def test_a_table_has_three_blanks_between_columns_and_no_narrow_ones():
    assert table(("A", "NAME"), [("b", "x")]) == "A     NAME\nb     x"


def test_a_table_without_header_is_as_wide_as_its_rows():
    assert (
        table((), [("web", "1/1"), ("db-backend", "0/1")]) == "web          1/1\ndb-backend   0/1"
    )
