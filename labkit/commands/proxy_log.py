"""What kube-proxy writes when it starts, in the words of its mode.

No mode logs single connections. Line numbers in the source files move with every release and
are left at 0 here.

Source: Kubernetes `cmd/kube-proxy/app/server.go`, `server_linux.go`, `pkg/proxy/*/proxier.go`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from labkit.api.core import Pod
from labkit.api.state import START, State

CONTROLLERS = ("service config", "endpoint slice config", "serviceCIDR config", "node config")
CONNTRACK_MAX = 131072  # 32768 for each core, and no less than this


def proxy_log(state: State, pod: Pod) -> str:
    """The start-up lines; at most a few dozen, the oldest first."""
    start = datetime.fromisoformat(pod.status.start_time or START)
    lines = []
    for number, (level, file, message) in enumerate(_messages(state, pod)):
        when = start + timedelta(milliseconds=number)
        lines.append(f"{level}{when:%m%d %H:%M:%S.%f}       1 {file}:0] {message}")
    return "\n".join(lines)


def _messages(state: State, pod: Pod) -> list[tuple[str, str, str]]:
    linux, server = "server_linux.go", "server.go"
    mode = state.config.proxy_mode
    two = len(state.config.service_cidrs) > 1
    found = [
        ("I", server, f'"Successfully retrieved NodeIPs" NodeIPs=["{pod.status.host_ip}"]'),
        ("I", "conntrack.go", f'"Setting nf_conntrack_max" nfConntrackMax={CONNTRACK_MAX}'),
        (
            "I",
            server,
            '"kube-proxy running in dual-stack mode" primary ipFamily="IPv4"'
            if two
            else '"kube-proxy running in single-stack mode" ipFamily="IPv4"',
        ),
        ("I", linux, f'"Using {mode} Proxier"'),
        *MODE_LINES.get(mode, ()),
        ("I", server, '"Version info" version="v1.37.1"'),
        ("I", server, '"Golang settings" GOGC="" GOMAXPROCS="" GOTRACEBACK=""'),
    ]
    found += [("I", "config.go", f'"Starting {name} controller"') for name in CONTROLLERS]
    for name in CONTROLLERS:
        found.append(
            ("I", "shared_informer.go", f'"Waiting for caches to sync" controller="{name}"')
        )
        found.append(("I", "shared_informer.go", f'"Caches are synced" controller="{name}"'))
    return found


MODE_LINES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "iptables": (
        (
            "I",
            "proxier.go",
            '"Setting route_localnet=1 to allow node-ports on localhost; to change this either '
            "disable iptables.localhostNodePorts (--iptables-localhost-nodeports) or set "
            'nodePortAddresses (--nodeport-addresses) to filter loopback addresses"',
        ),
    ),
    "ipvs": (
        ("I", "proxier.go", '"IPVS scheduler not specified, use rr by default"'),
        (
            "E",
            "server_linux.go",
            '"The ipvs proxier is deprecated: off by default in 1.40, removed in 1.43; '
            'use nftables"',
        ),
    ),
}
