"""Edits of the ConfigMap coredns, each with what a pod then sees.

Source: the READMEs of CoreDNS's plugins (kubernetes, cache, forward, hosts, rewrite, autopath,
loop, ready, reload, bind, prometheus) and of its Corefile (coredns.io/manual/configuration).
"""

from __future__ import annotations

import pytest

from labkit import kubectl, scenario

HEADLESS = """
apiVersion: v1
kind: Service
metadata: {name: ring}
spec: {clusterIP: None, selector: {app: backend}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""
D = "default.svc.cluster.local."
BACKEND, EMPTY, RING = f"backend.{D}", f"empty.{D}", f"ring.{D}"
OUT, OTHER, IP = "example.com.", "example.org.", "203.0.113.9"
CACHE = """cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }"""
FORWARD = """forward . /etc/resolv.conf {
       max_concurrent 1000
    }"""
FALL = "       fallthrough in-addr.arpa ip6.arpa\n"
TURNED = f""".:53 {{
    loadbalance
    loop
    {CACHE}
    {FORWARD}
    ready
    health
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
       ttl 30
    }}
}}
"""
HOSTS = """cluster.local:53 {
    hosts {
        192.0.2.9 backend.default.svc.cluster.local
    }
}
"""
NOBODY = "192.168.7.99"  # an address of the nodes' network that no machine has


def instead(old: str, new: str):
    """The edit that puts `new` in the place of `old`, which is there."""

    def edit(corefile: str) -> str:
        assert old in corefile
        return corefile.replace(old, new)

    return edit


def first(*lines: str):
    """The edit that adds lines at the head of the server block."""
    return instead(".:53 {\n", "\n".join([".:53 {", *lines, ""]))


def block(text: str):
    """The edit that adds a server block at the end."""
    return lambda corefile: corefile + text


EDITS = {
    # what it shows: (edit, {name and type: what is seen}); without a type it is A
    "nothing changed": (lambda c: c, {BACKEND: "10.96.1.2 ttl 30", OUT: f"{IP} ttl 30"}),
    # kubernetes
    "ttl says how long an answer holds": (
        instead("ttl 30", "ttl 7"),
        {BACKEND: "10.96.1.2 ttl 7", OUT: f"{IP} ttl 30"},
    ),
    "the cache's limit cuts a longer ttl": (
        instead("ttl 30", "ttl 60"),
        {BACKEND: "10.96.1.2 ttl 30"},
    ),
    "without a ttl it is five seconds": (
        instead("       ttl 30\n", ""),
        {BACKEND: "10.96.1.2 ttl 5"},
    ),
    "pods insecure believes any address": (
        lambda c: c,
        {"192-0-2-1.default.pod.cluster.local.": "192.0.2.1 ttl 30"},
    ),
    "pods verified asks for a pod": (
        instead("pods insecure", "pods verified"),
        {
            "192-0-2-1.default.pod.cluster.local.": "NXDOMAIN",
            "10-244-2-2.default.pod.cluster.local.": "10.244.2.2 ttl 30",
        },
    ),
    "pods disabled knows no pod": (
        instead("pods insecure", "pods disabled"),
        {"10-244-2-2.default.pod.cluster.local.": "NXDOMAIN"},
    ),
    "namespaces hides the others": (
        instead("       ttl 30", "       ttl 30\n       namespaces default kube-system"),
        {"payments.pay.svc.cluster.local.": "NXDOMAIN", BACKEND: "10.96.1.2 ttl 30"},
    ),
    "noendpoints leaves headless Services without addresses": (
        instead("       ttl 30", "       ttl 30\n       noendpoints"),
        {RING: "NXDOMAIN", BACKEND: "10.96.1.2 ttl 30"},
    ),
    "a Service without endpoints has a name": (lambda c: c, {EMPTY: "10.96.1.6 ttl 30"}),
    "unless empty ones are ignored": (
        instead("       ttl 30", "       ttl 30\n       ignore empty_service"),
        {EMPTY: "NXDOMAIN"},
    ),
    "another zone is another cluster domain": (
        instead("kubernetes cluster.local", "kubernetes shop.local"),
        {BACKEND: "NXDOMAIN by forward", "backend.default.svc.shop.local.": "10.96.1.2 ttl 30"},
    ),
    "reverse names fall through": (
        lambda c: c,
        {"1.2.0.192.in-addr.arpa. PTR": "NXDOMAIN by forward"},
    ),
    "without fallthrough they end here": (
        instead(FALL, ""),
        {"1.2.0.192.in-addr.arpa. PTR": "NXDOMAIN by kubernetes"},
    ),
    # forward
    "a stub domain has a server of its own": (
        block(f"example.org:53 {{\n    errors\n    forward . {NOBODY}\n}}\n"),
        {OTHER: "SERVFAIL", OUT: f"{IP} ttl 30"},
    ),
    "a block without a cache leaves the ttl as it came": (
        block(f"example.org:53 {{\n    forward . {IP}\n}}\n"),
        {OTHER: f"{IP} ttl 300"},
    ),
    "a server that is silent means SERVFAIL": (
        instead("/etc/resolv.conf", NOBODY),
        {OUT: "SERVFAIL", BACKEND: "10.96.1.2 ttl 30"},
    ),
    "a second server takes over": (
        instead("/etc/resolv.conf", f"{NOBODY} {IP}"),
        {OUT: f"{IP} ttl 30"},
    ),
    "except leaves a domain without a server": (
        instead("max_concurrent 1000", "except example.org"),
        {OTHER: "SERVFAIL", OUT: f"{IP} ttl 30"},
    ),
    "no forward, no strangers": (
        instead(FORWARD, ""),
        {OUT: "SERVFAIL", BACKEND: "10.96.1.2 ttl 30"},
    ),
    # hosts and rewrite
    "hosts answers from its lines": (
        first("hosts {", "192.0.2.9 till.example", "fallthrough", "}"),
        {"till.example.": "192.0.2.9 ttl 30", BACKEND: "10.96.1.2 ttl 30"},
    ),
    "hosts without fallthrough keeps all others from being answered": (
        first("hosts {", "192.0.2.9 till.example", "}"),
        {"till.example.": "192.0.2.9 ttl 30", BACKEND: "SERVFAIL", OUT: "SERVFAIL"},
    ),
    "rewrite asks for another name and answers under the old one": (
        first(f"rewrite name api.shop.example {BACKEND}"),
        {"api.shop.example.": "10.96.1.2 ttl 30"},
    ),
    "rewrite of a suffix": (
        first("rewrite name suffix .shop.internal .default.svc.cluster.local answer auto"),
        {"backend.shop.internal.": "10.96.1.2 ttl 30", "db.shop.internal.": "10.96.1.3 ttl 30"},
    ),
    "rewrite of a ttl": (
        first("rewrite ttl exact example.com 12"),
        {OUT: f"{IP} ttl 12", OTHER: f"{IP} ttl 30"},
    ),
    # autopath
    "autopath walks the search list on the server": (
        lambda c: c.replace("insecure", "verified").replace("loop", "loop\n autopath @kubernetes"),
        {f"api.stripe.com.{D}": f"{IP} ttl 30"},
    ),
    "without it the client is told no": (lambda c: c, {f"api.stripe.com.{D}": "NXDOMAIN"}),
    # the file itself
    "the order of lines does not matter": (
        lambda c: TURNED,
        {BACKEND: "10.96.1.2 ttl 30", OUT: f"{IP} ttl 30"},
    ),
    "a snippet is put where it is imported": (
        lambda c: "(mine) {\n    cache 9\n}\n" + c.replace(CACHE, "import mine"),
        {OUT: f"{IP} ttl 9"},
    ),
    "the longest zone takes the question": (
        block(HOSTS),
        {BACKEND: "192.0.2.9 ttl 3600", OUT: f"{IP} ttl 30"},
    ),
    # doors
    "on another port nobody is asked": (
        instead(".:53", ".:5353"),
        {BACKEND: "refused", OUT: "refused"},
    ),
    "without ready the pods leave the Service": (instead("    ready\n", ""), {BACKEND: "refused"}),
    "without prometheus names go on": (
        instead("    prometheus :9153\n", ""),
        {BACKEND: "10.96.1.2 ttl 30"},
    ),
    # loop
    "a question that comes back ends the process": (
        instead("/etc/resolv.conf", "127.0.0.53"),
        {BACKEND: "refused", OUT: "refused"},
    ),
    "its own Service leads back as well": (
        instead("/etc/resolv.conf", "10.96.0.10"),
        {BACKEND: "refused", OUT: "refused"},
    ),
    "without loop it goes round": (
        lambda c: c.replace("/etc/resolv.conf", "127.0.0.53").replace("    loop\n", ""),
        {BACKEND: "10.96.1.2 ttl 30", OUT: "REFUSED"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shop():
    lab = scenario("shop")
    lab.apply(HEADLESS)
    return lab


def edited(lab, *edits):
    """A fork whose ConfigMap was changed, one apply for each edit of the default Corefile."""
    fork = lab.fork()
    default = lab.get("configmap/kube-system/coredns").data["Corefile"]
    for edit in edits:
        meta = {"name": "coredns", "namespace": "kube-system"}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
        fork.apply([{**manifest, "data": {"Corefile": edit(default)}}])
    return fork


def seen(lab, question):
    """What a pod gets: `10.96.1.2 ttl 30`, `NXDOMAIN`, `refused`."""
    name, _, type_ = question.partition(" ")
    asked = lab.resolve("pod/frontend", name, type_ or "A").questions[-1]
    answer = asked.sent.answer
    if answer is None:
        return asked.sent.fault
    found = [f"{r.data} ttl {r.ttl}" for r in answer.answer if r.type == (type_ or "A")]
    return ", ".join(found) or answer.rcode


@pytest.mark.parametrize(("edit", "wanted"), EDITS.values(), ids=EDITS)
def test_an_edit_changes_what_a_pod_sees(shop, edit, wanted):
    lab = edited(shop, edit)
    for question, says in wanted.items():
        told, _, by = says.partition(" by ")
        assert seen(lab, question) == told, question
        if by:
            reply = lab.resolve("pod/frontend", *question.split()).questions[-1].reply
            assert next(s.plugin for s in reversed(reply.stations) if s.did) == by


# --- the cache, which needs two questions ------------------------------------------------------

LATE = f"late.{D}"
KEPT = {
    # the cache's lines: (edit, name, seconds between the questions, is the second one remembered)
    "outside is remembered": (lambda c: c, OUT, 29, True),
    "for thirty seconds": (lambda c: c, OUT, 30, False),
    "the cluster's names are not": (lambda c: c, BACKEND, 0, False),
    "nor is it remembered that one is missing": (lambda c: c, LATE, 0, False),
    "a plain cache remembers the cluster too": (instead(CACHE, "cache 30"), BACKEND, 29, True),
    "and what is missing": (instead(CACHE, "cache 30"), LATE, 29, True),
    "for as long": (instead(CACHE, "cache 30"), LATE, 30, False),
    "denial has a limit of its own": (
        instead(CACHE, "cache 30 {\n denial 9984 5\n }"),
        LATE,
        5,
        False,
    ),
    "no cache, no memory": (instead(CACHE, ""), OUT, 0, False),
    "a cache for one domain": (instead(CACHE, "cache 30 example.org"), OUT, 0, False),
    "and its own": (instead(CACHE, "cache 30 example.org"), OTHER, 0, True),
    "disable success alone keeps denials": (
        instead(CACHE, "cache 30 {\n disable success cluster.local\n }"),
        LATE,
        10,
        True,
    ),
}


@pytest.mark.parametrize(("edit", "name", "seconds", "kept"), KEPT.values(), ids=KEPT)
def test_an_edit_changes_what_is_remembered(shop, edit, name, seconds, kept):
    lab = edited(shop, edit)
    kubectl(lab, "scale deployment coredns -n kube-system --replicas=1")
    lab.resolve("pod/frontend", name, "A")
    lab.wait(seconds)
    assert lab.resolve("pod/frontend", name, "A").questions[0].reply.cached is kept


# --- broken files ------------------------------------------------------------------------------

BROKEN = {
    # what is wrong: (edit, what the log says)
    "a directive that nobody knows": (instead("ready", "redy"), "Unknown directive 'redy'"),
    "a brace too few": (lambda c: c.rstrip().removesuffix("}"), "has no `}`"),
    "a brace too many": (block("}\n"), "`}` closes nothing"),
    "cache twice": (instead(CACHE, f"{CACHE}\n    cache 5"), "`cache` stands twice"),
    "an option that kubernetes has not": (
        instead("pods insecure", "pod insecure"),
        "did you mean `pods`",
    ),
    "a ttl beyond an hour": (instead("ttl 30", "ttl 7200"), "no number from 0 to 3600"),
    "a server that is no address": (
        instead("/etc/resolv.conf", "dns.example"),
        "neither an address nor a file",
    ),
    "two blocks for one zone": (
        block(".:53 {\n    forward . 203.0.113.9\n}\n"),
        "has a server block already",
    ),
    "autopath without its plugin": (
        block("example.org:53 {\n    autopath @kubernetes\n    forward . 203.0.113.9\n}\n"),
        "needs the kubernetes plugin",
    ),
    "a snippet that is not there": (first("import mine"), "unknown snippet or file `mine`"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_leaves_the_older_one_serving_and_says_so(shop, edit, says):
    lab = edited(shop, instead("ttl 30", "ttl 7"), edit)
    assert seen(lab, BACKEND) == "10.96.1.2 ttl 7"
    log = kubectl(lab, "logs -n kube-system deployment/coredns")
    assert "[ERROR]" in log.splitlines()[-1]
    assert says in log.splitlines()[-1]


# --- no server ---------------------------------------------------------------------------------

DENY_UDP_53 = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: no-dns, namespace: kube-system}
spec:
  podSelector: {matchLabels: {k8s-app: kube-dns}}
  ingress: [{ports: [{port: 53, protocol: TCP}, {port: 8181}]}]
"""


def test_without_pods_a_question_is_refused_at_once(shop):
    lab = shop.fork()
    kubectl(lab, "scale deployment coredns -n kube-system --replicas=0")
    found = lab.resolve("pod/frontend", "backend")
    assert {q.sent.fault for q in found.questions} == {"refused"}
    assert (found.lookup.problem, found.lookup.seconds) == ("AGAIN", 0)


def test_a_policy_that_forgets_udp_53_means_a_long_silence():
    lab = scenario("shop", cni="calico")
    assert lab.resolve("pod/frontend", "backend")
    lab.apply(DENY_UDP_53)
    found = lab.resolve("pod/frontend", "backend")
    assert {q.sent.fault for q in found.questions} == {"timed out"}
    assert (found.lookup.problem, found.lookup.seconds) == ("AGAIN", 10)
    assert "Drop if no policies passed" in found.questions[0].connection.request.hops[-1].why
    assert lab.connect("pod/frontend", "svc/kube-system/kube-dns:53")  # TCP


def test_under_flannel_the_same_policy_changes_nothing(shop):
    lab = shop.fork()
    lab.apply(DENY_UDP_53)
    assert lab.resolve("pod/frontend", "backend")


def test_a_loop_ends_the_pods_and_then_questions_are_refused(shop):
    lab = edited(shop, instead("/etc/resolv.conf", "127.0.0.53"))
    table = kubectl(lab, "get pods -n kube-system -l k8s-app=kube-dns")
    assert table.count("CrashLoopBackOff") == 2
    assert seen(lab, BACKEND) == "refused"
    (pod, _) = lab.list("pods", namespace="kube-system", selector="k8s-app=kube-dns")
    found = lab.resolve("pod/frontend", BACKEND, "A", server=str(pod.addresses[0]))
    assert found.questions[0].sent.fault == "refused"  # at the pod itself nobody listens either


def test_a_new_file_starts_with_empty_caches(shop):
    lab = shop.fork()
    kubectl(lab, "scale deployment coredns -n kube-system --replicas=1")
    lab.resolve("pod/frontend", OUT, "A")
    assert lab.resolve("pod/frontend", OUT, "A").cache_hits == 1
    text = lab.get("configmap/kube-system/coredns").data["Corefile"]
    meta = {"name": "coredns", "namespace": "kube-system"}
    data = {"Corefile": text.replace("ttl 30", "ttl 31")}
    lab.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}])
    assert lab.resolve("pod/frontend", OUT, "A").cache_hits == 0
