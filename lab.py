"""The one command of this repository, in plain Python: it needs nothing but Python 3.11.

    python lab.py lab        set up what is missing, then open JupyterLab at the first lesson
    python lab.py test       set up what is missing, then lint, types, all tests, strict nbval
    python lab.py setup      set up only
    python lab.py bench      the measurements of speed and memory
    python lab.py notebooks  save, normalise and check the lessons (for authors)
    python lab.py lock       bring requirements.lock in line with pyproject.toml (for authors)

Words after the verb go to the program behind it: `python lab.py lab --no-browser`.
`make VERB ARGS="..."` is the same. LABKIT_VENV names another place for `.venv`.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said before what an old Python cannot read
    sys.exit(
        "lab: this is Python {}.{}, and the lab needs 3.11 or newer; name one with "
        "`make PYTHON=python3.12 ...` or run `python3.12 lab.py ...`".format(*sys.version_info)
    )

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("LABKIT_VENV", ROOT / ".venv")).absolute()
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
STAMP = VENV / "labkit.stamp"
FIRST_LESSON = "notebooks/L00-follow-one-packet.ipynb"
NOTICES = "@jupyterlab/apputils-extension:notification"
Command = Sequence[str | Path]
UNREACHABLE = re.compile(
    "resol|connect|timed out|unreachable|dns error|No matching distribution|proxy", re.IGNORECASE
)


class SetupError(Exception):
    """Why the lab cannot be set up here, and what to do about it, in one line."""


# --- setting up ---------------------------------------------------------------------------


def fingerprint() -> str:
    """What the set-up was made from; another lock, project file or place asks for another."""
    made_from = LOCK.read_bytes() + PROJECT.read_bytes() + str(ROOT).encode()
    return hashlib.sha256(made_from).hexdigest()


def is_set_up() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == fingerprint()


def setup() -> None:
    """Make `.venv` hold what `requirements.lock` says, and labkit itself, editable.

    Raises:
        SetupError: no venv can be made here, or the packages cannot be had.
    """
    if is_set_up():
        return
    make_venv()
    installers = (with_uv, with_pip)
    for installer in installers:
        fault = installer()
        if not fault:
            keep_jupyterlab_at_home()
            STAMP.write_text(fingerprint())
            return
    raise SetupError(download_fault(fault))


def keep_jupyterlab_at_home() -> None:
    """No pop-up that asks about news over the first cell, no look for updates; in `.venv` only."""
    defaults = {NOTICES: {"fetchNews": "false", "checkForUpdates": False}}
    path = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(defaults))


def make_venv() -> None:
    """A usable `.venv`: what stands there is kept if it works, and replaced if not."""
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    if PYTHON.exists() and not run([PYTHON, "-c", probe]).returncode:
        return
    if importlib.util.find_spec("ensurepip") is None:  # Debian ships it apart
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise SetupError(
            f"this Python cannot make virtual environments; on Debian and Ubuntu: "
            f"apt-get install {package}"
        )
    say(f"making {VENV}")
    try:
        venv.create(VENV, with_pip=True, clear=True, symlinks=os.name != "nt")
    except (OSError, subprocess.CalledProcessError) as fault:
        raise SetupError(f"{VENV} cannot be made ({fault}); is the folder writable?") from fault


def with_uv() -> str:
    """Install with uv: seconds in place of minutes. The text of the fault, empty if none."""
    say("installing the packages of requirements.lock (about a minute the first time)")
    pinned = re.search(r"^uv==(?:.*\\\n)*.*\n", LOCK.read_text(), re.MULTILINE)
    assert pinned, "requirements.lock pins uv"
    with tempfile.TemporaryDirectory() as folder:
        only_uv = Path(folder, "uv.lock")
        only_uv.write_text(pinned[0])
        fault = fault_of([*pip_install(), "--require-hashes", "-r", only_uv])
    # Without compiling now, the first start of JupyterLab takes 11 s; and a school's or firm's
    # own certificates are known to the system only.
    how = ["--quiet", "--compile-bytecode", "--system-certs", "--python", str(PYTHON)]
    return fault or install([PYTHON, "-m", "uv", "pip", "install", *how])


def with_pip() -> str:
    """Install with pip alone: for platforms without a uv wheel, and for pip's own settings."""
    say("uv cannot do it here; trying plain pip (some minutes)")
    return install(pip_install())


def install(tool: Command) -> str:
    locked = fault_of([*tool, "--require-hashes", "-r", LOCK])
    # The lock also pins what builds labkit, so nothing is fetched behind its back.
    return locked or fault_of([*tool, "--no-deps", "--no-build-isolation", "--editable", ROOT])


def pip_install() -> Command:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1"]
    return [PYTHON, "-m", "pip", "install", *quiet]


def fault_of(command: Command) -> str:
    done = run(command)
    return (done.stderr or done.stdout or "no message") if done.returncode else ""


def download_fault(text: str) -> str:
    """One line for a failed installation, with the cure that fits."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = re.sub(r"^ERROR: ", "", lines[-1])
    if UNREACHABLE.search(text):
        return f"the package index cannot be reached; is this machine online? ({last})"
    return f"the packages of requirements.lock could not be installed: {last}"


# --- the verbs ----------------------------------------------------------------------------


def lab(words: list[str]) -> int:
    """JupyterLab at the first lesson, on loopback only, with the whole repository in sight."""
    start = FIRST_LESSON if (ROOT / FIRST_LESSON).exists() else "notebooks"
    server = ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={ROOT}"]
    server += ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # root in a container is the usual case
        server.append("--allow-root")
    return call("-m", "jupyterlab", *server, f"--LabApp.default_url=/lab/tree/{start}", *words)


def test(words: list[str]) -> int:
    """Lint, types and all tests; every part runs, whatever the others said."""
    notebooks = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb"))
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
    workers = ["-n", "2", "--dist", "loadfile"]  # tests/conftest.py says what stays together
    parts = {
        "ruff check": ["-m", "ruff", "check", "--quiet", "."],
        "ruff format": ["-m", "ruff", "format", "--quiet", "--check", "."],
        "mypy": ["-m", "mypy"],
        "pytest": ["-m", "pytest", *workers, *(words or ["tests", *nbval, *notebooks])],
    }
    failed = []
    for name, command in parts.items():
        say(name)
        if call(*command):
            failed.append(name)
    if failed:
        say("failed: " + ", ".join(failed))
    return int(bool(failed))


def bench(words: list[str]) -> int:
    return call("-m", "benchmarks", *words)


def notebooks(words: list[str]) -> int:
    lessons = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb"))
    return call("-m", "tests.author", *(words or lessons))


def lock(words: list[str], out: Path = LOCK) -> int:
    """Resolve again; versions already in `out` are kept where pyproject.toml allows them."""
    what = [PROJECT.name, "--group", "test", "--python-version", "3.11", "--output-file", str(out)]
    how = ["--universal", "--generate-hashes", "--no-annotate", "--system-certs", "--quiet"]
    header = ["--custom-compile-command", "make lock"]
    return call("-m", "uv", "pip", "compile", *what, *how, *header, *words)


VERBS = {
    "lab": lab,
    "test": test,
    "setup": lambda _: 0,
    "bench": bench,
    "notebooks": notebooks,
    "lock": lock,
}


# --- small things -------------------------------------------------------------------------


def run(command: Command) -> subprocess.CompletedProcess[str]:
    # Quiet about names only root would use, and without a prompt for a password.
    env = os.environ | {"PIP_ROOT_USER_ACTION": "ignore", "UV_HTTP_RETRIES": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, check=False)


def call(*words: str | Path) -> int:
    """Run the environment's Python where the learner can see it; the exit code."""
    path = os.pathsep.join((str(PYTHON.parent), os.environ.get("PATH", "")))
    env = os.environ | {"PATH": path, "VIRTUAL_ENV": str(VENV), "JUPYTER_PREFER_ENV_PATH": "1"}
    return subprocess.call([PYTHON, *words], cwd=ROOT, env=env)


def say(line: str) -> None:
    print(f"lab: {line}", flush=True)


def main(words: list[str]) -> int:
    verb, *rest = words or ["lab"]
    if verb not in VERBS:
        print(__doc__)
        return 2
    try:
        setup()
        return VERBS[verb](rest)
    except SetupError as fault:
        sys.exit(f"lab: {fault}")
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
