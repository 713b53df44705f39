"""The matrix's half that lives in the browser. Importing this loads anywidget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import traitlets

from labkit.views.theme import FILL, MONO
from labkit.views.widgets import BASE, Worded

if TYPE_CHECKING:
    from labkit.views.figure import Figure
    from labkit.views.grid import Table

Ask = Callable[[str, int, int], str]  # (sheet, number of the sender, of the receiver) -> words

CSS = f"""{BASE}
.lk.matrix svg{{cursor:crosshair}} .lk.matrix .cross{{fill:{FILL["ink"]};opacity:.08;pointer-events:none}}
.lk.matrix .spot{{fill:none;stroke:{FILL["ink"]};stroke-width:1.6;pointer-events:none}} .lk.matrix text.met{{font-weight:700}}
.lk.matrix fieldset{{border:0;margin:2px 0 8px;padding:0;color:{FILL["ink"]}}} .lk.matrix legend{{float:left;padding:0;margin-right:4px}}
.lk.matrix label{{display:flex;gap:6px;align-items:center;color:{FILL["ink"]}}} .lk.matrix label span{{font:12px/1.4 {MONO}}}
.lk.matrix input{{accent-color:{FILL["go"]};margin:0;width:15px;height:15px}}
.lk.matrix select{{font:12px {MONO};color:{FILL["ink"]};background:{FILL["paper"]};border:1px solid {FILL["line"]};border-radius:4px;height:28px;padding:0 4px;max-width:230px}}
.lk.matrix button{{font:inherit;color:{FILL["ink"]};background:{FILL["paper"]};border:1px solid {FILL["line"]};border-radius:4px;height:28px;padding:0 9px;cursor:pointer}}
.lk.matrix button:disabled{{opacity:.45;cursor:default}} .lk.matrix .verdict{{min-height:2.9em}}
.lk.matrix .draft{{font:12px/1.4 {MONO};margin:4px 0 10px;padding:6px 10px;color:{FILL["ink"]};background:{FILL["wash"]};border-radius:4px;overflow-x:auto}}
.lk.matrix .draft ins{{white-space:pre;padding:0}} .lk.matrix .above svg{{cursor:default;margin-bottom:8px}}
.lk.matrix .way{{font:12px/1.4 {MONO};white-space:pre;overflow-x:auto;margin:4px 0;padding:0;color:{FILL["ink"]};background:none}}
"""  # noqa: E501
JS = """
function render({ model, el }) {
  el.classList.add("lk", "widget", "matrix");
  el.innerHTML = model.get("shell");
  const g = model.get("grid"), sheets = model.get("sheets"), sentences = model.get("sentences");
  const $ = (s) => el.querySelector(s), svg = $("svg"), from = $(".from"), to = $(".to");
  const boxes = [...el.querySelectorAll("[data-bit]")], again = $(".again"), group = $(".cells");
  const set = (node, x, y, width, height) => Object.entries({ x, y, width, height })
    .forEach(([name, value]) => node.setAttribute(name, value));
  const near = (p) => g.at.findIndex((a) => p >= a && p < a + g.cell);
  const now = () => sheets.find((sheet) => sheet.name === model.get("shown")) ?? sheets[0];
  const shut = now().open.findIndex((row) => row.includes("0")); // begin where a reason is to be read
  let at = shut < 0 ? [0, Math.min(1, g.names.length - 1)] : [shut, now().open[shut].indexOf("0")];

  function point(i, j) {
    if (i < 0 || j < 0) return;
    at = [i, j];
    set($(".row"), 0, g.top + g.at[i], g.left + g.end, g.cell);
    set($(".col"), g.left + g.at[j], 0, g.cell, g.top + g.end);
    set($(".spot"), g.left + g.at[j], g.top + g.at[i], g.cell, g.cell);
    el.querySelectorAll("text.met").forEach((t) => t.classList.remove("met"));
    el.querySelectorAll(`[data-row="${i}"],[data-col="${j}"]`).forEach((t) => t.classList.add("met"));
    from.value = i; to.value = j;
    el.dataset.cell = `${g.names[i]} to ${g.names[j]}`;
    const sheet = now(), open = sheet.open[i][j] === "1";
    const told = sentences[sheet.says[i * g.names.length + j]];
    const bare = `${el.dataset.cell}: ${open ? "allowed" : "denied"}.`;
    $(".verdict").textContent = (open ? "● " : "✕ ") + (told ?? model.get("asked")[el.dataset.cell] ?? bare);
  }
  function pick(i, j) {
    if (i < 0 || j < 0) return;
    point(i, j);
    model.set("value", `${g.names[i]} to ${g.names[j]}`);
    model.save_changes();
  }
  function show() {
    const sheet = now(), start = performance.now();
    group.innerHTML = sheet.cells;
    $(".above").innerHTML = sheet.above;
    boxes.forEach((box) => { box.checked = !!(sheet.mask >> box.dataset.bit & 1); });
    if (again) again.disabled = sheets.filter((s) => s.mask === sheet.mask).length < 2;
    if (el.dataset.shown && el.dataset.shown !== sheet.name) $(".live").textContent = sheet.live;
    el.dataset.shown = sheet.name;
    point(...at);
    el.getBoundingClientRect(); // laid out, so that the time is what an eye waits for
    el.dataset.ms = (performance.now() - start).toFixed(1);
  }
  const choose = (sheet) => {
    if (!sheet) return;
    model.set("shown", sheet.name);
    model.save_changes();
    show();
  };
  const cell = (e) => {
    const box = svg.getBoundingClientRect(), k = svg.viewBox.baseVal.width / box.width;
    return [near((e.clientY - box.top) * k - g.top), near((e.clientX - box.left) * k - g.left)];
  };
  const way = () => {
    $(".way").textContent = model.get("way");
    $(".way").hidden = !model.get("way");
  };
  const heard = () => {
    const [a, b] = model.get("value").split(" to ").map((name) => g.names.indexOf(name));
    if (a >= 0 && b >= 0) point(a, b);
  };
  svg.addEventListener("mousemove", (e) => point(...cell(e)));
  svg.addEventListener("mouseleave", heard);
  svg.addEventListener("click", (e) => pick(...cell(e)));
  for (const list of [from, to]) list.addEventListener("change", () => pick(+from.value, +to.value));
  for (const box of boxes) box.addEventListener("change", () => {
    const mask = boxes.reduce((sum, b) => sum | (b.checked << b.dataset.bit), 0);
    choose(sheets.find((sheet) => sheet.mask === mask));
  });
  again?.addEventListener("click", () => {
    const like = sheets.filter((sheet) => sheet.mask === now().mask);
    choose(like[(like.indexOf(now()) + 1) % like.length]);
  });
  el.addEventListener("keydown", (e) => {
    if (!e.ctrlKey && !e.metaKey && !e.shiftKey && !e.altKey) e.stopPropagation();
  });
  const events = { "change:shown": show, "change:way": way, "change:value": heard, "change:asked": () => point(...at) };
  for (const [name, act] of Object.entries(events)) model.on(name, act);
  show();
  way();
  return () => { for (const [name, act] of Object.entries(events)) model.off(name, act); };
}
export default { render };
"""  # noqa: E501


class Matrix(Worded):
    """One matrix on several sheets; `shown` names the sheet, `value` the cell: `a to b`.

    The kernel hears of a chosen cell and answers with the verdict (`verdict_of`) and the
    packet's way (`way_of`). Until the notebook is run, and where there is no kernel, the first
    sheet is a picture.

    Args:
        twins: the words of each sheet, by its name.
    """

    _esm, _css = JS, CSS
    shell = traitlets.Unicode().tag(sync=True)
    grid: Any = traitlets.Dict().tag(sync=True)
    sheets: Any = traitlets.List().tag(sync=True)
    sentences: Any = traitlets.List().tag(sync=True)
    # Cell -> sentence, for clusters too large to send all.
    asked: Any = traitlets.Dict().tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)
    value = traitlets.Unicode().tag(sync=True)
    way = traitlets.Unicode().tag(sync=True)
    figure: Figure

    def __init__(
        self, twins: Mapping[str, str], rows: Table, verdict_of: Ask, way_of: Ask, **traits: Any
    ) -> None:
        self._twins, self._rows, self._verdict_of, self._way_of = twins, rows, verdict_of, way_of
        super().__init__(**traits)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, meta = super()._repr_mimebundle_(**kwargs)
        return {**data, "text/html": self.figure._repr_html_()}, meta

    @property
    def pairs(self) -> tuple[str, ...]:
        """Every value that a cell has."""
        return tuple(f"{a} to {b}" for a in self._rows.names for b in self._rows.names)

    @property
    def moves(self) -> dict[str, tuple[Any, ...]]:
        """Every value of every control, by trait: what a test has to visit."""
        shown = {"shown": tuple(self._twins)} if len(self._twins) > 1 else {}
        return {"value": self.pairs, **shown}

    @property
    def options(self) -> list[tuple[str, str, str]]:
        """What each value says: a cell its sentence, a sheet its words."""
        told = [(name, f"{name}: {words}", "") for name, words in self._twins.items()]
        return [(pair, self._sentence(pair), "") for pair in self.pairs] + told

    def _numbers(self, pair: str) -> tuple[int, int]:
        """The numbers of the pods that speak for a cell."""
        i, j = (self._rows.names.index(name) for name in pair.split(" to "))
        return self._rows.pair(i, j)

    def _sentence(self, pair: str) -> str:
        return self._verdict_of(self.shown, *self._numbers(pair))

    @traitlets.observe("value", "shown")
    def _chosen(self, change: Any) -> None:
        if self.value:
            self.asked = {self.value: self._sentence(self.value)}
            self.way = self._way_of(self.shown, *self._numbers(self.value))

    @traitlets.validate("value")
    def _is_a_cell(self, proposal: Any) -> str:
        if any(name not in self._rows.names for name in proposal["value"].split(" to ")):
            raise traitlets.TraitError(f"no cell `{proposal['value']}`; a cell is `FROM to TO`")
        return str(proposal["value"])

    @traitlets.validate("shown")
    def _is_a_sheet(self, proposal: Any) -> str:
        if proposal["value"] not in self._twins:
            raise traitlets.TraitError(f"no sheet `{proposal['value']}`; {', '.join(self._twins)}")
        return str(proposal["value"])
