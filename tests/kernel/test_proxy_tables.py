"""kube-proxy's tables go into a real kernel and come out as the lab prints them."""

from __future__ import annotations

import subprocess

import pytest

from tests.golden.texts import HERE

SAVES = sorted(p.name for p in HERE.glob("iptables-save-*.txt"))


def in_new_namespace(command: str, text: str) -> str:
    """What the shell command prints in a network namespace of its own."""
    words = ["unshare", "--net", "sh", "-c", command]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tables(text: str) -> dict[str, list[str]]:
    """The rows of each table; iptables-nft and -legacy print the tables in different orders."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            rows = found.setdefault(line, [])
        elif line[:1] in (":", "-"):
            rows.append(line)
    return found


@pytest.mark.needs("root", "iptables")
@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize("name", SAVES)
def test_a_real_iptables_saves_what_the_lab_prints(name, variant):
    text = (HERE / name).read_text(encoding="utf-8")
    command = f"iptables-{variant}-restore && iptables-{variant}-save"
    assert tables(in_new_namespace(command, text)) == tables(text)
