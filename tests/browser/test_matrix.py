"""The matrix under a hand: pointed at, chosen by keys, redrawn by a tick and by a new policy."""

from __future__ import annotations

import pytest

from labkit import views
from labkit.views.matrix import picture
from labkit.views.theme import CSS
from tests.browser.lab import OUTPUTS
from tests.browser.test_views import FAULTS, WIDTHS, notebook
from tests.units.views.policed import BOTH, DENY, FRONT, OUT, crowd, shop, strangers

pytestmark = pytest.mark.needs("chromium")

SVGS = {
    "a wall": lambda: picture(shop(DENY, FRONT).reachability(8080)).svg,
    "both ends": lambda: picture(shop(FRONT, OUT).reachability(8080)).svg,
    "what changed": lambda: (
        picture(shop(FRONT).reachability(8080), before=shop(DENY).reachability(8080)).svg
    ),
    "nobody enforces": lambda: picture(shop(DENY, cni="flannel").reachability(8080)).svg,
    "200 pods": lambda: picture(crowd(FRONT).reachability(8080)).svg,
    "60 strangers": lambda: picture(strangers(DENY).reachability(8080)).svg,
    "policies": lambda: views.policies(shop(DENY, FRONT, OUT, BOTH)).svg,
    "one dash": lambda: _drawn("one dash"),
    "two dashes": lambda: _drawn("two dashes"),
}
CELLS = (
    "from labkit import scenario, views\nfrom tests.units.views.policed import *\n"
    "lab = shop(FRONT)",
    "views.matrix(lab.reachability(8080))",
    "views.union(shop(), {'deny': DENY, 'front': FRONT}, 8080)",
    "views.dash(lab, BOTH, 8080)",
    "big = views.matrix(strangers(DENY).reachability(8080))\nbig",
    "lab.apply(DENY); views.matrix(lab.reachability(8080))",
)


def _drawn(name: str) -> str:
    above = {s["name"]: s["above"] for s in views.dash(shop(), BOTH, 8080).sheets}[name]
    return above[above.index("<svg") :]


@pytest.fixture(scope="module")
def plain(jupyter):
    page = jupyter.page.context.browser.new_page(viewport={"width": 800, "height": 900})
    yield page
    page.close()


@pytest.mark.parametrize("svg", SVGS.values(), ids=SVGS)
def test_no_label_meets_another_or_leaves_the_picture(plain, svg):
    drawn = svg()
    for width in WIDTHS:
        plain.set_content(
            f"<style>{CSS}</style><div class='lk' style='width:{width}px'>{drawn}</div>"
        )
        assert plain.locator("svg").evaluate(FAULTS) == []


@pytest.fixture(scope="module")
def opened(served, jupyter):
    (served / "matrix.ipynb").write_text(notebook(*((source, []) for source in CELLS)))
    jupyter.open_notebook("matrix.ipynb")
    jupyter.run_all()
    jupyter.page.wait_for_function(
        "() => document.querySelectorAll('.lk.matrix[data-shown]').length >= 5"
    )
    yield jupyter
    jupyter.close_notebook()


def boards(opened):
    return opened.page.locator(f"{OUTPUTS} .lk.matrix")


def test_it_runs_without_an_error_and_asks_no_other_host(opened):
    assert opened.error_outputs() == []
    assert opened.page_errors == []
    assert opened.strangers == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(opened, theme):
    opened.theme(theme)
    assert opened.axe() == []


def test_it_begins_at_a_cell_with_a_reason(opened):
    assert boards(opened).first.get_attribute("data-cell") == "default/db to default/backend"
    said = boards(opened).first.locator(".verdict").inner_text()
    assert said.startswith("✕ default/db to default/backend: denied; ")
    assert "from-frontend rule 1 (line 4)" in said


def test_a_cell_is_chosen_with_the_keyboard_and_the_kernel_sends_a_packet(opened):
    board = boards(opened).first
    board.locator("select.from").focus()
    opened.page.keyboard.press("ArrowDown")
    opened.page.wait_for_selector('.lk.matrix[data-cell="default/frontend to default/backend"]')
    assert board.locator(".verdict").inner_text().startswith("● ")
    board.locator(".way").wait_for(state="visible")
    assert "TCP: answered" in board.locator(".way").inner_text()


def test_a_cell_is_chosen_with_the_mouse(opened):
    board = boards(opened).first
    box = board.locator("svg").first.bounding_box()
    k = box["width"] / 720
    grid = views.matrix(shop(FRONT).reachability(8080)).grid
    half = grid["cell"] / 2
    x, y = grid["left"] + grid["at"][0] + half, grid["top"] + grid["at"][3] + half
    opened.page.mouse.click(box["x"] + x * k, box["y"] + y * k)
    opened.page.wait_for_selector('.lk.matrix[data-cell="ops/monitoring to default/backend"]')
    opened.page.wait_for_function(
        "() => document.querySelector('.lk.matrix .way').innerText.includes('timed out')"
    )


def test_a_tick_changes_the_matrix_and_another_order_does_not(opened):
    union = boards(opened).nth(1)
    ticks = union.locator("[data-bit]")
    first = union.locator(".cells").inner_html()
    ticks.nth(0).check()
    ticks.nth(1).check()
    opened.page.wait_for_selector('.lk.matrix[data-shown="deny, then front"]')
    both = union.locator(".cells").inner_html()
    assert both != first
    union.locator(".again").click()
    opened.page.wait_for_selector('.lk.matrix[data-shown="front, then deny"]')
    assert union.locator(".cells").inner_html() == both
    assert "In both orders: the same matrix." in union.locator(".above").inner_text()


def test_the_second_dash_is_turned_with_the_space_key(opened):
    board = boards(opened).nth(2)
    height = board.bounding_box()["height"]
    board.locator("[data-bit]").focus()
    opened.page.keyboard.press("Space")
    opened.page.wait_for_selector('.lk.matrix[data-shown="one dash"]')
    assert board.locator("ins").inner_text() == " "
    print(f"\na tick redraws the matrix in {board.get_attribute('data-ms')} ms")
    assert abs(board.bounding_box()["height"] - height) < 40


def test_a_field_asks_the_kernel_for_its_reason(opened):
    board = boards(opened).nth(3)
    board.locator("select.to").select_option(label="default/app-7")
    opened.page.wait_for_function(
        "() => [...document.querySelectorAll('.lk.matrix .verdict')]"
        ".some(p => p.innerText.includes('deny has no'))"
    )


def test_an_edited_policy_redraws_the_matrix(opened):
    """The time is told, not judged: from the start of the cell to the widget's picture."""
    taken = opened.page.evaluate(
        """async () => {
            const panel = window.labkitPanel, cells = panel.content.widgets;
            const cell = cells[cells.length - 1], times = [];
            for (let n = 0; n < 5; n++) {
                cell.model.outputs?.clear?.();
                cell.outputArea?.model.clear();
                panel.content.activeCellIndex = cells.length - 1;
                const start = performance.now();
                await window.jupyterapp.commands.execute('notebook:run-cell');
                while (!cell.node.querySelector('.lk.matrix[data-shown]'))
                    await new Promise(requestAnimationFrame);
                times.push(Math.round(performance.now() - start));
            }
            return times;
        }"""
    )
    print(f"\nfrom running an edited policy to its matrix: {taken} ms")
    assert len(taken) == 5
