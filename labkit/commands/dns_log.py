"""What CoreDNS writes: the lines of its start, and that it did not take a new Corefile.

*The lab simplifies*: the sum is that of the file's text, and questions are not logged here.

Source: CoreDNS `coremain/run.go`, `plugin/reload/reload.go`; coredns/coredns#3783.
"""

from __future__ import annotations

from hashlib import sha512
from typing import TYPE_CHECKING

from labkit.api.core import Pod
from labkit.dns.process import configuration, running

if TYPE_CHECKING:
    from labkit.cluster import Cluster


def dns_log(lab: Cluster, pod: Pod) -> str:
    """The log of a CoreDNS pod that runs; the oldest line first."""
    now = running(pod, (moment.state for moment in reversed(lab.history)))
    corefile = configuration(lab.state, pod).corefile
    version = pod.spec.containers[0].image.rpartition(":")[2].removeprefix("v")
    places = [f"{zone}:{port}" for port, zone in now.server.blocks] if now.server else []
    total = sha512(corefile.encode()).hexdigest()
    lines = [*places, f"[INFO] plugin/reload: Running configuration SHA512 = {total}"]
    lines += [f"CoreDNS-{version}", "linux/amd64"]
    if now.broken:
        failed = "starting with listener file descriptors"
        lines += ["[INFO] Reloading", f"[ERROR] Restart failed: {now.broken}"]
        lines.append(
            f"[ERROR] plugin/reload: Corefile changed but reload failed: {failed}: {now.broken}"
        )
    return "\n".join(lines)
