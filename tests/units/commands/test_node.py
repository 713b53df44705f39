"""Programs on nodes, in pods and outside: what they print and what they leave behind."""

from __future__ import annotations

import pytest

from labkit.commands.node import on
from labkit.errors import CommandError, NotFound
from labkit.lessons.scenarios import scenario


@pytest.fixture
def lab():
    return scenario("shop")


@pytest.fixture(scope="module")
def still():
    """A cluster for lines that only look."""
    return scenario("shop")


def address(lab, kind, name, namespace="default"):
    obj = lab.get(f"{kind}/{namespace}/{name}")
    return str(obj.addresses[0]) if kind == "pod" else obj.spec.cluster_ip


# --- tables -----------------------------------------------------------------------------

LINES = {
    # (place, line): a line of the print-out
    ("pod/frontend", "ip addr"): "    inet 10.244.1.2/24 brd 10.244.1.255 scope global eth0",
    ("pod/frontend", "ip a show dev eth0"): "    inet 10.244.1.2/24 brd 10.244.1.255 scope global "
    "eth0",
    ("pod/frontend", "ip -br addr show lo"): "lo               UNKNOWN        127.0.0.1/8 ::1/128",
    ("pod/frontend", "ip r"): "default via 10.244.1.1 dev eth0",
    ("node-1", "ip route"): "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    ("node/node-1", "ip route show dev cni0"): "10.244.1.0/24 proto kernel scope link src "
    "10.244.1.1",
    ("node-1", "sudo ip route get 10.244.2.2"): "10.244.2.2 via 10.244.2.0 dev flannel.1 src "
    "10.244.1.0 uid 0",
    ("pod/frontend", "ip route get 10.244.1.2"): "local 10.244.1.2 dev lo src 10.244.1.2 uid 0",
    ("router", "ip route get 8.8.8.8"): "RTNETLINK answers: Network is unreachable",
    ("pod/frontend", "ss -tln"): "LISTEN 0      4096               *:8080               *:*",
    ("node-1", "hostname"): "node-1",
    ("outside", "hostname"): "outside",
    ("node-1", "sysctl net.ipv4.ip_forward"): "net.ipv4.ip_forward = 1",
    ("pod/frontend", "sysctl -n net.ipv4.ip_forward"): "0",
    ("node-1", "cat /proc/sys/net/ipv4/ip_forward"): "1",
    ("node-1", "sh -c 'hostname'"): "node-1",
    ("node-1", "iptables-save -t nat | grep 'default/db cluster IP' | wc -l"): "2",
    ("node-1", "iptables -t nat -S KUBE-MARK-MASQ"): "-A KUBE-MARK-MASQ -j MARK --set-xmark "
    "0x4000/0x4000",
    ("pod/frontend", "iptables-save"): "",
}


@pytest.mark.parametrize("asked", LINES)
def test_a_table_holds_the_line(still, asked):
    assert LINES[asked] in on(still, *asked).split("\n")


def test_the_bridge_knows_the_tunnels_and_the_ports(still):
    fdb = on(still, "node-1", "bridge fdb show dev flannel.1")
    assert fdb.grep("dst 192.168.7.12").exit_code == 0
    assert len(on(still, "node-1", "bridge link").grep("master cni0").splitlines()) == 3


FAILED = {
    # (place, line): (what it prints, exit code)
    ("pod/frontend", "frob x"): ("sh: frob: not found", 127),
    ("node-1", "ip frob"): ('Object "frob" is unknown, try "ip help".', 1),
    ("node-1", "ip addr show eth7"): ('Device "eth7" does not exist.', 1),
    ("node-1", "bridge fdb show dev eth7"): ('Cannot find device "eth7"', 1),
    ("node-1", "sysctl net.nope"): (
        "sysctl: cannot stat /proc/sys/net/nope: No such file or directory",
        255,
    ),
    ("node-1", "hostname | grep nope"): ("", 1),
    ("node-1", "tcpdump -i eth0 -c x"): ("tcpdump: invalid packet count x", 1),
    ("node-1", "tcpdump -i eth7"): (
        "tcpdump: eth7: No such device exists\n(SIOCGIFHWADDR: No such device)",
        1,
    ),
    ("pod/frontend", "curl nope"): ("curl: (6) Could not resolve host: nope", 6),
    ("pod/frontend", "curl payments"): ("curl: (6) Could not resolve host: payments", 6),
    ("pod/frontend", "curl --frob x"): (
        "curl: option --frob: is unknown\n"
        "curl: try 'curl --help' or 'curl --manual' for more information",
        2,
    ),
    ("pod/frontend", "ping -c 1 nope"): ("ping: nope: Name or service not known", 2),
}


@pytest.mark.parametrize("asked", FAILED)
def test_a_program_fails_in_its_own_words(still, asked):
    output = on(still, *asked)
    assert (output, output.exit_code) == FAILED[asked]


UNMODELLED = (
    "ip link set eth0 down",
    "iptables -F",
    "nft add table x",
    "sysctl -w net.ipv4.ip_forward=0",
    "ss -tn",
    "cat /etc/passwd",
    "hostname; hostname",
    "hostname > x",
    "hostname | sort",
    "sh",
    "tcpdump -i eth0 vlan 7",
    "tcpdump",
    "ping -c 0 127.0.0.1",
    "ping -c 99999999999999999999 127.0.0.1",
    "nc -zv 127.0.0.1 ²",
    "",
)


@pytest.mark.parametrize("line", UNMODELLED)
def test_what_the_lab_does_not_model_is_an_error_of_one_line(lab, line):
    with pytest.raises(CommandError) as caught:
        on(lab, "node-1", line)
    assert "\n" not in str(caught.value)


def test_a_place_that_is_not_there_is_not_found(still):
    with pytest.raises(NotFound, match="frontend"):
        on(still, "pod/frontendd", "ip a")


# --- ping -------------------------------------------------------------------------------


def test_ping_counts_answers_and_shows_the_ttl_that_routers_left(lab):
    there = address(lab, "pod", "backend")
    assert on(lab, "pod/frontend", f"ping -c 2 {there}").splitlines() == [
        f"PING {there} ({there}) 56(84) bytes of data.",
        f"64 bytes from {there}: icmp_seq=1 ttl=62",
        f"64 bytes from {there}: icmp_seq=2 ttl=62",
        "",
        f"--- {there} ping statistics ---",
        "2 packets transmitted, 2 received, 0% packet loss",
    ]


def test_a_cluster_ip_does_not_answer_ping(lab):
    output = on(lab, "pod/frontend", "ping -c 1 backend")
    there = address(lab, "svc", "backend")
    assert output.splitlines()[0] == f"PING backend ({there}) 56(84) bytes of data."
    assert output.splitlines()[-1] == "1 packets transmitted, 0 received, 100% packet loss"
    assert output.exit_code == 1


def test_a_router_that_knows_no_pods_says_so(lab):
    output = on(lab, "outside", f"ping -c 1 {address(lab, 'pod', 'frontend')}")
    assert "From 203.0.113.1 icmp_seq=1 Destination Net Unreachable" in output
    assert output.splitlines()[-1] == (
        "1 packets transmitted, 0 received, +1 errors, 100% packet loss"
    )


# --- curl and nc ------------------------------------------------------------------------


def test_curl_prints_who_answered_and_which_source_it_saw(lab):
    name = lab.get("pod/backend").name
    assert on(lab, "pod/frontend", "curl -s http://backend/cart") == (
        f"hello from backend (default/{name}), you are 10.244.1.2"
    )


NAMES = ("payments.pay", "payments.pay.svc", "payments.pay.svc.cluster.local.")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_in_which_namespace_to_look(lab, name):
    page = on(lab, "pod/frontend", f"curl {name}:8443")
    assert page.startswith("hello from payments (pay/")
    row = on(lab, "node-1", "conntrack -L -p tcp").grep("dport=8443")
    assert f"dst={address(lab, 'svc', 'payments', 'pay')} " in row


def test_a_node_is_a_word_of_the_lab_and_no_name_in_dns(lab):
    note, *_ = on(lab, "pod/frontend", "ping -c 1 node-2").splitlines()
    assert note == "# node-2 is 192.168.7.12: a word of the lab, no name in DNS"


def test_nodes_and_the_outside_do_not_know_the_names_of_services(lab):
    assert on(lab, "node-1", "curl backend").exit_code == 6
    assert on(lab, "outside", "curl backend.default.svc.cluster.local").exit_code == 6


def test_a_short_name_is_looked_up_in_the_pods_own_namespace(lab):
    assert on(lab, "pod/pay/payments", "curl payments:8443").exit_code == 0
    assert on(lab, "pod/pay/payments", "curl backend").exit_code == 6


def test_refused_comes_at_once_and_a_time_out_does_not(lab):
    pod, service = address(lab, "pod", "backend"), address(lab, "svc", "backend")
    refused = on(lab, "pod/frontend", f"curl {pod}:99")
    assert refused == (
        f"curl: (7) Failed to connect to {pod} port 99 after 0 ms: Could not connect to server"
    )
    assert refused.exit_code == 7
    silent = on(lab, "pod/frontend", f"curl -m 2 {service}:99")
    assert silent == "curl: (28) Connection timed out after 2000 milliseconds"
    assert silent.exit_code == 28


TILL = """
apiVersion: v1
kind: Pod
metadata: {name: till%s}
spec:
  containers:
  - {name: app, image: "a:1", ports: [{containerPort: 8080}]}
  - {name: metrics, image: "b:1"%s}
"""
DECLARED = TILL % ("", ", ports: [{containerPort: 9100}]")
NOTED = TILL % (', annotations: {labkit.dev/listens: "8080,9100"}', "")


@pytest.mark.parametrize("manifest", [DECLARED, NOTED], ids=["declared", "noted"])
@pytest.mark.parametrize(("port", "name"), [(8080, "app"), (9100, "metrics")])
def test_curl_names_the_container_where_a_pod_has_several(lab, manifest, port, name):
    lab.apply(manifest)
    assert on(lab, "pod/till", f"curl -s localhost:{port}") == (
        f"hello from {name} in till (default/till), you are 127.0.0.1"
    )


WGET = {
    # line: (the last line, exit code)
    "wget -qO- nope": ("wget: bad address 'nope'", 1),
    "wget -q -O- http://node-2:99": (
        "wget: can't connect to remote host (192.168.7.12): Connection refused",
        1,
    ),
    "wget -qO- http://10.9.9.9": (
        "wget: can't connect to remote host (10.9.9.9): Network is unreachable",
        1,
    ),
    "wget -qO- -T 2 backend:99": ("wget: download timed out", 1),
}


@pytest.mark.parametrize("line", WGET)
def test_wget_fails_as_busybox_does(lab, line):
    last, code = WGET[line]
    output = on(lab, "pod/frontend", line)
    assert (output.splitlines()[-1], output.exit_code) == (last, code)


def test_wget_fetches_the_same_page_as_curl(lab):
    page = on(lab, "pod/frontend", "wget -qO- http://backend").splitlines()[-1]
    assert page == on(lab, "pod/frontend", "curl backend").splitlines()[-1]


def test_the_outside_sees_the_nodes_address(lab):
    page = on(lab, "pod/frontend", "curl outside").splitlines()[-1]
    assert page.endswith("you are 192.168.7.11")


NC = {
    # line: (the last line, exit code)
    "nc -zv backend 80": ("Connection to backend 80 port [tcp/http] succeeded!", 0),
    "nc -zv backend 99": ("nc: connect to backend port 99 (tcp) failed: Connection timed out", 1),
    "nc -zvw 1 backend 99": (
        "nc: connect to backend port 99 (tcp) timed out: Operation now in progress",
        1,
    ),
    "nc -zv node-2 99": ("nc: connect to node-2 port 99 (tcp) failed: Connection refused", 1),
    "nc -zvu node-2 99": (None, 1),
    "nc -zv 10.9.9.9 99": (
        "nc: connect to 10.9.9.9 port 99 (tcp) failed: Network is unreachable",
        1,
    ),
    "nc -zv 10.244.2.77 99": (
        "nc: connect to 10.244.2.77 port 99 (tcp) failed: No route to host",
        1,
    ),
    "nc -zvu 10.96.200.1 99": ("Connection to 10.96.200.1 99 port [udp/*] succeeded!", 0),
}


@pytest.mark.parametrize("line", NC)
def test_nc_tells_open_refused_and_silent_apart(lab, line):
    last, code = NC[line]
    output = on(lab, "pod/frontend", line)
    assert output.exit_code == code
    assert last is None or output.splitlines()[-1] == last


# --- what a connection leaves behind ----------------------------------------------------------


def test_conntrack_shows_the_rewritten_connection_on_the_clients_node(lab):
    on(lab, "pod/frontend", "curl backend")
    pod, service = address(lab, "pod", "backend"), address(lab, "svc", "backend")
    row = on(lab, "node-1", f"conntrack -L -p tcp -d {service}").splitlines()[0]
    assert f"dst={service} sport=41000 dport=80 src={pod} dst=10.244.1.2 sport=8080" in row


def test_tcpdump_shows_each_device_its_own_addresses(lab):
    on(lab, "pod/frontend", "curl backend")
    pod, service = address(lab, "pod", "backend"), address(lab, "svc", "backend")
    at_client = on(lab, "pod/frontend", "tcpdump -i eth0 -n").grep("IP ")
    assert at_client.splitlines() == [
        f"IP 10.244.1.2.41000 > {service}.80: Flags [S], length 0",
        f"IP {service}.80 > 10.244.1.2.41000: Flags [S.], length 0",
    ]
    at_server = on(lab, "pod/backend", "tcpdump -i eth0 -n").grep("IP ")
    assert at_server.splitlines()[0] == f"IP 10.244.1.2.41000 > {pod}.8080: Flags [S], length 0"


def test_tcpdump_takes_flannels_vxlan_for_otv_until_it_is_told(lab):
    on(lab, "pod/frontend", "curl backend")
    pod = address(lab, "pod", "backend")
    outer, inner = on(lab, "node-1", "tcpdump -i eth0 -nc 1 udp port 8472").splitlines()[2:4]
    assert outer.startswith("IP 192.168.7.11.")
    assert outer.endswith(" > 192.168.7.12.8472: OTV, flags [I] (0x08), overlay 0, instance 1")
    assert inner == f"IP 10.244.1.2.41000 > {pod}.8080: Flags [S], length 0"
    told = on(lab, "node-1", "tcpdump -i eth0 -n -T vxlan -c 1")
    assert told.grep("8472: VXLAN, flags [I] (0x08), vni 1").exit_code == 0


def test_tcpdump_has_nothing_before_the_first_connection(lab):
    assert on(lab, "node-1", "tcpdump -i eth0").startswith("# nothing was sent yet")


def test_looking_sends_nothing(lab):
    for line in ("ip a", "iptables-save", "conntrack -L", "traceroute 10.244.2.2"):
        on(lab, "node-1", line)
    assert lab.last is None
    assert not lab.conntrack


def test_tables_show_an_injected_fault(lab):
    from labkit.traffic import faults

    lab.inject(faults.missing_route("node-1", "10.244.2.0/24"))
    assert on(lab, "node-1", "ip route | grep 10.244.2").exit_code == 1


# --- traceroute -------------------------------------------------------------------------


def test_traceroute_names_the_bridge_the_tunnel_and_the_pod(lab):
    there = address(lab, "pod", "backend")
    assert on(lab, "pod/frontend", f"traceroute {there}").splitlines() == [
        f"traceroute to {there} ({there}), 30 hops max, 60 byte packets",
        " 1  10.244.1.1",
        " 2  10.244.2.0",
        f" 3  {there}",
    ]


def test_traceroute_prints_stars_where_nobody_answers(lab):
    lines = on(lab, "pod/frontend", "traceroute -m 3 backend").splitlines()
    assert lines[-3:] == [" 1  10.244.1.1", " 2  * * *", " 3  * * *"]
