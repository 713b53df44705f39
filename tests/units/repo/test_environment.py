"""pyproject.toml, requirements.lock, environment.yml and Binder's copy say the same thing."""

from __future__ import annotations

import re
import shutil
import socket
import tomllib

import pytest
import rattler
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import lab
from tests.needs import ROOT

PYPI_NAME = {"matplotlib-base": "matplotlib"}
"""Packages whose lighter conda build has another name."""
NOT_FROM_PYPI = {"python", "pip"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def ranges(lines: list[str]) -> dict[str, SpecifierSet]:
    requirements = map(Requirement, lines)
    return {canonicalize_name(r.name): r.specifier for r in requirements}


def runtime() -> dict[str, SpecifierSet]:
    return ranges(project()["project"]["dependencies"])


def conda_lines() -> list[str]:
    return yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


def conda() -> dict[str, SpecifierSet]:
    specs = (rattler.MatchSpec(line, strict=True) for line in conda_lines())
    found = {spec.name.normalized: spec.version or "" for spec in specs}
    return {
        PYPI_NAME.get(name, name): SpecifierSet(version)
        for name, version in found.items()
        if name not in NOT_FROM_PYPI
    }


def pinned() -> dict[str, list[str]]:
    """Versions in the lock; more than one where platforms or Pythons differ."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^ ;\\]+)", lab.LOCK.read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def test_conda_and_pip_ask_for_the_same_ranges():
    assert conda() == runtime()


def test_conda_asks_for_a_python_that_the_project_supports():
    wanted = next(line for line in conda_lines() if line.startswith("python="))
    version = wanted.removeprefix("python=")
    assert SpecifierSet(project()["project"]["requires-python"]).contains(f"{version}.0")


@pytest.mark.parametrize("junk", ["jupyterlab>=4.6,<<5", "foo = = 1", "numpy =>1"])
def test_conda_specs_are_really_parsed(junk):
    with pytest.raises(Exception, match="unable to parse version spec"):
        rattler.MatchSpec(junk, strict=True)


def test_the_lock_pins_every_requirement_within_its_range():
    wanted = runtime() | ranges(project()["dependency-groups"]["test"])
    locked = pinned()
    outside = {
        name: (str(allowed), locked.get(name))
        for name, allowed in wanted.items()
        if name not in locked or not all(allowed.contains(v) for v in locked[name])
    }
    assert not outside


def test_every_pin_has_a_hash_and_no_pin_an_address():
    text = lab.LOCK.read_text()
    blocks = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(blocks) == sum(map(len, pinned().values()))
    assert not [block for block in blocks if "--hash=sha256:" not in block]
    assert "://" not in text


def test_the_lock_is_what_resolving_gives(tmp_path, capfd, monkeypatch):
    """Resolving onto a copy keeps its pins as preferences: equal until pyproject.toml moves."""
    if not index_answers():
        pytest.skip("needs a package index: this machine cannot reach pypi.org")
    copy = tmp_path / lab.LOCK.name
    shutil.copy(lab.LOCK, copy)
    assert lab.lock([], out=copy) == 0, capfd.readouterr().err
    assert body(copy.read_text()) == body(lab.LOCK.read_text()), "run `make lock`"


def index_answers() -> bool:
    try:
        socket.create_connection(("pypi.org", 443), timeout=5).close()
    except OSError:
        return False
    return True


def body(lock: str) -> list[str]:
    return [line for line in lock.splitlines() if not line.startswith("#")]


def test_binder_has_an_equal_copy_of_the_environment():
    assert (ROOT / "binder/environment.yml").read_text() == (ROOT / "environment.yml").read_text()


def test_the_citation_names_the_version_of_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == project()["project"]["version"]
    assert citation["license"] == project()["project"]["license"]


def test_the_changelog_describes_the_version_of_the_project():
    heading = rf"^## {re.escape(project()['project']['version'])}\b"
    assert re.search(heading, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
