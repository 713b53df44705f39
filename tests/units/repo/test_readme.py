"""README.md shows what a reader gets. `python -m tests.units.repo.test_readme` renews it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lab
from tests.needs import ROOT

README = ROOT / "README.md"
TOPS = [ROOT, ROOT / "labkit", ROOT / "tests"]
PAGES = ["README.md", "CONTRIBUTING.md", "DESIGN.md"]
EXAMPLE = re.compile(r"(?<=<!-- example -->\n```python\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
OUTPUT = re.compile(r"(?<=<!-- output -->\n```text\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def printed() -> str:
    """What the example prints in a Python of its own."""
    code = EXAMPLE.search(README.read_text())[0]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return trimmed(done.stdout)


def trimmed(text: str) -> str:
    """Without blanks at line ends, which no reader sees and editors remove."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def test_the_example_prints_what_the_page_shows():
    assert printed() == OUTPUT.search(README.read_text())[0]


def test_the_example_has_at_most_ten_lines():
    assert len(EXAMPLE.search(README.read_text())[0].splitlines()) <= 10


@pytest.mark.parametrize("page", PAGES)
def test_every_link_inside_the_repository_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text())
    near = [target for target in targets if "://" not in target]
    assert not [target for target in near if not (ROOT / target).exists()]


def minutes(lesson: Path) -> int:
    """What the lesson's card says: the lesson and its exercises."""
    card = json.loads(lesson.read_text())["metadata"]["labkit"]
    return card["teach"] + card["exercise"]


def test_every_lesson_has_its_row_with_its_minutes():
    lessons = {path.name: minutes(path) for path in ROOT.glob("notebooks/L*.ipynb")}
    row = re.compile(r"\(notebooks/(L[^)]+\.ipynb)\).*\| (\d+) \|$", re.MULTILINE)
    rows = row.findall(README.read_text())
    assert {name: int(number) for name, number in rows} == lessons


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_is_named_exists(page):
    named = re.findall(r"(?:^|`)make (\w+)", (ROOT / page).read_text(), re.MULTILINE)
    assert set(named) <= set(lab.VERBS)


@pytest.mark.parametrize("page", PAGES)
def test_every_python_file_that_is_named_exists(page):
    named = set(re.findall(r"[\w/]+\.py\b", (ROOT / page).read_text()))
    near = {name for name in named for top in TOPS if (top / name).exists()}
    in_a_room = {name for name in named if list(ROOT.glob(f"labkit/*/{name}"))}
    assert not named - near - in_a_room


if __name__ == "__main__":
    text = OUTPUT.sub(lambda _: printed(), README.read_text(), count=1)
    README.write_text(text)
