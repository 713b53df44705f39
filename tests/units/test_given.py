"""Values of a wrong kind, given to public calls: one line, place, fault, cure; nothing changes."""

from __future__ import annotations

from math import inf, nan

import pytest

from labkit import check, diff, kubectl, on, scenario, views
from labkit.errors import LabError
from labkit.given import checked
from labkit.lessons.detective import open_case

FROM, TO = "pod/frontend", "svc/backend:80"
TEXT = "give text in quotes"
SECONDS = "give seconds from 0 to 1000000"
PORT = "give a port from 1 to 65535"
CLUSTER = 'give a Cluster, as scenario("shop") returns'
MADE = views.cost(10)

CALLS = {
    # what is asked: (call, the whole line)
    "a place that is nothing": (
        lambda lab: lab.trace(None, TO), f"trace: source is None; {TEXT}"),
    "a target that is a number": (
        lambda lab: lab.outcomes(FROM, 8080), f"outcomes: target is 8080; {TEXT}"),
    "a setting that a connection lacks": (
        lambda lab: lab.trace(FROM, TO, bytes=3),
        "connect: got an unexpected keyword argument 'bytes'; it takes state, network, source,"
        " target, protocol, sport, namespace, conntrack, dice, now, size"),
    "a port of the client that there is not": (
        lambda lab: lab.trace(FROM, TO, sport=70000), f"connect: sport is 70000; {PORT} or None"),
    "a size in words": (
        lambda lab: lab.trace(FROM, TO, size="x"), "connect: size is 'x'; give a whole number"),
    "a library that there is not": (
        lambda lab: lab.resolve(FROM, "backend", resolver="bind"),
        "resolve: resolver is 'bind'; give one of glibc, musl, busybox-nslookup or None"),
    "a server by its name": (
        lambda lab: lab.resolve(FROM, "backend", server="kube-dns"),
        "server kube-dns: no address; give one such as 10.96.0.10"),
    "a name that is nothing": (
        lambda lab: lab.resolve(FROM, None), f"resolve: name is None; {TEXT}"),
    "a wait that ends nowhere": (
        lambda lab: lab.wait(inf), f"wait: seconds is inf; {SECONDS}"),
    "a wait back in time": (
        lambda lab: lab.wait(-1), f"wait: seconds is -1; {SECONDS}"),
    "a wait in words": (
        lambda lab: lab.wait("5"), f"wait: seconds is '5'; {SECONDS}"),
    "a port that there is not": (
        lambda lab: lab.reachability(70000), f"reachability: port is 70000; {PORT}"),
    "a port in quotes": (
        lambda lab: lab.outside("80"), f"outside: port is '80'; {PORT}"),
    "a protocol in small letters": (
        lambda lab: lab.allowed(FROM, "pod/backend:8080", protocol="tcp"),
        "allowed: protocol is 'tcp'; give one of TCP, UDP, SCTP"),
    "a flow that is no pair": (
        lambda lab: lab.propose(FROM, "pod/backend:8080"),
        "propose: flows is ('pod/frontend', 'pod/backend:8080'); give a list, each pairs such as"
        ' ("pod/frontend", "pod/backend:8080")'),
    "a fault that is none": (
        lambda lab: lab.inject("x"),
        "inject: fault is 'x'; give a Fault, as a function of labkit.traffic.faults returns"),
    "a stretch without an end": (
        lambda lab: lab.timeline(FROM, TO, step=nan), f"timeline: step is nan; {SECONDS}"),
    "a delay of nobody": (
        lambda lab: lab.timeline(FROM, TO, delay={"node-9": 1}),
        "delay: there is no node `node-9`; there are node-1, node-2, node-3"),
    "a run without an end": (
        lambda lab: lab.load(FROM, TO, seconds=inf),
        "load: seconds is too large; give at most 100000000"),
    "a change that is no cluster": (
        lambda lab: lab.load(FROM, TO, after={3: None}),
        f"load: after is a dict; give a dict: a number -> {CLUSTER[5:]} or None"),
    "half a node": (
        lambda lab: scenario("shop", 1.5),
        "scenario: nodes is 1.5; give a number from 0 to 100 or text in quotes"),
    "fewer nodes than none": (
        lambda lab: type(lab).from_manifests((), -1),
        "from_manifests: nodes is -1; give a number from 0 to 100"),
    "no range of Services": (
        lambda lab: lab.fork(service_cidrs=()),
        "service_cidrs: there is none; give a range such as 10.96.0.0/12"),
    "a range of Services without room": (
        lambda lab: lab.fork(service_cidrs="10.96.0.0/31"),
        "service_cidrs: 10.96.0.0/31 has no room for the DNS; give a /28 or larger"),
    "a range of machines without room": (
        lambda lab: lab.fork(node_cidr="10.0.0.0/30"),
        "node_cidr: 10.0.0.0/30 is no IPv4 range of /24 or larger; give one"),
    "node ports from high to low": (
        lambda lab: lab.fork(node_port_range=(40000, 30000)),
        "node_port_range: 40000-30000 is no range; give two ports, lower first"),
    "a DNS at no address": (
        lambda lab: lab.fork(dns_ip="x"),
        "cluster option: 'x' does not appear to be an IPv4 or IPv6 address; see"
        " labkit.api.state.ClusterConfig"),
    "a domain of tags": (
        lambda lab: lab.fork(dns_domain="<b>"),
        "dns_domain: `<b>` is no valid name: a name has small letters, digits, `-` and `.`, and"
        " begins and ends with a letter or digit; try `b`"),
    "the path of a cluster": (
        views.path,
        "path: connection is a Cluster; give a Connection, as lab.trace(...) or"
        " lab.connect(...) returns"),
    "the rules of a text": (
        lambda lab: views.rules("shop", TO), f"rules: lab is 'shop'; {CLUSTER}"),
    "look-ups in words": (
        lambda lab: views.who_asks(lab, ["backend"]),
        "who_asks: found is ['backend']; give a list, each a Resolution, as lab.resolve(...)"
        " returns"),
    "no connections at all": (
        lambda lab: views.outcomes(lab, TO, connections=0),
        "outcomes: connections is 0; give a whole number from 1 to 1000000"),
    "more Services than the curves reach": (
        lambda lab: views.cost(10**5),
        "cost: services is 100000; give a number from 1 to 10000"),
    "a question that was not asked": (
        lambda lab: views.plugins(lab.fork().resolve(FROM, "backend"), 9),
        "plugins: there is no question 9; the look-up asked 2"),
    "counts in words": (
        lambda lab: views.placements(lab, "svc/frontend", ["two"]),
        "placements: counts is 'two'; give pods for each node, as \"2 1 0\""),
    "a setting that a timeline lacks": (
        lambda lab: lab.timeline(FROM, TO, late=3),
        "timeline: got an unexpected keyword argument 'late'; it takes history, source, target,"
        " last, delay, step, namespace"),
    "runs without counts": (
        lambda lab: views.histograms({"x": 5}),
        "histograms: runs is a dict; give a dict: text in quotes -> a dict: name -> number"),
    "a line that is nothing": (
        lambda lab: kubectl(lab, None), f"kubectl: line is None; {TEXT}"),
    "kubectl without a cluster": (
        lambda lab: kubectl("get pods", "x"), f"kubectl: lab is 'get pods'; {CLUSTER}"),
    "a command on nothing": (
        lambda lab: on(lab, None, "ip a"), f"on: place is None; {TEXT}"),
    "a difference to nothing": (
        lambda lab: diff(lab, None), f"diff: b is None; {CLUSTER}"),
    "an exercise by number": (
        lambda lab: check(5), f"check: id is 5; {TEXT}"),
    "half a case": (
        lambda lab: open_case(1.0), "open_case: number is 1.0; give a whole number"),
    "a choice of nothing": (
        lambda lab: views.choose("x", {}),
        "choose: there is no option; give at least one figure by its name"),
    "a look-up of nothing": (
        lambda lab: views.lookup(lab, [], [FROM]),
        "lookup: a name or a place is missing; give at least one of each"),
    "a run without a pod": (
        lambda lab: views.histograms({"x": {}}),
        "histograms: give at least one run, each with at least one pod"),
    "sliders with a hole": (
        lambda lab: views.sliders(["a", "b"], {(1, 1): MADE, (2, 2): MADE}),
        "sliders: no figure for (1, 2); give one for every combination"),
    "sliders without a label": (
        lambda lab: views.sliders(["a"], {(1, 1): MADE}),
        "sliders: give figures by one value for each of 1 labels"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "line"), CALLS.values(), ids=CALLS)
def test_it_is_refused_in_one_line_and_nothing_changes(call, line):
    lab = scenario("shop")
    before = lab.state, lab.conntrack, lab.names, lab.last
    with pytest.raises(LabError) as refused:
        call(lab)
    assert str(refused.value) == line
    assert (lab.state, lab.conntrack, lab.names, lab.last) == before


def test_a_long_value_is_cut_and_stays_on_its_line():
    with pytest.raises(LabError) as refused:
        scenario("shop").wait("1\n" * 100)
    assert str(refused.value).splitlines() == [
        f"wait: seconds is '{chr(92).join(['1', *['n1'] * 12])}{chr(92)}n...; {SECONDS}"
    ]


def test_an_unknown_annotation_is_left_to_the_call():
    def call(value: object, *, more: int | None = None) -> object:
        return value, more

    assert checked(call)("x", more=None) == ("x", None)
    with pytest.raises(LabError, match=r"call: more is 1\.5; give a whole number or None"):
        checked(call)("x", more=1.5)


@pytest.mark.usefixtures("a_new_learner")
def test_an_answer_without_the_nodes_of_the_shop_is_judged_all_the_same():
    assert check("L02-1", scenario("shop", 1)).standing == "NOT YET"
