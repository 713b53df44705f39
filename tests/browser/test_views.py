"""The pictures as a browser lays them out, and the widgets as a hand moves them."""

from __future__ import annotations

import json

import pytest

from labkit import views
from labkit.views.stepper import frames
from labkit.views.theme import CSS
from labkit.views.tiers import picture
from tests.browser.lab import OUTPUTS
from tests.units.views.faulty import REAL
from tests.units.views.made import MADE, cluster_ip, dropped
from tests.units.views.shop import CLUSTERS
from tests.units.views.test_dns_views import DRAWN as RESOLVED
from tests.units.views.test_edge import CASES as EDGES
from tests.units.views.test_edge import pictured
from tests.units.views.test_load import CASES as LOADS
from tests.units.views.test_names import CASES as NAMED
from tests.units.views.test_names import asking, named
from tests.units.views.test_ports import CASES as RULERS
from tests.units.views.test_proxy_views import DRAWN as CHOSEN
from tests.units.views.test_spoken import CASES as REQUESTED
from tests.units.views.test_spoken import asked as requested
from tests.units.views.test_tiers import DRAWN as TIERS
from tests.units.views.test_timeline import CASES as TIMELINES

pytestmark = pytest.mark.needs("chromium")

SVGS = {
    **{f"path, {name}": lambda make=make: views.path(make()).svg
       for name, make in (MADE | REAL).items()},
    **{f"topology, {name}": lambda make=make: views.topology(make()).svg
       for name, make in CLUSTERS.items()},
    **{f"ports, {name}": lambda case=case: views.ports(case[0](), case[1], protocol=case[2]).svg
       for name, case in RULERS.items()},
    **{f"names, {name}": lambda case=case: views.names(named(*case[:3])).svg
       for name, case in NAMED.items()},
    **{f"load, {name}": lambda make=make: views.load(make()).svg for name, make in LOADS.items()},
    **{f"spoken, {url}": lambda url=url: views.spoken(requested(url)).svg for url in REQUESTED},
    **{f"edge, {name}": lambda case=case: pictured(*case[:3]).svg for name, case in EDGES.items()},
    **{f"tiers, {name}": lambda make=make: picture(make()) for name, make in TIERS.items()},
    **{f"timeline, {name}": lambda make=make: views.timeline(make()).svg
       for name, make in TIMELINES.items()},
    **{f"proxy, {name}": lambda make=make: make().svg for name, make in CHOSEN.items()},
    **{f"dns, {name}": lambda make=make: make().svg for name, make in RESOLVED.items()},
    "who asks whom": lambda: views.who_asks(*asking()).svg,
    "system pods": lambda: views.topology(CLUSTERS["shop"](), system=True).svg,
    "compare": lambda: views.compare(cluster_ip(), dropped(), ("before", "after")).svg,
    "compare, equal": lambda: views.compare(cluster_ip(), cluster_ip()).svg,
}  # fmt: skip
WIDTHS = (720, 630)  # px of an output in windows of 1280 and 800

# Labels whose boxes cut into each other, and labels that leave their picture.
FAULTS = """svg => {
    const frame = svg.getBoundingClientRect(), found = [];
    const labels = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim())
        .map(t => [t.textContent, t.getBoundingClientRect()]);
    labels.forEach(([words, box], i) => {
        if (box.left < frame.left - 1 || box.right > frame.right + 1
            || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
            found.push(`"${words}" leaves the picture`);
        for (const [others, other] of labels.slice(i + 1)) {
            const x = Math.min(box.right, other.right) - Math.max(box.left, other.left);
            const y = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
            if (x > 1 && y > 3) found.push(`"${words}" and "${others}"`);
        }
    });
    for (const shape of svg.querySelectorAll('rect[stroke],circle')) {
        const box = shape.getBoundingClientRect();
        const edge = parseFloat(getComputedStyle(shape).strokeWidth) / 2 * frame.width / 720;
        if (box.left - edge < frame.left - 0.1 || box.right + edge > frame.right + 0.1
            || box.top - edge < frame.top - 0.1 || box.bottom + edge > frame.bottom + 0.1)
            found.push(`a ${shape.tagName} is cut by the frame`);
    }
    return found;
}"""


@pytest.fixture(scope="module")
def plain(jupyter):
    """An empty page beside JupyterLab's."""
    page = jupyter.page.context.browser.new_page(viewport={"width": 800, "height": 900})
    yield page
    page.close()


@pytest.mark.parametrize("svg", SVGS.values(), ids=SVGS)
def test_no_label_meets_another_or_leaves_the_picture(plain, svg):
    picture = svg()
    for width in WIDTHS:
        plain.set_content(f"<div class='lk' style='width:{width}px'>{picture}</div>")
        assert plain.locator("svg").evaluate(FAULTS) == []


@pytest.mark.parametrize("made", (MADE | REAL).values(), ids=MADE | REAL)
def test_no_label_of_a_header_stack_meets_another(plain, made):
    style = f"<style>{CSS}</style>"
    for frame in frames(made()):
        plain.set_content(f"{style}<div class='lk' style='width:720px'>{frame.stack}</div>")
        assert plain.locator("svg").evaluate(FAULTS) == []


# --- in JupyterLab -----------------------------------------------------------------------

CELLS = (
    "from labkit import scenario, views\nlab = scenario('shop')",
    "near = lab.connect('pod/frontend', 'svc/backend:80')\n"
    "far = lab.connect('pod/frontend', 'outside')",
    "views.topology(lab)",
    "views.path(near)",
    "views.stepper(near)",
    "choice = views.choose('Leave the cluster', {'no': views.path(near), 'yes': views.path(far)})\n"
    "choice",
    "views.compare(near, far, ('inside', 'outside'))",
    "views.counters(lab, near)",
    "loads = {(n, who): lab.load('pod/frontend', 'svc/backend:80', clients=n, chooses=who)\n"
    "         for n in (1, 20, 300) for who in ('node', 'proxy')}\n"
    "pictures = {key: views.load(run) for key, run in loads.items()}\n"
    "dials = views.sliders(['clients', 'who chooses'], pictures)\n"
    "dials",
)
STORED = {
    "output_type": "execute_result", "execution_count": 1, "metadata": {},
    "data": {"text/html": views.path(cluster_ip())._repr_html_(), "text/plain": "words"},
}  # fmt: skip


def notebook(*cells: tuple[str, list[object]]) -> str:
    code = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None,
         "source": source, "outputs": outputs}
        for i, (source, outputs) in enumerate(cells)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4,
                       "nbformat_minor": 5})  # fmt: skip


def test_a_stored_picture_shows_before_anything_is_run(served, jupyter):
    (served / "stored.ipynb").write_text(notebook(("views.path(near)", [STORED])))
    jupyter.open_notebook("stored.ipynb")
    picture = jupyter.page.locator(f".jp-Notebook:visible {OUTPUTS.split()[-1]} img").first
    picture.wait_for()
    assert picture.get_attribute("alt") == views.path(cluster_ip()).alt
    assert picture.evaluate("img => img.complete && img.naturalWidth") == 720
    jupyter.close_notebook()


@pytest.fixture(scope="module")
def opened(served, jupyter):
    (served / "views.ipynb").write_text(notebook(*((source, []) for source in CELLS)))
    jupyter.open_notebook("views.ipynb")
    jupyter.page.emulate_media(reduced_motion="reduce")
    jupyter.run_all()
    jupyter.page.wait_for_selector(f"{OUTPUTS} .lk.stepper[data-step]")
    jupyter.page.wait_for_selector(f"{OUTPUTS} .lk.choice[data-value]")
    yield jupyter
    jupyter.close_notebook()


def test_it_runs_without_an_error_and_asks_no_other_host(opened):
    assert opened.error_outputs() == []
    assert opened.page_errors == []
    assert opened.strangers == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(opened, theme):
    opened.theme(theme)
    assert opened.axe() == []


def test_the_stepper_moves_by_keys_buttons_and_slider_and_keeps_its_height(opened):
    stepper = opened.page.locator(".lk.stepper").first
    last = int(stepper.locator("input").get_attribute("max"))
    height = stepper.bounding_box()["height"]
    stepper.locator("input").focus()
    for step in range(1, last + 1):
        opened.page.keyboard.press("ArrowRight")
        opened.page.wait_for_selector(f'.lk.stepper[data-step="{step}"]')
        assert stepper.bounding_box()["height"] == height
        assert stepper.locator(".say").inner_text()
    assert stepper.locator(".next").is_disabled()
    stepper.locator(".prev").click()
    stepper.locator(".prev").focus()
    opened.page.keyboard.press("ArrowLeft")
    opened.page.wait_for_selector(f'.lk.stepper[data-step="{last - 2}"]')
    assert stepper.locator("input").get_attribute("aria-valuetext").startswith(f"{last - 1}: ")


def test_play_goes_on_to_the_end_and_stops(opened):
    stepper = opened.page.locator(".lk.stepper").first
    last = int(stepper.locator("input").get_attribute("max"))
    stepper.locator("input").fill(str(last - 1))
    stepper.locator(".play").click()
    assert stepper.locator(".play").inner_text() == "Pause"
    opened.page.wait_for_selector(f'.lk.stepper[data-step="{last}"]')
    opened.page.wait_for_function("() => document.querySelector('.lk .play').innerText === 'Play'")


def test_a_choice_is_as_wide_as_the_picture_alone(opened):
    try:
        for width in (1280, 800):
            opened.width(width)
            opened.settle()
            figures = opened.page.locator(f"{OUTPUTS} figure.lk img, {OUTPUTS} .lk.widget img")
            widths = {round(img.bounding_box()["width"]) for img in figures.all()}
            assert len(widths) == 1
            assert opened.page.locator(f"{OUTPUTS} .lk.widget img").count() > 0
    finally:
        opened.width(1280)


def test_a_choice_is_made_with_the_keyboard_and_the_kernel_hears_it(opened):
    choice = opened.page.locator(".lk.choice").first
    shown = choice.locator(".option.on img").get_attribute("alt")
    choice.locator("select").focus()
    opened.page.keyboard.press("ArrowDown")
    opened.page.wait_for_selector('.lk.choice[data-value="yes"]')
    assert choice.locator(".option.on img").get_attribute("alt") != shown
    assert choice.locator(".option.on").count() == 1
    choice.locator("select").select_option("no")
    opened.page.wait_for_selector('.lk.choice[data-value="no"]')


def test_sliders_show_the_picture_of_their_values_and_keep_their_height(opened):
    dials = opened.page.locator(".lk.choice:has(.dials)")
    slider, select = dials.locator("input"), dials.locator("select")
    height = dials.bounding_box()["height"]
    slider.focus()
    opened.page.keyboard.press("ArrowRight")
    opened.page.wait_for_selector('.lk.choice[data-value="20, node"]')
    assert slider.get_attribute("aria-valuetext") == "20"
    assert "20 clients" in dials.locator(".option.on img").get_attribute("alt")
    select.focus()
    opened.page.keyboard.press("ArrowDown")
    opened.page.wait_for_selector('.lk.choice[data-value="20, proxy"]')
    assert "a proxy reads requests" in dials.locator(".option.on img").get_attribute("alt")
    opened.page.keyboard.press("ArrowUp")
    opened.page.wait_for_selector('.lk.choice[data-value="20, node"]')
    assert dials.locator(".option.on").count() == 1
    assert dials.bounding_box()["height"] == height
