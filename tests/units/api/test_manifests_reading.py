"""How manifests are read: as kubectl reads YAML, from text, files and lists, within limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from labkit.api import yamltext
from labkit.api.manifests import load, load_as_it_stands
from labkit.api.yamltext import Reading
from labkit.errors import LabError, ManifestError, NotFound

SCALARS = {
    # What stands in the file, and what `kubectl label --local -o json` (1.32.4) makes of it.
    "y": True,
    "NO": False,
    "tRue": "tRue",
    "~": None,
    "nUll": "nUll",
    "010": 8,
    "08": 8,
    "0o7": 7,
    "0x1F": 31,
    "0xg": "0xg",
    "-0b11": -3,
    "1_000": 1000,
    "_1": "_1",
    "1.": 1,
    "-.5": -0.5,
    "1e3": 1000,
    "1e400": "1e400",
    "9223372036854775807": 9223372036854775807,
    "12:30": "12:30",
    "2001-01-01": "2001-01-01",
    "2001-01-01T00:00:00Z": "2001-01-01T00:00:00Z",
    "=": "=",
    "10.0.0.1": "10.0.0.1",
    "1.2.3": "1.2.3",
    "'80'": "80",
    '"yes"': "yes",
    "!!str 80": "80",
    "|\n    a\n    b": "a\nb\n",
    ">\n    a\n    b": "a b\n",
    "&x a": "a",
}


def widget(spec: str) -> str:
    """An object of somebody else's kind: only its YAML matters."""
    return f"apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w}}\nspec:\n{spec}\n"


def spec_of(spec: str) -> object:
    (loaded,) = load(widget(spec))
    return loaded.manifest["spec"]


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=SCALARS)
def test_a_scalar_is_read_as_kubectl_reads_it(text: str, value: object) -> None:
    found = spec_of(f"  a: {text}")
    assert found == {"a": value}
    assert json.dumps(found) == json.dumps({"a": value})  # 1, 1.0 and true are equal in Python


SPECS = {
    "aliases are spelled out": ("  a: &x {b: 1}\n  c: *x", {"a": {"b": 1}, "c": {"b": 1}}),
    "a merge fills in what is missing": (
        "  a: &x {b: 1, c: 2}\n  d: {<<: *x, c: 3}",
        {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}},
    ),
    "the first of several merges wins": (
        "  a: &x {b: 1}\n  c: &y {b: 2, d: 2}\n  e: {<<: [*x, *y]}",
        {"a": {"b": 1}, "c": {"b": 2, "d": 2}, "e": {"b": 1, "d": 2}},
    ),
    "keys become text": ("  80: a\n  yes: b\n  1.5: c", {"80": "a", "true": "b", "1.5": "c"}),
}


@pytest.mark.parametrize(("text", "value"), SPECS.values(), ids=SPECS)
def test_a_mapping_is_read_as_kubectl_reads_it(text: str, value: object) -> None:
    assert spec_of(text) == value


SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports:
  - port: 80
"""


def service() -> dict[str, object]:
    return dict(load(SERVICE)[0].manifest)


ONE = {
    "text": SERVICE,
    "windows line ends": SERVICE.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + SERVICE,
    "empty documents around it": f"---\n---\n# nothing\n---\n{SERVICE}---\nnull\n---\n",
    "a directive": f"%YAML 1.1\n---\n{SERVICE}...\n",
    "json": json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"ports": [{"port": 80}]},
        }
    ),
}


@pytest.mark.parametrize("text", ONE.values(), ids=ONE)
def test_the_same_service_is_read_from(text: str) -> None:
    assert [x.manifest for x in load(text)] == [service()]


class WithoutLibyaml(Reading, yaml.SafeLoader):
    """What a Python without the C parser has."""


@pytest.mark.parametrize("text", [*ONE.values(), *(widget(f"  a: {s}") for s in SCALARS)])
def test_without_libyaml_the_same_is_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_libyaml = load(text)
    monkeypatch.setattr(yamltext, "_Loader", WithoutLibyaml)
    assert load(text) == with_libyaml


def test_a_list_of_mappings_is_copied() -> None:
    given = service()
    (loaded,) = load([given])
    assert loaded.manifest == given
    assert loaded.manifest["spec"] is not given["spec"]
    assert loaded.lines == {}


@pytest.mark.parametrize("nothing", ["", "\n", "---\n", "# a note\n", []])
def test_nothing_is_no_object_and_no_fault(nothing: str) -> None:
    assert load(nothing) == ()


def test_lists_are_opened_wherever_they_come_from() -> None:
    inner = {"apiVersion": "v1", "kind": "List", "items": [service(), service()]}
    outer = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [inner, service()]}
    assert [x.manifest for x in load([outer])] == [service()] * 3
    assert [x.manifest for x in load(json.dumps(outer))] == [service()] * 3


def test_items_of_a_typed_list_get_their_kind() -> None:
    bare = {k: v for k, v in service().items() if k not in ("kind", "apiVersion")}
    listed = {"apiVersion": "v1", "kind": "ServiceList", "items": [bare]}
    for source in ([listed], json.dumps(listed)):
        assert [x.manifest for x in load(source)] == [service()]


JSON_ONLY = {
    "an escaped emoji": '"\\ud83d\\ude00"',
    "a control character": '"\x7f"',
    "a line separator": '"a\u2028b"',
    "a next line": '"\x85"',
}


@pytest.mark.parametrize("text", JSON_ONLY.values(), ids=JSON_ONLY)
def test_json_is_read_as_json_where_yaml_would_differ(text: str) -> None:
    head = '"apiVersion": "a.b/v1", "kind": "C", "metadata": {"name": "c"}'
    (loaded,) = load(f'{{{head}, "spec": {text}}}')
    assert loaded.manifest["spec"] == json.loads(text)


def test_lines_are_those_of_the_whole_text() -> None:
    policy = """\
# first line
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p}
spec:
  podSelector: {}
  ingress:
  - from:
    - podSelector: {}
    - namespaceSelector: {}
      podSelector:
        matchLabels: {app: a}
"""
    first, second = load(policy + "---\n" + policy)
    assert first.lines[".spec.ingress[0].from[0]"] == 9
    assert first.lines[".spec.ingress[0].from[1].podSelector"] == 11
    assert second.lines[".spec.ingress[0].from[1].podSelector"] == 24
    assert second.lines[""] == 15


def test_files_are_named_by_path_or_by_their_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web.yaml").write_text(SERVICE)
    monkeypatch.chdir(tmp_path)
    for source in ("web.yaml", "web.yaml\n", Path("web.yaml"), tmp_path / "web.yaml"):
        (loaded,) = load(source)
        assert loaded.manifest == service()
        assert loaded.where == str(source).strip()


def test_a_file_that_is_not_utf_8_says_so(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_bytes(SERVICE.encode() + "# caf\u00e9\n".encode("latin-1"))
    with pytest.raises(ManifestError) as refused:
        load(path)
    assert str(refused.value) == f"{path}:7: not UTF-8 (byte 0xe9); save the file as UTF-8"


@pytest.mark.parametrize("name", ["nowhere.yaml", ".json", "a\x00b.yaml", "x" * 300 + ".yml"])
def test_a_file_that_is_not_there_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        load(name)


def test_after_broken_yaml_the_next_documents_are_checked_too() -> None:
    text = f"kind: [\n---\n{SERVICE}---\n{SERVICE.replace('port: 80', 'port: 0')}"
    with pytest.raises(ManifestError) as refused:
        load(text)
    assert [(f.line, f.subject) for f in refused.value.faults] == [(2, ""), (15, "Service/web")]


LISTS = {
    "a number": ([5], "input: `5` is no manifest"),
    "a Python object": (
        [{**ONE, "apiVersion": "v1", "kind": "Pod", "metadata": {"name": Path("x")}}],
        ".metadata.name: a Python PosixPath is no value of a manifest; write it as text",
    ),
    "a key that is no text": (
        [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {1: "a"}}],
        "input ConfigMap/a .data: a key is text, not a Python int",
    ),
    "infinity": (
        [{"apiVersion": "a.b/v1", "kind": "C", "metadata": {"name": "a"}, "x": float("inf")}],
        "input C/a .x: inf is no number that a manifest can hold",
    ),
    "half a character": (
        [{"apiVersion": "a.b/v1", "kind": "C", "metadata": {"name": "a"}, "x": "\ud800"}],
        "input C/a .x: has half a character (a lone surrogate); remove it",
    ),
    "a mapping alone": ({"kind": "Pod"}, "input: a manifest is text, a Path or a list of mappings"),
}


@pytest.mark.parametrize(("source", "part"), LISTS.values(), ids=LISTS)
def test_python_values_that_are_no_manifest_are_refused(source: object, part: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(source)  # type: ignore[arg-type]  # that is the point
    assert part in str(refused.value)


def loop() -> list[dict[str, object]]:
    endless: dict[str, object] = {"apiVersion": "a.b/v1", "kind": "C"}
    endless["spec"] = endless
    return [endless]


TOO_MUCH = {
    "deep text": "a: " + "{a: " * 500 + "}" * 500,
    "wide text": "a: [" + "1," * 500_000 + "1]",
    "long text": "# " + "x" * 9_000_000,
    "many objects": "---\n".join([SERVICE] * 5001),
    "a list in itself by alias": "&a {apiVersion: v1, kind: List, items: [*a, *a]}",
    "a mapping in itself": loop(),
}


@pytest.mark.parametrize("source", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_too_much_is_refused_in_one_line(source: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(source)
    assert len(refused.value.faults) == 1
    assert "\n" not in str(refused.value)


def test_a_thousand_mistakes_end_after_a_hundred() -> None:
    fields = "".join(f"  q{i}: 1\n" for i in range(1000))
    with pytest.raises(ManifestError) as refused:
        load(SERVICE + fields)
    assert len(refused.value.faults) == 101
    assert refused.value.faults[-1].message == "and more faults; mend these first"


def test_cases_that_stand_as_they_are_are_not_checked() -> None:
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "A"}, "spec": {}}
    assert load_as_it_stands([bare])[0].manifest == bare
    with pytest.raises(LabError):
        load_as_it_stands("a: [")
