"""What a diff prints: long changes are cut, alike ones are said once, values stay whole."""

from __future__ import annotations

import pytest

from labkit import diff, scenario
from labkit.diff import MOST_ROWS

MODES = ("iptables", "nftables", "ipvs", "ebpf")


@pytest.fixture(scope="module")
def lab():
    return scenario("shop")


@pytest.mark.parametrize("mode", MODES[1:])
def test_another_mode_is_told_in_one_screen_or_two(lab, mode):
    found = diff(lab, lab.fork(proxy_mode=mode))
    assert len(str(found).splitlines()) < 70
    assert max(len(t.only_a) + len(t.only_b) for t in found.tables) > 20


def test_of_a_config_map_only_the_line_that_differs_is_shown(lab):
    text = str(diff(lab, lab.fork(proxy_mode="ipvs")))
    assert ".data.config.conf: mode: iptables -> mode: ipvs" in text


def test_the_same_change_on_several_machines_stands_once(lab):
    text = str(diff(lab, lab.fork(proxy_mode="nftables")))
    assert "  node/node-1, node/node-2, node/node-3, iptables-save" in text.splitlines()


def test_a_long_table_shows_its_first_rows_and_how_many_are_left(lab):
    found = diff(lab, lab.fork(proxy_mode="ipvs"))
    table = next(t for t in found.tables if t.command == "ipset save")
    lines = str(found).splitlines()
    start = lines.index("  node/node-1, ipset save")
    assert lines[start + 1] == f"    + {table.only_b[0]}"
    assert lines[start + MOST_ROWS + 1] == f"    + and {len(table.only_b) - MOST_ROWS} more"


def test_virtual_servers_and_maps_are_tables_too(lab):
    commands = {t.command for t in diff(lab, lab.fork(proxy_mode="ipvs")).tables}
    assert "ipvsadm -Ln" in commands
    commands = {t.command for t in diff(lab, lab.fork(proxy_mode="ebpf")).tables}
    assert "cilium-dbg service list" in commands


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_and_itself_do_not_differ(lab, mode):
    fork = lab.fork(proxy_mode=mode)
    assert not diff(fork, fork.fork(proxy_mode=mode))
