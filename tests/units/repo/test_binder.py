"""Binder builds the image that we mean: repo2docker's own renderer says so, without Docker."""

from __future__ import annotations

import os
import subprocess

import pytest
from repo2docker.app import Repo2Docker

from tests.needs import ROOT


@pytest.fixture
def buildpack(monkeypatch):
    """What repo2docker chooses for this repository."""
    monkeypatch.chdir(ROOT)
    app = Repo2Docker()
    for make in app.buildpacks:
        pack = make(base_image=app.base_image)
        pack.platform = "linux/amd64"
        if pack.detect():
            return pack
    raise AssertionError("repo2docker knows no way to build this")


EXPECTED = {
    "the packages come from binder/environment.yml": (
        'env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"'
    ),
    "labkit is installed after them": "RUN ./binder/postBuild",
    "the start script is the entry point": 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"',
}


@pytest.mark.parametrize("line", EXPECTED.values(), ids=EXPECTED)
def test_the_dockerfile_holds(buildpack, line):
    assert line in buildpack.render({})


def test_the_image_is_a_conda_environment_with_our_python(buildpack):
    assert (type(buildpack).__name__, buildpack.python_version) == ("CondaBuildPack", "3.11")


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_are_executable_bash(name):
    script = ROOT / "binder" / name
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_starting_hands_over_to_the_server_without_news(tmp_path):
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    script = ROOT / "binder" / "start"
    done = subprocess.run([script, "echo", "served"], env=env, text=True, capture_output=True)
    assert done.stdout == "served\n"
    (notices,) = tmp_path.rglob("notification.jupyterlab-settings")
    assert '"fetchNews": "false"' in notices.read_text()


def test_building_installs_labkit_where_its_data_is_found():
    words = (ROOT / "binder" / "postBuild").read_text().split()
    assert "--editable" in words
    assert "--no-deps" in words
