"""The palette and the one style sheet that every picture carries.

Names say what a colour means, never what it looks like. Each has a light and a dark value.
JupyterLab says which theme is on by `data-jp-theme-light`; a picture inside `<img>` cannot see
that, but it sees the `color-scheme` of its `<img>`. Print, and pages that strip styles, get
light ink on painted paper.
"""

from __future__ import annotations

PALETTE = {  # name: (light, dark)
    "paper": ("#ffffff", "#111111"),  # the page itself
    "wash": ("#f4f3ef", "#1f1e1c"),  # a machine, a band
    "hair": ("#d8d5cd", "#3d3b37"),  # decoration only: grid, rules of tables
    "line": ("#85817a", "#8b8780"),  # borders and links that carry meaning (3:1)
    "soft": ("#5d5a54", "#b5b1a8"),  # secondary words (4.5:1)
    "ink": ("#1c1b19", "#efede8"),  # words
    "go": ("#0b61a4", "#6db7f4"),  # the request; connects
    "back": ("#00705a", "#4ecbad"),  # the reply
    "wrap": ("#5d2a86", "#e0c8f8"),  # inside a tunnel
    "edit": ("#a26a00", "#f0c35e"),  # a field that was rewritten
    "stop": ("#b02e12", "#ff9277"),  # dropped, denied
    "go-tint": ("#e2edf6", "#132b3f"),
    "edit-tint": ("#fbeed3", "#382a0c"),
    "wrap-tint": ("#f0e7f6", "#2c1f37"),
    "stop-tint": ("#fbe5df", "#411b11"),
}
SANS = 'system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif'
MONO = 'ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace'
FILL = {name: f"var(--lk-{name},{pair[0]})" for name, pair in PALETTE.items()}


def _variables(theme: int) -> str:
    return ";".join(f"--lk-{name}:{pair[theme]}" for name, pair in PALETTE.items())


# `:root` keeps the dark rule out of inline SVG, which follows the page around it.
PICTURE_CSS = f"""
.lk{{{_variables(0)};color:var(--lk-ink);font:13px/1.45 {SANS}}}
@media (prefers-color-scheme:dark){{svg.lk:root{{{_variables(1)}}}}}
[data-jp-theme-light="false"] .lk{{{_variables(1)}}}
@media print{{[data-jp-theme-light] .lk,svg.lk:root{{{_variables(0)}}}}}
.lk svg{{display:block;max-width:100%;height:auto}} .lk text{{fill:var(--lk-ink);font-size:13px;font-family:{SANS}}}
.lk text.m,.lk .m{{font-family:{MONO};font-size:12px}} .lk .s{{fill:var(--lk-soft)}} .lk text.x,.lk .x{{font-size:11.5px}}
.lk text.t,.lk .t{{font-size:10.5px}} .lk .b{{font-weight:650}} .lk text.v{{font-size:14px}}
.lk .end{{text-anchor:end}} .lk .mid{{text-anchor:middle}}
.lk .halo{{paint-order:stroke;stroke:var(--lk-paper);stroke-width:5px;stroke-linejoin:round}}
.lk .go{{fill:var(--lk-go)}} .lk .back{{fill:var(--lk-back)}} .lk .wrap{{fill:var(--lk-wrap)}}
.lk .stop{{fill:var(--lk-stop)}} .lk .on{{fill:var(--lk-paper)}}
"""  # noqa: E501

# What stands around a picture: JupyterLab stripes and right-aligns `td` and paints `code`.
PAGE_CSS = f"""
.lk{{margin:0;max-width:720px}}
.lk img{{display:block;max-width:100%;height:auto;color-scheme:light}}
[data-jp-theme-light="false"] .lk img{{color-scheme:dark}}
.lk details{{margin:4px 0 10px;color:{FILL["soft"]};font-size:12px}} .lk summary{{cursor:pointer;width:max-content}}
.lk details p{{margin:4px 0 0;max-width:72ch;white-space:pre-line;color:{FILL["ink"]};overflow-wrap:anywhere}}
.lk samp,.lk .mono{{font:12px/1.4 {MONO};background:none;color:inherit;padding:0;white-space:normal;overflow-wrap:anywhere}} .lk .w{{white-space:nowrap}}
.lk .verdict{{font-size:14px;margin:8px 0 4px;max-width:76ch;color:{FILL["ink"]}}} .lk .verdict b{{font-weight:650}}
.lk .verdict .good{{color:{FILL["go"]}}} .lk .verdict .bad{{color:{FILL["stop"]}}} .lk .note{{margin:2px 0 4px;color:{FILL["soft"]}}}
.lk .id{{font-size:12px;color:{FILL["soft"]};margin-right:4px}} .lk .says{{margin:2px 0 4px;max-width:76ch;color:{FILL["ink"]}}} .lk .says b{{font-weight:650}}
.lk del{{color:{FILL["soft"]};text-decoration:line-through}}
.lk ins{{background:{FILL["edit-tint"]};border-bottom:2px solid {FILL["edit"]};text-decoration:none;font-weight:650;padding:0 2px}}
.lk table{{border-collapse:collapse;width:100%;font-size:12.5px;margin:6px 0 4px;border:0;table-layout:fixed}}
.lk th,.lk td{{text-align:left!important;vertical-align:top;padding:5px 10px 5px 0;border:0;border-top:1px solid {FILL["hair"]};background:none;color:{FILL["ink"]};white-space:normal;font-weight:400;overflow-wrap:anywhere}}
.lk tr{{background:none!important}} .lk thead th{{border-top:0;color:{FILL["soft"]}}} .lk th b,.lk td b,.lk th.n{{font-weight:650}}
.lk .n{{width:24px;font-variant-numeric:tabular-nums}} .lk small{{display:block;font-size:12px;color:{FILL["soft"]}}}
.lk tbody th[colspan]{{padding-top:10px;font-weight:650}} .lk th.go{{color:{FILL["go"]}}} .lk th.back{{color:{FILL["back"]}}}
.lk .drop th,.lk .drop td{{background:{FILL["stop-tint"]}!important}} .lk .drop b{{color:{FILL["stop"]}}}
.lk .differs th,.lk .differs td{{background:{FILL["edit-tint"]}!important}}
"""  # noqa: E501
CSS = PICTURE_CSS + PAGE_CSS
