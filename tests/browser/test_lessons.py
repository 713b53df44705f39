"""Every lesson in a real JupyterLab: it runs, it can be read by everybody, it asks no stranger."""

from __future__ import annotations

import pytest

from tests.browser.lab import OUTPUTS, SHOTS
from tests.needs import ROOT

pytestmark = pytest.mark.needs("chromium")

LESSONS = sorted(path.name for path in ROOT.glob("notebooks/L*.ipynb"))
LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1280, 800)]


@pytest.fixture(scope="module", params=LESSONS, ids=[name[:3] for name in LESSONS])
def lesson(request, jupyter):
    """The page with one lesson in it, all of its cells run."""
    jupyter.open_notebook(f"notebooks/{request.param}")
    jupyter.name = request.param.removesuffix(".ipynb")
    jupyter.words_before_run = words_of_pictures(jupyter)
    jupyter.stored_pictures = sum(map(pictures_in, jupyter.cells()))
    jupyter.run_all()
    yield jupyter
    jupyter.close_notebook()


def words_of_pictures(jupyter):
    pictures = jupyter.page.locator(f"{OUTPUTS} img")
    return pictures.evaluate_all("all => all.filter(e => e.naturalWidth).map(e => e.alt)")


def pictures_in(cell):
    """How many pictures the outputs of a cell hold in the form that shows before a run."""
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    return sum("".join(shown.get("text/html", "")).count("<img ") for shown in data)


def test_its_pictures_show_before_anything_is_run(lesson):
    """Nobody has trusted the notebook yet, and a learner reads it all the same."""
    assert len(lesson.words_before_run) == lesson.stored_pictures
    assert all(lesson.words_before_run)


def test_it_runs_from_top_to_bottom(lesson):
    ran = [cell for cell in lesson.cells() if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in ran] == list(range(1, len(ran) + 1))
    assert not lesson.error_outputs()


def test_the_page_has_no_error(lesson):
    assert not lesson.page_errors


def test_every_picture_has_words(lesson):
    words = lesson.page.locator(f"{OUTPUTS} img").evaluate_all("all => all.map(e => e.alt)")
    assert all(words)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_what_we_show(lesson, theme):
    lesson.theme(theme)
    assert not lesson.axe()


def test_a_stepper_moves_by_the_arrow_keys(lesson):
    steppers = lesson.page.locator(f"{OUTPUTS} [data-step]")
    for number in range(steppers.count()):
        stepper = steppers.nth(number)
        before = stepper.get_attribute("data-step")
        stepper.locator("input[type=range]").first.focus()
        lesson.page.keyboard.press("ArrowRight")
        lesson.settle()
        assert stepper.get_attribute("data-step") != before
        lesson.page.keyboard.press("ArrowLeft")
        lesson.settle()
        assert stepper.get_attribute("data-step") == before


def test_a_look_up_answers_what_is_typed_and_what_is_clicked(lesson):
    lookups = lesson.page.locator(f"{OUTPUTS} [data-says]")
    for number in range(lookups.count()):
        lookup = lookups.nth(number)
        first = lookup.get_attribute("data-says")
        field = lookup.locator("input")
        field.fill("db.default")
        field.press("Enter")
        lesson.page.locator(f"{OUTPUTS} [data-says*='looks up db.default.']").wait_for()
        lookup.locator("button").first.press("Space")
        lesson.page.locator(f"{OUTPUTS} [data-says='{first}']").wait_for()


def test_nothing_is_wider_than_the_page(lesson):
    """At 800 pixels no output needs to be scrolled sideways, tables of text apart."""
    lesson.width(800)
    too_wide = lesson.page.locator(f"{OUTPUTS} img, {OUTPUTS} svg").evaluate_all(
        """all => all.filter(picture => {
            const room = picture.closest('.jp-OutputArea-output');
            return picture.getBoundingClientRect().right
                > room.getBoundingClientRect().right + 1;
        }).map(picture => picture.alt || picture.outerHTML.slice(0, 80))"""
    )
    lesson.width(1280)
    assert not too_wide


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_a_picture_of_it_is_kept_to_look_at(lesson, theme, width):
    path = lesson.screenshot(lesson.name, theme, width)
    assert path.parent == SHOTS
    assert path.stat().st_size > 10_000


def test_no_request_leaves_the_machine(lesson):
    assert not lesson.strangers
