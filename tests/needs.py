"""What some tests need of the machine, how to see that it is there, and what to install.

A test says `pytestmark = pytest.mark.needs("root", "iptables")`. Where a piece is missing it
is skipped with one line that names the cure; with LABKIT_MAY_NOT_SKIP set (as `.ci/run` does)
it fails with the same line, so that a green run there means that every test ran.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAY_NOT_SKIP = "LABKIT_MAY_NOT_SKIP"
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name, path=SYSTEM_PATH) is not None


def may_make_namespaces() -> bool:
    """Root in name is not enough: a container's root often may not."""
    unshare = shutil.which("unshare", path=SYSTEM_PATH)
    if unshare is None or os.geteuid() != 0:
        return False
    done = subprocess.run([unshare, "--net", "true"], capture_output=True, check=False)
    return done.returncode == 0


def chromium() -> Path | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = (shutil.which(name, path=SYSTEM_PATH) for name in names)
    return next((Path(path) for path in found if path), None)


def apt(package: str) -> str:
    return f"apt-get install {package}"


PIECES: dict[str, tuple[Callable[[], bool], str]] = {
    "root": (
        may_make_namespaces,
        "a root that may make network namespaces: sudo, or a container with CAP_SYS_ADMIN",
    ),
    "chromium": (lambda: chromium() is not None, apt("chromium")),
    "iptables": (program("iptables-save"), apt("iptables")),
    "ip": (program("ip"), apt("iproute2")),
    "bridge": (program("bridge"), apt("iproute2")),
    "nft": (program("nft"), apt("nftables")),
    "conntrack": (program("conntrack"), apt("conntrack")),
    "ipset": (program("ipset"), apt("ipset")),
    "ethtool": (program("ethtool"), apt("ethtool")),
    "tcpdump": (program("tcpdump"), apt("tcpdump")),
    "dig": (program("dig"), apt("dnsutils")),
    "make": (program("make"), apt("make")),
}


@cache
def missing(piece: str) -> str | None:
    """None if the piece is there, else one line: what is missing and how to get it."""
    present, cure = PIECES[piece]
    return None if present() else f"needs {piece}: {cure}"


def first_missing(pieces: tuple[str, ...]) -> str | None:
    return next(filter(None, map(missing, pieces)), None)
