"""lab.py: one line and a cure when it cannot go on; nothing done twice; all parts of a test run."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lab
from tests.needs import ROOT

SOURCE = (ROOT / "lab.py").read_text()


@pytest.fixture
def no_environment(monkeypatch, tmp_path):
    """lab.py with an environment still to be made, in a folder of its own."""
    venv = tmp_path / "venv"
    monkeypatch.setattr(lab, "VENV", venv)
    monkeypatch.setattr(lab, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(lab, "STAMP", venv / "labkit.stamp")
    return venv


@pytest.fixture
def calls(monkeypatch):
    """What lab.py would run in the environment; every call succeeds."""
    made: list[list[str]] = []
    monkeypatch.setattr(lab, "setup", lambda: None)
    monkeypatch.setattr(lab, "call", lambda *words: made.append([str(w) for w in words]) or 0)
    return made


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


# --- what a machine may lack -----------------------------------------------------------------


def test_an_old_python_is_told_so_in_one_line():
    pretend = "import sys, runpy; sys.version_info = (3, 9, 2, 'final', 0);"
    run_lab = "sys.argv = ['lab.py', 'setup']; runpy.run_path('lab.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", pretend + run_lab], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("lab: this is Python 3.9, and the lab needs 3.11 or newer")
    assert done.stderr.count("\n") == 1


def test_an_old_python_can_read_the_file_up_to_that_line():
    ast.parse(SOURCE, feature_version=(3, 6))
    version_check = SOURCE.index("if sys.version_info")
    assert re.findall(r"^(?:import|from) .*", SOURCE[:version_check], re.MULTILINE) == [
        "import sys"
    ]


def test_a_debian_without_venv_is_told_the_package(no_environment, monkeypatch):
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"^lab: .*apt-get install python3\.\d+-venv$"):
        lab.main(["setup"])
    assert not no_environment.exists()


def test_no_network_is_said_in_one_line_and_leaves_no_stamp(tmp_path):
    nowhere = "http://127.0.0.1:9/simple"
    env = {
        "PATH": os.environ["PATH"],
        "LABKIT_VENV": str(tmp_path / "venv"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": nowhere,
        "UV_INDEX_URL": nowhere,
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "lab.py", "setup"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "lab: the package index cannot be reached; is this machine online?"
    )
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("labkit.stamp"))


def test_a_fault_that_is_not_the_network_keeps_its_own_words():
    fault = "Collecting x\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n"
    assert lab.download_fault(fault) == (
        "the packages of requirements.lock could not be installed: "
        "THESE PACKAGES DO NOT MATCH THE HASHES"
    )


def test_plain_pip_is_tried_where_uv_fails(no_environment, monkeypatch):
    no_environment.mkdir()
    tried = []
    monkeypatch.setattr(lab, "make_venv", lambda: None)
    monkeypatch.setattr(lab, "with_uv", lambda: tried.append("uv") or "no wheel")
    monkeypatch.setattr(lab, "with_pip", lambda: tried.append("pip") or "")
    lab.setup()
    assert tried == ["uv", "pip"]
    assert lab.STAMP.exists()


def test_jupyterlab_is_set_to_ask_nobody_about_news(no_environment):
    lab.keep_jupyterlab_at_home()
    (overrides,) = no_environment.glob("share/jupyter/lab/settings/overrides.json")
    (settings,) = json.loads(overrides.read_text()).values()
    assert settings == {"fetchNews": "false", "checkForUpdates": False}


# --- nothing is done twice -------------------------------------------------------------------


@pytest.fixture
def set_up(no_environment):
    lab.PYTHON.parent.mkdir(parents=True)
    lab.PYTHON.touch()
    lab.STAMP.write_text(lab.fingerprint())


def test_a_second_run_does_nothing(set_up, monkeypatch):
    monkeypatch.setattr(lab, "run", lambda command: pytest.fail(f"ran {command}"))
    lab.setup()


@pytest.mark.parametrize("moved", ["LOCK", "PROJECT"])
def test_another_lock_or_project_file_asks_for_another_setup(set_up, monkeypatch, tmp_path, moved):
    changed = tmp_path / "changed"
    changed.write_text("something else")
    monkeypatch.setattr(lab, moved, changed)
    assert not lab.is_set_up()


def test_a_folder_that_was_moved_asks_for_another_setup(set_up, monkeypatch):
    monkeypatch.setattr(lab, "ROOT", Path("/elsewhere"))
    assert not lab.is_set_up()


# --- the verbs -------------------------------------------------------------------------------


def test_make_knows_every_verb():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert set(targets[1].split()) == set(lab.VERBS)


def test_the_usage_names_every_verb():
    assert set(re.findall(r"python lab\.py (\w+)  ", lab.__doc__)) == set(lab.VERBS)


def test_an_unknown_verb_gets_the_usage(capsys):
    assert lab.main(["lap"]) == 2
    assert capsys.readouterr().out.startswith(lab.__doc__)


def test_the_lab_opens_the_first_lesson_on_loopback_only(calls):
    assert lab.main([]) == 0
    (words,) = calls
    assert f"--LabApp.default_url=/lab/tree/{lab.FIRST_LESSON}" in words
    assert "--ServerApp.ip=127.0.0.1" in words
    assert f"--ServerApp.root_dir={ROOT}" in words


def test_words_after_the_verb_reach_the_program_behind_it(calls):
    lab.main(["lab", "--no-browser"])
    assert calls[0][-1] == "--no-browser"


def test_tests_are_lint_types_tests_and_every_notebook(calls):
    assert lab.main(["test"]) == 0
    assert [words[1] for words in calls] == ["ruff", "ruff", "mypy", "pytest"]
    assert "--nbval" in calls[-1]
    stored = {str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb")}
    assert stored <= set(calls[-1])


def test_a_part_that_fails_stops_no_other_part_and_is_named(calls, monkeypatch, capsys):
    succeeds = lab.call
    monkeypatch.setattr(lab, "call", lambda *words: succeeds(*words) or int("mypy" in words))
    assert lab.main(["test"]) == 1
    assert len(calls) == 4
    assert last_line(capsys.readouterr().out) == "lab: failed: mypy"
