"""The comparison has teeth: models that are wrong on purpose are found out.

The kernel holds the right rules and is asked once; each wrong model then has to explain what
was seen, and at least one of its answers must not fit.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from ipaddress import ip_network

import pytest
from msgspec.structs import replace

from labkit.kernel import netfilter as nf
from tests.kernel.clusters import Cluster, deployment, network_of, service
from tests.kernel.edits import each_rule, links, rules, sets, sysctl, together
from tests.kernel.model import Flow, bearable, complaints, expected, surprise
from tests.kernel.real import Real

CONNECTIONS = 150
BRIDGE_NF = "net.bridge.bridge-nf-call-iptables"


def cluster(mode: str) -> Cluster:
    return Cluster.from_manifests(
        [
            deployment("three", 3, "8080/TCP"),
            deployment("one", 1, "8080/TCP"),
            service("three", "three", 80, 8080, type="NodePort"),
            service("one", "one", 80, 8080, type="NodePort"),
            service("local", "one", 80, 8080, type="NodePort", externalTrafficPolicy="Local"),
            service("empty", "nobody", 80, 8080, type="NodePort"),
        ],
        nodes=2,
        proxy_mode=mode,
    )


@cache
def observed(mode):
    """The correct network, and what really happened to every question."""
    lab = cluster(mode)
    network = network_of(lab)
    questions = list(asked_of(lab))
    with Real(network) as real:
        return network, {flow: seen_of(real, network, flow) for flow in questions}


def asked_of(lab):
    pods = [f"pod/default/{pod.name}" for pod in lab.list("pods")]
    for svc in lab.list("services"):
        if svc.name == "kubernetes":
            continue
        for start in (*pods, "node/node-1"):
            yield Flow(start, svc.spec.cluster_ip, 80)
        yield Flow(pods[0], svc.spec.cluster_ip, 81)
        yield Flow(pods[0], "10.244.1.1", svc.spec.ports[0].node_port)
        for start in (pods[0], "outside"):
            for node in ("192.168.7.11", "192.168.7.12"):
                yield Flow(start, node, svc.spec.ports[0].node_port)


def seen_of(real, network, flow) -> Counter:
    want = expected(network, flow)
    many = CONNECTIONS if len(want) > 1 else 3
    times = many if ("timed out",) not in want else 1
    return Counter(
        real.ask(flow.protocol, flow.start, flow.address, flow.port) for _ in range(times)
    )


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_the_right_model_explains_everything(mode):
    network, found = observed(mode)
    assert disagreements(network, found) == []


def disagreements(network, found) -> list[str]:
    """What contradicts the model, question by question; and odds that are off in all together."""
    wanted = {flow: expected(network, flow) for flow in found}
    wrong = [
        f"{flow}: {line}" for flow, got in found.items() for line in complaints(wanted[flow], got)
    ]
    if wrong:
        return wrong
    far = sum(surprise(wanted[flow], got) for flow, got in found.items())
    freedom = sum(len(want) - 1 for want in wanted.values())
    return [f"all odds together: G = {far:.1f}"] if far > bearable(freedom) else []


# --- the wrong models ----------------------------------------------------------------------


def says(rule: nf.Rule, words: str) -> bool:
    return any(isinstance(m, nf.Comment) and words in m.text for m in rule.matches)


def jumps(rule: nf.Rule, chain: str) -> bool:
    return isinstance(rule.target, nf.Jump) and rule.target.chain == chain


def equal_chances(table, chain, found):
    """The classic: 1/n for every endpoint, the last one gets all the rest."""
    most = max(
        (m.one_in for r in found for m in r.matches if isinstance(m, nf.Statistic)), default=0
    )
    return tuple(
        replace(
            rule,
            matches=tuple(
                nf.Statistic(most) if isinstance(m, nf.Statistic) else m for m in rule.matches
            ),
        )
        for rule in found
    )


def no_hairpin_mark(chain, rule):
    return None if chain.startswith("KUBE-SEP-") and jumps(rule, "KUBE-MARK-MASQ") else rule


def no_external_mark(chain, rule):
    return None if chain.startswith("KUBE-EXT-") and jumps(rule, "KUBE-MARK-MASQ") else rule


def drop_for_reject(chain, rule):
    return replace(rule, target=nf.Verdict("DROP")) if isinstance(rule.target, nf.Reject) else rule


def local_without_drop(chain, rule):
    return None if says(rule, "has no local endpoints") else rule


def always_masqueraded(chain, rule):
    if chain.startswith("KUBE-SVC-") and jumps(rule, "KUBE-MARK-MASQ"):
        kept = tuple(m for m in rule.matches if not isinstance(m, nf.Source))
        return replace(rule, matches=kept)
    return rule


def target_port_is_port(chain, rule):
    if isinstance(rule.target, nf.Dnat) and rule.target.port == 8080:
        return replace(rule, target=replace(rule.target, port=80))
    return rule


def pods_are_elsewhere(chain, rule):
    """flannel takes the other nodes' pods for the outside world."""
    pods = ip_network("10.244.0.0/16")
    if not chain.startswith("FLANNEL"):
        return rule
    return replace(
        rule,
        matches=tuple(
            replace(m, net=ip_network("10.99.0.0/16"))
            if isinstance(m, nf.Source | nf.Destination) and m.net == pods
            else m
            for m in rule.matches
        ),
    )


# --- the same and more in the words of nft ---------------------------------------------------


def one_too_many(chain, rule):
    """A numgen with one more side: the first endpoint is drawn twice as often as the others."""
    if isinstance(rule.target, nf.RandomDnat):
        return replace(rule, target=nf.RandomDnat((*rule.target.ends, rule.target.ends[0])))
    return rule


def one_forgotten(chain, rule):
    if isinstance(rule.target, nf.RandomDnat):
        return replace(rule, target=nf.RandomDnat(rule.target.ends[:-1]))
    return rule


def no_hairpin_set(chain, rule):
    asks = any(isinstance(m, nf.Lookup) and m.name == "hairpin-connections" for m in rule.matches)
    return None if asks else rule


def no_external_mark_in_nft(chain, rule):
    marks = chain.startswith("external-") and isinstance(rule.target, nf.SetMark)
    return None if marks else rule


def always_masqueraded_in_nft(chain, rule):
    if chain == "services" and says(rule, "masquerade clusterIP traffic"):
        kept = tuple(m for m in rule.matches if not isinstance(m, nf.Source))
        return replace(rule, matches=kept)
    return rule


def lets_undefined_ports_pass(chain, rule):
    return None if chain == "cluster-ips-check" else rule


def node_ports_everywhere(chain, rule):
    kept = tuple(
        m for m in rule.matches if not (isinstance(m, nf.Lookup) and m.name == "nodeport-ips")
    )
    return replace(rule, matches=kept)


def target_port_in_nft(chain, rule):
    if isinstance(rule.target, nf.RandomDnat):
        ends = tuple(replace(end, port=80) for end in rule.target.ends)
        return replace(rule, target=nf.RandomDnat(ends))
    return target_port_is_port(chain, rule)


def without_drops(found: nf.NftSet) -> nf.NftSet:
    """A map that forgot its drops: Local without a pod on the node."""
    kept = {k: e for k, e in found.elements.items() if e.target != nf.Verdict("DROP")}
    return replace(found, elements=kept)


WRONG_NFT = {
    "the first endpoint is drawn twice": each_rule("node/", one_too_many),
    "the last endpoint is forgotten": each_rule("node/", one_forgotten),
    "no set of pods that reach themselves": each_rule("node/", no_hairpin_set),
    "a NodePort keeps the client's address": each_rule("node/", no_external_mark_in_nft),
    "silence in place of a refusal": each_rule("node/", drop_for_reject),
    "Local forgets to drop": sets("node/", without_drops),
    "a ClusterIP always masquerades": each_rule("node/", always_masqueraded_in_nft),
    "the target port is the Service's port": each_rule("node/", target_port_in_nft),
    "a port that no Service has passes": each_rule("node/", lets_undefined_ports_pass),
    "node ports on every address": each_rule("node/", node_ports_everywhere),
}
WRONG = {
    "every endpoint gets 1/n": rules("node/", equal_chances),
    "no mark for a pod that reaches itself": each_rule("node/", no_hairpin_mark),
    "a NodePort keeps the client's address": each_rule("node/", no_external_mark),
    "silence in place of a refusal": each_rule("node/", drop_for_reject),
    "Local forgets to drop": each_rule("node/", local_without_drop),
    "a ClusterIP always masquerades": each_rule("node/", always_masqueraded),
    "the target port is the Service's port": each_rule("node/", target_port_is_port),
    "flannel masquerades nothing of its own": each_rule("node/", pods_are_elsewhere),
    "bridges hide their traffic": sysctl("node/", BRIDGE_NF, 0),
    "bridges send nothing back": links("node/", lambda link: link.hairpin, hairpin=False),
    "nodes do not forward": sysctl("node/", "net.ipv4.ip_forward", 0),
}


CASES = [("iptables", name, edit) for name, edit in WRONG.items()]
CASES += [("nftables", name, edit) for name, edit in WRONG_NFT.items()]


@pytest.mark.parametrize(("mode", "name", "edit"), CASES, ids=[f"{m}: {n}" for m, n, _ in CASES])
def test_a_wrong_model_is_noticed(mode, name, edit):
    network, found = observed(mode)
    assert disagreements(together(edit)(network), found)
