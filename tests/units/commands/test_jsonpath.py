"""kubectl's JSONPath, held to what kubectl 1.37.1 printed for the same pod."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labkit.commands.arguments import Refused
from labkit.commands.jsonpath import render

CAPTURES = Path(__file__).parents[2] / "golden" / "captures"
OBJECTS = json.loads((CAPTURES / "kubectl_workloads_objects.json").read_text())
PLAIN = next(o for o in OBJECTS if o["metadata"]["name"] == "plain")
CASES = json.loads((CAPTURES / "kubectl_jsonpath_1.37.1.json").read_text())


@pytest.mark.parametrize(("template", "printed", "code"), CASES, ids=[c[0] for c in CASES])
def test_a_template_prints_what_kubectl_printed(template, printed, code):
    try:
        text, refused = render(template, PLAIN), 0
    except Refused as refusal:
        text, refused = refusal.text, refusal.exit_code
    assert (text, refused) == (printed.rstrip("\n") if code else printed, code)
