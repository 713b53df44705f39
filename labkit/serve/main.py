"""The command line of `python -m labkit.serve`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labkit.cluster import Cluster
from labkit.errors import LabError
from labkit.serve.dns import NameServer, served


def main(words: list[str]) -> int:
    """Serves until ctrl-C; 1 for data that is wrong or a port that is taken."""
    parser = argparse.ArgumentParser(prog="python -m labkit.serve")
    parser.add_argument("what", choices=["dns"], help="dns: names, as CoreDNS answers them")
    parser.add_argument("data", help="a file of manifests, such as data/shop.yaml")
    parser.add_argument("--port", type=int, default=5353, help="UDP and TCP, on 127.0.0.1")
    given = parser.parse_args(words)
    try:
        lab = Cluster.from_manifests(Path(given.data))
        server = NameServer(served(lab), given.port)
    except LabError as error:
        print(error)
        return 1
    except OSError as error:
        print(f"port {given.port}: {error.strerror}; choose another with --port")
        return 1
    print(f"dig @127.0.0.1 -p {server.port} kubernetes.default.svc.{lab.config.dns_domain}")
    sys.stdout.flush()
    try:
        server.run()
    except KeyboardInterrupt:
        print()
    finally:
        server.close()
    return 0
