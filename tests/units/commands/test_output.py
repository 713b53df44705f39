"""What a command printed, as a value."""

from __future__ import annotations

from labkit.commands.output import Output, joined


def test_a_notebook_shows_the_text_itself():
    assert repr(Output("a\n'b'\n")) == "a\n'b'"


def test_grep_takes_its_text_literally():
    found = Output("10.96.1.2\n10a96b1c2\n").grep("10.96")
    assert found == "10.96.1.2"
    assert found.exit_code == 0


def test_grep_without_a_match_fails_as_grep_does():
    assert Output("a").grep("b").exit_code == 1


def test_the_first_failure_decides_about_several_outputs():
    whole = joined([Output("a"), Output("", 7), Output("b", 1)])
    assert (whole, whole.exit_code) == ("a\nb", 7)
