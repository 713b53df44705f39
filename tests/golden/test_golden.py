"""What the lab prints is what it printed when somebody last looked at it."""

from __future__ import annotations

import pytest

from tests.golden.texts import GOLDEN, HERE


@pytest.mark.parametrize("name", GOLDEN)
def test_the_text_is_the_kept_one(name):
    kept = (HERE / name).read_text(encoding="utf-8")
    assert GOLDEN[name]() == kept, "if this is meant: python -m tests.golden, then read the diff"
