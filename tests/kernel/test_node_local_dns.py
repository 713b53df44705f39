"""NodeLocal DNSCache in a real kernel: its rules come out as they went in, and it takes packets."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from labkit import scenario
from labkit.kernel.text import iptables_save
from tests.kernel.real import Real
from tests.kernel.test_proxy_tables import in_new_namespace, tables

NODE = "node/node-1"


@pytest.fixture(scope="module")
def lab():
    return scenario("shop", node_local_dns=True)


@pytest.mark.needs("root", "iptables")
@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_a_real_iptables_saves_what_the_lab_prints(lab, variant):
    text = iptables_save(lab.network.namespaces[NODE])
    command = f"iptables-{variant}-restore && iptables-{variant}-save"
    assert tables(in_new_namespace(command, text)) == tables(text)


def without_dummies(network):
    """A bridge that is down in place of each dummy device, which not every kernel has."""
    spaces = {
        name: replace(
            netns,
            links=tuple(
                replace(k, kind="bridge", index=90) if k.kind == "dummy" else k for k in netns.links
            ),
        )
        for name, netns in network.namespaces.items()
    }
    return replace(network, namespaces=spaces)


@pytest.fixture(scope="module")
def real(lab):
    with Real(without_dummies(lab.network)) as real:
        yield real


ASKED = ("10.96.0.10", "169.254.20.10")


@pytest.mark.parametrize("address", ASKED)
def test_a_pods_question_ends_on_its_own_node_without_an_entry(lab, real, address):
    pod = f"pod/default/{lab.get('pod/frontend').name}"
    assert real.ask("UDP", pod, address, 53)[:2] == ("answered", NODE)
    assert "dport=53" not in real.inside(NODE, "cat", "/proc/net/nf_conntrack")
    asked = lab.connect("pod/frontend", f"{address}:53", protocol="UDP")
    assert (asked.outcome, asked.request.end) == ("answered", NODE)
    assert not lab.conntrack.get(NODE)


def test_the_cache_reaches_coredns_through_its_own_service(lab, real):
    upstream = lab.get("svc/kube-system/kube-dns-upstream").spec.cluster_ip
    word, end, *_ = real.ask("TCP", NODE, upstream, 53)
    assert (word, end.startswith("pod/kube-system/coredns-")) == ("answered", True)
