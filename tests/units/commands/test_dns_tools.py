"""dig, nslookup, host and getent: what they ask and what they print.

Source of the captures: BusyBox 1.35 against a server with the records of `zone`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labkit import scenario
from labkit.commands.kubectl import kubectl
from labkit.commands.node import on
from labkit.commands.nslookup import busybox_nslookup
from labkit.dns.message import Answer, Record, address_text, reverse_name
from labkit.dns.resolvconf import ResolvConf
from labkit.dns.resolver import look_up

CAPTURES = Path(__file__).parents[2] / "golden" / "captures"
EXPLICIT = "busybox_nslookup_1.35_explicit_server.txt"
IN_POD = "busybox_nslookup_1.35_pod_resolvconf.txt"
SOA = Record("cluster.local.", "SOA", 5, "ns. host. 1 7200 1800 86400 5")
SERVER = "127.0.0.53"

WEB, EXT = "web.shop.svc.cluster.local.", "ext.shop.svc.cluster.local."
ZONE = (
    Record(WEB, "A", 5, "10.96.10.20"),
    Record("hl.shop.svc.cluster.local.", "A", 5, "10.244.1.30"),
    Record("hl.shop.svc.cluster.local.", "A", 5, "10.244.2.31"),
    Record(EXT, "CNAME", 5, "db.example.com."),
    Record("db.example.com.", "A", 5, "192.0.2.7"),
    Record("20.10.96.10.in-addr.arpa.", "PTR", 5, WEB),
    Record(f"_http._tcp.{WEB}", "SRV", 5, f"0 100 80 {WEB}"),
    Record("dns-version.cluster.local.", "TXT", 5, '"1.1.0"'),
)


def zone(server, query):
    """The server of the captures: authoritative for everything."""
    if server != SERVER:
        return "refused"
    own = [r for r in ZONE if r.name == query.name]
    alias = next((r for r in own if r.type == "CNAME"), None)
    found = [r for r in own if r.type == query.type]
    if alias:
        found = [alias, *(r for r in ZONE if (r.name, r.type) == (alias.data, query.type))]
    rcode = "NOERROR" if own else "NXDOMAIN"
    return Answer(rcode=rcode, answer=tuple(found), authority=() if found else (SOA,), aa=True)


def blocks(name):
    """heading -> (what was printed, exit code)"""
    text = (CAPTURES / name).read_text().partition("### queries the DNS")[0]
    found = {}
    for block in re.split(r"^### ", text, flags=re.M)[1:]:
        heading, _, rest = block.partition("\n")
        printed, _, code = rest.rpartition("(exit ")
        found[heading] = (printed, int(code.strip(")\n")))
    return found


def applet(words, conf):
    *flags, name = words
    types = (flags[0].partition("=")[2].upper(),) if flags else ("A", "AAAA")
    if address_text(name):
        name, types = reverse_name(name), ("PTR",)
    return busybox_nslookup(look_up(name, conf, zone, "busybox-nslookup", types))


@pytest.mark.parametrize("heading", sorted(blocks(EXPLICIT)))
def test_busybox_prints_what_the_applet_printed(heading):
    printed, code = blocks(EXPLICIT)[heading]
    if heading == "dead server":
        output = applet(["web.shop"], ResolvConf(("127.0.0.77",)))
    else:
        output = applet(heading.split()[1:-1], ResolvConf((SERVER,)))
    assert (output + "\n", output.exit_code) == (printed, code)


@pytest.mark.parametrize("heading", sorted(blocks(IN_POD)))
def test_busybox_in_a_pod_prints_what_the_applet_printed(heading):
    search = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
    printed, code = blocks(IN_POD)[heading]
    output = applet(heading.split()[2:], ResolvConf((SERVER,), search, ("ndots:5",)))
    assert (output + "\n", output.exit_code) == (printed, code)


def test_an_answer_without_authority_is_introduced_as_such():
    def forwarding(server, query):
        return Answer(answer=(Record(query.name, "A", 5, "192.0.2.80"),))

    found = look_up("a.example.", ResolvConf((SERVER,)), forwarding, "busybox-nslookup", ("A",))
    assert busybox_nslookup(found).splitlines()[3:] == [
        "Non-authoritative answer:",
        "Name:\ta.example",
        "Address: 192.0.2.80",
    ]


# --- in the cluster ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab():
    return scenario("shop")


def ip(lab, name, namespace="default"):
    return lab.get(f"svc/{namespace}/{name}").spec.cluster_ip


def test_dig_prints_header_sections_and_trailer(lab):
    name = "backend.default.svc.cluster.local"
    lines = on(lab, "pod/frontend", f"dig +nocookie {name}").splitlines()
    assert lines[0:2] == ["", f"; <<>> DiG 9.18.49 <<>> +nocookie {name}"]
    assert lines[7] == ";; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1"
    # As bind 9.18.49 prints it for a name of this length.
    assert lines[12:17] == [
        ";; QUESTION SECTION:",
        f";{name}. IN\tA",
        "",
        ";; ANSWER SECTION:",
        f"{name}. 30 IN A\t{ip(lab, 'backend')}",
    ]
    assert lines[-2:] == [";; WHEN: Sun Nov 22 10:00:00 UTC 2026", ";; MSG SIZE  rcvd: 111"]


def test_dig_shows_the_zones_soa_for_a_name_that_is_not_there(lab):
    output = on(lab, "pod/frontend", "dig nope.default.svc.cluster.local")
    assert "status: NXDOMAIN" in output
    soa = output.grep("SOA\tns.dns")
    assert soa.startswith("cluster.local.\t\t30\tIN\tSOA\tns.dns.cluster.local. hostmaster.")
    assert output.exit_code == 0


SHY = ";; Got recursion not available from 10.96.0.10"  # bind 9.18, of a server without `ra`
PRINTS = {
    "dig +short backend": "",
    "dig +short +search backend": "{backend}",
    "dig +short -x {backend}": "backend.default.svc.cluster.local.",
    "dig +short SRV _dns._udp.kube-dns.kube-system.svc.cluster.local": (
        "0 100 53 kube-dns.kube-system.svc.cluster.local."
    ),
    "dig @kube-dns.kube-system +short example.com": "203.0.113.9",
    "getent hosts payments.pay": "{payments:<15} payments.pay.svc.cluster.local",
    "host payments.pay": "payments.pay.svc.cluster.local has address {payments}",
    "host nope": "Host nope not found: 3(NXDOMAIN)",
    "cat /etc/resolv.conf": (
        "search default.svc.cluster.local svc.cluster.local cluster.local\n"
        "nameserver 10.96.0.10\noptions ndots:5"
    ),
    "nslookup backend": (
        f"{SHY}\n" + "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n\n"
        "Name:\tbackend.default.svc.cluster.local\nAddress: {backend}\n" + f"{SHY}\n"
    ),
    # Three are CoreDNS's own answers; the fourth comes from outside.
    "nslookup nope": (
        3 * f"{SHY}\n" + "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n\n"
        "** server can't find nope: NXDOMAIN\n"
    ),
    "nslookup {backend}": (f"{SHY}\n" + "{reversed}\tname = backend.default.svc.cluster.local.\n"),
}


@pytest.mark.parametrize("line", PRINTS)
def test_a_program_prints(lab, line):
    backend = ip(lab, "backend")
    words = {
        "backend": backend,
        "payments": ip(lab, "payments", "pay"),
        "reversed": reverse_name(backend).rstrip("."),
    }
    output = on(lab, "pod/frontend", line.format(**words))
    assert output == PRINTS[line].format(**words)


def test_a_server_that_is_not_there_is_told_three_times(lab):
    output = on(lab, "pod/frontend", "dig @10.244.1.2 +short backend")
    error = ";; communications error to 10.244.1.2#53: connection refused"
    assert output.splitlines() == [error] * 3 + [";; no servers could be reached"]
    assert output.exit_code == 9


RUN = "run --rm -it --restart=Never --image={} dns-test -- nslookup {}"


def test_the_guides_nslookup_finds_the_service_and_fails_all_the_same():
    output = kubectl(scenario("shop"), RUN.format("busybox", "backend"))
    assert "Name:\tbackend.default.svc.cluster.local" in output
    assert "** server can't find backend.svc.cluster.local: NXDOMAIN" in output
    assert output.exit_code == 1


MY_SERVICE = """apiVersion: v1
kind: Service
metadata: {name: my-service}
spec: {clusterIP: 10.96.7.7, selector: {app: backend}, ports: [{port: 80, targetPort: 8080}]}
"""
AS_TYPED = """\
Server:\t\t10.96.0.10
Address:\t10.96.0.10:53

Name:\tmy-service.default.svc.cluster.local
Address: 10.96.7.7

** server can't find my-service.svc.cluster.local: NXDOMAIN

** server can't find my-service.cluster.local: NXDOMAIN


** server can't find my-service.svc.cluster.local: NXDOMAIN

** server can't find my-service.cluster.local: NXDOMAIN

Session ended, resume using 'kubectl attach dns-test -c dns-test -n default -i -t' command
pod "dns-test" deleted from default namespace"""


def test_the_guides_line_as_it_is_typed_does_not_tell_that_nslookup_failed():
    """Without --restart the pod restarts Always, and kubectl does not ask how a command ended."""
    lab = scenario("shop")
    lab.apply(MY_SERVICE)
    typed = "run --rm -it --image=busybox dns-test -- nslookup my-service"
    output = kubectl(lab, typed)
    assert (str(output), output.exit_code) == (AS_TYPED, 0)
    assert kubectl(lab, typed.replace("--rm", "--rm --restart=Always")) == AS_TYPED
    assert "Session ended" not in kubectl(lab, typed.replace("-it", "-i"))


def test_with_on_failure_kubectl_waits_for_a_success_that_never_comes():
    lab = scenario("shop")
    output = kubectl(lab, RUN.replace("Never", "OnFailure").format("busybox", "backend"))
    assert output.splitlines()[-2:] == [
        'pod "dns-test" deleted from default namespace',
        "error: timed out waiting for the condition",
    ]
    assert output.exit_code == 1


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("busybox", "backend.default.svc.cluster.local"),
        ("busybox:1.28", "backend"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.53", "backend"),
    ],
)
def test_forms_of_it_that_work(image, name):
    output = kubectl(scenario("shop"), RUN.format(image, name))
    assert "backend.default.svc.cluster.local" in output
    assert output.exit_code == 0


def test_coredns_says_in_its_log_that_it_keeps_the_older_corefile():
    lab = scenario("shop")
    line = "logs -n kube-system deployment/coredns"
    assert "reload failed" not in kubectl(lab, line)
    data = lab.get("configmap/kube-system/coredns").data["Corefile"].replace("ready", "redy")
    meta = {"name": "coredns", "namespace": "kube-system"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    lab.apply([{**manifest, "data": {"Corefile": data}}])
    error = kubectl(lab, line).grep("[ERROR]")
    fault = "/etc/coredns/Corefile:6 - Error during parsing: Unknown directive 'redy'"
    failed = "starting with listener file descriptors"
    assert error.splitlines() == [
        f"[ERROR] Restart failed: {fault}",
        f"[ERROR] plugin/reload: Corefile changed but reload failed: {failed}: {fault}",
    ]


def test_curl_ends_tls_where_the_certificate_is_for_another_name():
    lab = scenario("shop")
    alias = {"type": "ExternalName", "externalName": "api.stripe.com"}
    lab.apply([{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}, "spec": alias}])
    ended = on(lab, "pod/frontend", "curl https://c/")
    assert ended.splitlines()[0].endswith("subject name matches target host name 'c'")
    assert ended.exit_code == 60
    assert on(lab, "pod/frontend", "curl -k https://c/") == "404: no site is called c here"
    assert on(lab, "pod/frontend", "curl https://api.stripe.com/").startswith("hello from outside")
    assert on(lab, "pod/frontend", "curl http://203.0.113.9/").startswith("hello from outside")


TRACED = {
    # what follows dig +trace: what dig 9.18.49 printed for these answers, below its first lines
    "backend.default.svc.cluster.local": (
        "local.\t\t\t900\tIN\tSOA\tns.outside. hostmaster.outside. 1 7200 1800 86400 900\n"
        ";; Received 119 bytes from 203.0.113.9#53(a.root-servers.net) in 0 ms\n"
    ),
    "backend": (
        "backend.\t\t900\tIN\tSOA\tns.outside. hostmaster.outside. 1 7200 1800 86400 900\n"
        ";; Received 93 bytes from 203.0.113.9#53(a.root-servers.net) in 0 ms\n"
    ),
    "www.shop.example": (
        "www.shop.example.\t300\tIN\tCNAME\tshop.example.\n"
        "shop.example.\t\t300\tIN\tA\t203.0.113.9\n"
        ";; Received 75 bytes from 203.0.113.9#53(a.root-servers.net) in 0 ms\n"
    ),
    "-x 10.96.1.2": (
        "arpa.\t\t\t900\tIN\tSOA\tns.outside. hostmaster.outside. 1 7200 1800 86400 900\n"
        ";; Received 108 bytes from 203.0.113.9#53(a.root-servers.net) in 0 ms\n"
    ),
}
ROOT_STEP = """\

; <<>> DiG 9.18.49 <<>> +trace {}
;; global options: +cmd
.\t\t\t30\tIN\tNS\ta.root-servers.net.
;; Received 59 bytes from 10.96.0.10#53(10.96.0.10) in 0 ms

"""


@pytest.mark.parametrize(("line", "printed"), TRACED.items())
def test_a_trace_leaves_the_cluster_and_finds_no_name_of_it(line, printed):
    output = on(scenario("shop"), "pod/frontend", f"dig +trace {line}")
    assert output == ROOT_STEP.format(line) + printed


def test_a_short_trace_names_the_servers_and_a_silent_one_ends_it():
    lab = scenario("shop")
    assert on(lab, "pod/frontend", "dig +trace +short api.stripe.com").splitlines() == [
        "NS a.root-servers.net. from server 10.96.0.10 in 0 ms.",
        "A 203.0.113.9 from server 203.0.113.9 in 0 ms.",
    ]
    lab.delete("deployment/kube-system/coredns")
    output = on(lab, "pod/frontend", "dig +trace api.stripe.com")
    assert output.splitlines()[-1] == ";; no servers could be reached"
    assert output.exit_code == 9


ONLY_UDP = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: dns, namespace: pay}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress: [{ports: [{protocol: UDP, port: 53}]}]
"""


def test_dig_plus_tcp_asks_over_tcp():
    lab = scenario("shop", cni="calico")
    ask = "dig %s +short db.default.svc.cluster.local"
    assert str(on(lab, "pod/pay/payments", ask % "+tcp")).strip() == "10.96.1.3"
    lab.apply(ONLY_UDP)
    assert str(on(lab, "pod/pay/payments", ask % "")).strip() == "10.96.1.3"
    assert "timed out" in str(on(lab, "pod/pay/payments", ask % "+tcp"))
