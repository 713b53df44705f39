"""What a million connections cost: opened, given to pods, and their requests counted."""

from __future__ import annotations

from benchmarks.timing import best, show
from labkit import kubectl, scenario

MILLION = {"clients": 1000, "rate": 10.0, "seconds": 100.0, "per_connection": 1}


def measure() -> None:
    for mode, share in (("iptables", 1.0), ("ipvs", 0.1)):  # IPVS is asked one by one
        lab = scenario("shop", proxy_mode=mode)
        kubectl(lab, "scale deployment backend --replicas=6")
        how = MILLION | {"seconds": 100.0 * share}
        took = best(lambda lab=lab, how=how: lab.load("pod/frontend", "svc/backend:80", **how), 3)
        wanted = "wanted under 1000" if mode == "iptables" else ""
        show(f"{share * 1e6:.0f} connections over 6 pods, {mode}", took * 1e3, "ms", wanted)
