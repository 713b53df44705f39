"""Every test of this folder needs a kernel of its own to build in."""

from __future__ import annotations

import pytest

NEEDS = pytest.mark.needs("root", "ip", "bridge", "iptables", "nft", "conntrack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "kernel" and item.path.parent.parent.name == "tests":
            item.add_marker(NEEDS)
