"""The widgets' halves that live in the browser. Importing this loads anywidget.

Everything is sent once; the kernel hears of `step` and `value` but is never asked, so a widget
works as fast as the browser and needs no outside host. `Lookup` alone asks the kernel, since a
name that somebody types cannot be sent before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from labkit.views.theme import CSS, FILL

# JupyterLab leaves 20 px free at the right of HTML, none beside a widget: one measure for both.
# What is only read aloud keeps one pixel, since a screen reader passes over what is hidden.
BASE = f"""{CSS}
.lk.widget{{max-width:min(720px,calc(100% - 20px))}}
.lk.widget :focus-visible{{outline:2px solid {FILL["go"]};outline-offset:3px;border-radius:3px}}
.lk.widget .bar{{display:flex;gap:8px;align-items:center;margin:2px 0 8px;flex-wrap:wrap}}
.lk.widget .live{{position:absolute;width:1px;height:1px;margin:0}}
.lk.widget .live{{overflow:hidden;clip-path:inset(50%)}}
.lk.widget .hold{{display:grid}} .lk.widget .hold>*{{grid-area:1/1;min-width:0}}
.lk.widget .room{{display:grid;visibility:hidden}} .lk.widget .room>*{{grid-area:1/1;min-width:0}}
"""
STEPPER_CSS = f"""{BASE}
.lk.stepper button{{font:inherit;color:{FILL["ink"]};background:{FILL["paper"]};border:1px solid {FILL["line"]};border-radius:4px;min-width:38px;height:28px;padding:0 9px;cursor:pointer}}
.lk.stepper .play{{width:62px}} .lk.stepper button:hover{{background:{FILL["wash"]}}}
.lk.stepper button:disabled{{opacity:.45;cursor:default}}
.lk.stepper label{{display:flex;gap:8px;align-items:center;flex:1;min-width:220px;color:{FILL["ink"]}}}
.lk.stepper input{{flex:1;accent-color:{FILL["go"]};margin:0}}
.lk.stepper output{{font-variant-numeric:tabular-nums;white-space:nowrap;color:{FILL["ink"]}}}
.lk.stepper p{{margin:8px 0 4px;font-size:14px;max-width:76ch;color:{FILL["ink"]}}}
.lk.stepper dl{{display:grid;grid-template-columns:max-content 1fr;gap:2px 10px;margin:0;align-content:start;color:{FILL["ink"]}}}
.lk.stepper dt{{color:{FILL["soft"]};margin:0;padding:0;white-space:nowrap;font-weight:400}} .lk.stepper dd{{margin:0}}
.lk.stepper .later circle{{fill:{FILL["paper"]}!important;stroke:{FILL["line"]};stroke-width:1.5}}
.lk.stepper .later text{{fill:{FILL["soft"]}!important;font-weight:400}} .lk.stepper .later rect{{fill:{FILL["paper"]};stroke:{FILL["hair"]}}}
.lk.stepper .later path{{stroke:{FILL["hair"]}}} .lk.stepper .track.later{{stroke:{FILL["line"]};stroke-width:1.5}}
.lk.stepper g[data-sheath].later,.lk.stepper .later .told{{display:none}} .lk.stepper .track{{transition:stroke .2s}}
@media (prefers-reduced-motion:reduce){{.lk.stepper .track{{transition:none}}}}
.lk.stepper .token{{fill:none;stroke:{FILL["ink"]};stroke-width:2.5}}
"""  # noqa: E501
STEPPER_JS = """
function render({ model, el }) {
  const frames = model.get("frames"), last = frames.length - 1;
  el.classList.add("lk", "widget", "stepper");
  el.innerHTML = model.get("shell");
  const $ = (s) => el.querySelector(s), all = (s) => el.querySelectorAll(s);
  const range = $("input"), play = $(".play"), token = $(".token");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let timer = 0, shown = -1;

  const put = (x, y) => token.setAttribute("transform", `translate(${x} ${y})`);
  function glide(i, before) {
    const way = $(`path[data-seg="${i}"]`), [x, y] = frames[i].at;
    if (calm.matches || !way || before !== i - 1) return put(x, y);
    const length = way.getTotalLength(), start = performance.now();
    (function tick(now) {
      const t = Math.min(1, Math.max(0, (now - start) / 320));
      const p = way.getPointAtLength(length * t * (2 - t));
      put(p.x, p.y);
      if (t < 1 && shown === i) requestAnimationFrame(tick);
    })(start);
  }
  function show() {
    const i = model.get("step"), frame = frames[i];
    if (i === shown || !frame) return;
    all("[data-hop]").forEach((g) => g.classList.toggle("later", +g.dataset.hop > i));
    all("[data-seg],[data-sheath]").forEach((g) =>
      g.classList.toggle("later", +(g.dataset.seg ?? g.dataset.sheath) > i));
    const before = shown;
    shown = i;
    glide(i, before);
    $(".stack").innerHTML = frame.stack;
    $(".say").textContent = frame.say;
    $(".why").innerHTML = frame.why;
    range.value = i;
    range.setAttribute("aria-valuetext", frame.short);
    $("output").textContent = frame.clock || `${i + 1} of ${last + 1}`;
    $(".prev").disabled = i === 0;
    $(".next").disabled = i === last;
    el.dataset.step = i;
  }
  const go = (i) => {
    model.set("step", Math.max(0, Math.min(last, i)));
    model.save_changes();
    show();
  };
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
  range.addEventListener("input", () => { stop(); go(+range.value); });
  $(".prev").addEventListener("click", () => { stop(); go(model.get("step") - 1); });
  $(".next").addEventListener("click", () => { stop(); go(model.get("step") + 1); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (model.get("step") === last) go(0);
    play.textContent = "Pause";
    timer = setInterval(
      () => (model.get("step") === last ? stop() : go(model.get("step") + 1)),
      +$(".bar").dataset.pace);
  });
  el.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    e.stopPropagation(); // else JupyterLab takes the arrow keys for its cells
    const by = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (by && e.target !== range) { e.preventDefault(); stop(); go(model.get("step") + by); }
  });
  model.on("change:step", show);
  show();
  return () => { stop(); model.off("change:step", show); };
}
export default { render };
"""
CHOICE_CSS = f"""{BASE}
.lk.choice label{{display:flex;gap:8px;align-items:center;font-size:13px;color:{FILL["ink"]}}}
.lk.choice select{{font:inherit;color:{FILL["ink"]};background:{FILL["paper"]};border:1px solid {FILL["line"]};border-radius:4px;height:28px;padding:0 6px;cursor:pointer}}
.lk.choice .option{{visibility:hidden}} .lk.choice .option.on{{visibility:visible}}
"""  # noqa: E501
CHOICE_JS = """
let count = 0;
function render({ model, el }) {
  const options = model.get("options"), id = `lk-choice-${++count}`;
  el.classList.add("lk", "widget", "choice");
  el.innerHTML = `<div class="bar"><label for="${id}"></label><select id="${id}"></select></div>
    <p class="live" aria-live="polite"></p><div class="hold"></div>`;
  const select = el.querySelector("select"), hold = el.querySelector(".hold");
  el.querySelector("label").textContent = model.get("label");
  for (const [name, html] of options) {
    select.append(new Option(name, name));
    const option = document.createElement("div");
    option.className = "option";
    option.innerHTML = html;
    hold.append(option);
  }
  let shown = null;
  function show() {
    const i = options.findIndex(([name]) => name === model.get("value"));
    if (i < 0 || i === shown) return;
    [...hold.children].forEach((o, n) => o.classList.toggle("on", n === i));
    select.selectedIndex = i;
    if (shown !== null) el.querySelector(".live").textContent = options[i][2];
    shown = i;
    el.dataset.value = options[i][0];
  }
  select.addEventListener("change", () => {
    model.set("value", select.value);
    model.save_changes();
    show();
  });
  el.addEventListener("keydown", (e) => {
    if (!e.ctrlKey && !e.metaKey && !e.shiftKey && !e.altKey) e.stopPropagation();
  });
  model.on("change:value", show);
  show();
  return () => model.off("change:value", show);
}
export default { render };
"""
LOOKUP_CSS = f"""{BASE}
.lk.lookup label{{display:flex;gap:8px;align-items:center;color:{FILL["ink"]}}}
.lk.lookup select,.lk.lookup input,.lk.lookup button{{font:inherit;color:{FILL["ink"]};background:{FILL["paper"]};border:1px solid {FILL["line"]};border-radius:4px;height:28px;padding:0 8px;margin:0;box-sizing:border-box}}
.lk.lookup input,.lk.lookup button{{font:12px/1.4 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}} .lk.lookup input{{width:270px;max-width:60vw}}
.lk.lookup select,.lk.lookup button{{cursor:pointer}} .lk.lookup button:hover{{background:{FILL["wash"]}}}
.lk.lookup button[aria-pressed=true]{{background:{FILL["go-tint"]};border-color:{FILL["go"]}}}
"""  # noqa: E501
LOOKUP_JS = """
let count = 0;
function render({ model, el }) {
  const id = `lk-lookup-${++count}`;
  el.classList.add("lk", "widget", "lookup");
  el.innerHTML = `<div class="bar"><label>In<select></select></label>
    <label>look up<input type="text" spellcheck="false" autocomplete="off"></label></div>
    <div class="bar" role="group" aria-label="Names to try"></div>
    <p class="live" aria-live="polite"></p><div class="shown"></div>`;
  const select = el.querySelector("select"), input = el.querySelector("input");
  const bar = el.querySelector("[role=group]");
  select.id = id;
  model.get("places").forEach((place) => select.append(new Option(place, place)));
  const set = (trait, value) => { model.set(trait, value); model.save_changes(); };
  for (const name of model.get("names")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => set("name", name));
    bar.append(button);
  }
  const ask = () => { if (input.value.trim()) set("name", input.value.trim()); };
  select.addEventListener("change", () => set("place", select.value));
  input.addEventListener("change", ask);
  el.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target === input) ask();
    if (!e.ctrlKey && !e.metaKey && !e.altKey) e.stopPropagation();
  });
  let before = "";
  function show() {
    const now = model.get("picture");
    select.value = model.get("place");
    input.value = model.get("name");
    [...bar.children].forEach((b) => b.setAttribute("aria-pressed", b.textContent === input.value));
    if (now === before) return;
    el.querySelector(".shown").innerHTML = now;
    if (before) el.querySelector(".live").textContent = model.get("says");
    before = now;
    el.dataset.says = model.get("says");
  }
  const heard = ["change:picture", "change:name", "change:place"];
  heard.forEach((event) => model.on(event, show));
  show();
  return () => heard.forEach((event) => model.off(event, show));
}
export default { render };
"""


class Worded(anywidget.AnyWidget):
    """A widget whose text/plain is its twin: what shows until the notebook is trusted and run."""

    words = ""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        found = super()._repr_mimebundle_(**kwargs)
        data, meta = found if isinstance(found, tuple) else (found, {})
        return {**(data or {}), "text/plain": self.words}, meta

    def __repr__(self) -> str:
        return self.words


class Stepper(Worded):
    """Steps through `frames`; `step` counts from 0."""

    _esm, _css = STEPPER_JS, STEPPER_CSS
    shell = traitlets.Unicode().tag(sync=True)
    frames: Any = traitlets.List().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)

    @property
    def moves(self) -> dict[str, tuple[Any, ...]]:
        """Every value of every control, by trait: what a test has to visit."""
        return {"step": tuple(range(len(self.frames)))}

    @traitlets.validate("step")
    def _within(self, proposal: Any) -> int:
        return max(0, min(len(self.frames) - 1, int(proposal["value"])))


class Choice(Worded):
    """Shows one of several prepared figures; `value` is the name of the one that is seen."""

    _esm, _css = CHOICE_JS, CHOICE_CSS
    label = traitlets.Unicode().tag(sync=True)
    options: Any = traitlets.List().tag(sync=True)  # (name, HTML, first line of the twin)
    value = traitlets.Unicode().tag(sync=True)

    @property
    def values(self) -> tuple[str, ...]:
        """The names of all options, in order."""
        return tuple(option[0] for option in self.options)

    @property
    def moves(self) -> dict[str, tuple[Any, ...]]:
        """Every value of every control, by trait: what a test has to visit."""
        return {"value": self.values}

    @traitlets.validate("value")
    def _known(self, proposal: Any) -> str:
        if proposal["value"] not in self.values:
            raise traitlets.TraitError(f"no option `{proposal['value']}`; {', '.join(self.values)}")
        return str(proposal["value"])


class Lookup(Worded):
    """A name looked up in a place, both chosen by hand; `ask(place, name)` is the kernel's part.

    It gives HTML and a line to be read aloud; `picture` and `says` hold what it gave last.
    """

    _esm, _css = LOOKUP_JS, LOOKUP_CSS
    names: Any = traitlets.List().tag(sync=True)
    places: Any = traitlets.List().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    place = traitlets.Unicode().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    says = traitlets.Unicode().tag(sync=True)

    def __init__(self, ask: Callable[[str, str], tuple[str, str]], **traits: Any) -> None:
        self._ask = ask
        super().__init__(**traits)
        self.picture, self.says = ask(self.place, self.name)

    @property
    def moves(self) -> dict[str, tuple[Any, ...]]:
        """Every prepared value of every control, by trait: what a test has to visit."""
        return {"name": tuple(self.names), "place": tuple(self.places)}

    @traitlets.observe("name", "place")
    def _again(self, change: Any) -> None:
        if self.picture:  # else it is still being made
            with self.hold_sync():  # both in one message
                self.picture, self.says = self._ask(self.place, self.name)

    @traitlets.validate("place")
    def _there(self, proposal: Any) -> str:
        if proposal["value"] not in self.places:
            raise traitlets.TraitError(f"no place `{proposal['value']}`; {', '.join(self.places)}")
        return str(proposal["value"])
