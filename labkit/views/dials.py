"""The sliders' half that lives in the browser. Importing this loads anywidget."""

from __future__ import annotations

from typing import Any

import traitlets

from labkit.views.theme import FILL
from labkit.views.widgets import CHOICE_CSS, Choice

CSS = f"""{CHOICE_CSS}
.lk.choice .dials{{display:grid;grid-template-columns:max-content minmax(120px,1fr) minmax(64px,max-content);gap:4px 12px;align-items:center;margin:2px 0 10px;max-width:560px}}
.lk.choice .dials label{{display:block}} .lk.choice .dials input{{margin:0;width:100%;accent-color:{FILL["go"]}}}
.lk.choice .dials select{{justify-self:start}} .lk.choice output{{font-size:13px;font-variant-numeric:tabular-nums;color:{FILL["ink"]}}}
"""  # noqa: E501
JS = """
let count = 0;
function render({ model, el }) {
  const options = model.get("options"), axes = model.get("axes"), id = `lk-dial-${++count}`;
  el.classList.add("lk", "widget", "choice");
  el.innerHTML = `<div class="dials"></div><p class="live" aria-live="polite"></p>
    <div class="hold"></div>`;
  const dials = el.querySelector(".dials"), hold = el.querySelector(".hold");
  for (const [, html] of options) {
    const option = document.createElement("div");
    option.className = "option";
    option.innerHTML = html;
    hold.append(option);
  }
  const controls = axes.map(([label, values, kind], n) => {
    const words = document.createElement("label"), shown = document.createElement("output");
    const control = document.createElement(kind === "range" ? "input" : "select");
    words.textContent = label;
    words.htmlFor = control.id = `${id}-${n}`;
    if (kind === "range") Object.assign(control, { type: "range", min: 0, max: values.length - 1 });
    else values.forEach((value, i) => control.append(new Option(value, i)));
    dials.append(words, control, shown);
    control.addEventListener("input", pick);
    return control;
  });
  function pick() {
    let i = 0;
    axes.forEach(([, values], n) => { i = i * values.length + +controls[n].value; });
    model.set("value", options[i][0]);
    model.save_changes();
    show();
  }
  let shown = null;
  function show() {
    const i = options.findIndex(([name]) => name === model.get("value"));
    if (i < 0 || i === shown) return;
    let rest = i;
    for (let n = axes.length - 1; n >= 0; n--) {
      const [, values, kind] = axes[n], at = rest % values.length;
      rest = (rest - at) / values.length;
      controls[n].value = at;
      if (kind !== "range") continue;
      controls[n].setAttribute("aria-valuetext", values[at]);
      controls[n].nextElementSibling.textContent = values[at];
    }
    [...hold.children].forEach((o, n) => o.classList.toggle("on", n === i));
    if (shown !== null) el.querySelector(".live").textContent = options[i][2];
    shown = i;
    el.dataset.value = options[i][0];
  }
  el.addEventListener("keydown", (e) => {
    if (!e.ctrlKey && !e.metaKey && !e.shiftKey && !e.altKey) e.stopPropagation();
  });
  model.on("change:value", show);
  show();
  return () => model.off("change:value", show);
}
export default { render };
"""


class Sliders(Choice):
    """Shows the prepared figure of one combination; `options` stand in the axes' order."""

    _esm, _css = JS, CSS
    axes: Any = traitlets.List().tag(sync=True)  # (label, values as text, "range" or "select")
