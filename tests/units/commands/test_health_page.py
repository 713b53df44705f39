"""A health check node port answers curl from outside as kube-proxy does."""

from __future__ import annotations

import json

import pytest

from labkit import on, scenario

SERVICE = """apiVersion: v1
kind: Service
metadata: {name: frontend}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  healthCheckNodePort: 31500
  selector: {app: frontend}
  ports: [{port: 80, targetPort: 8080}]
"""
HERE, ELSEWHERE = "192.168.7.11", "192.168.7.12"  # the shop's frontend runs on node-1
BODY = """{
\t"service": {
\t\t"namespace": "default",
\t\t"name": "frontend"
\t},
\t"localEndpoints": %d,
\t"serviceProxyHealthy": true
}"""


@pytest.fixture
def lab():
    shop = scenario("shop")
    shop.apply(SERVICE)
    return shop


@pytest.mark.parametrize(("node", "count"), [(HERE, 1), (ELSEWHERE, 0)])
@pytest.mark.parametrize("place", ["outside", "pod/ops/monitoring", "node-3"])
def test_the_body_counts_the_endpoints_of_the_node_that_was_asked(lab, place, node, count):
    page = on(lab, place, f"curl http://{node}:31500/healthz")
    assert page == BODY % count
    assert json.loads(str(page))["localEndpoints"] == count


@pytest.mark.parametrize(("node", "first"), [
    (HERE, "HTTP/1.1 200 OK"), (ELSEWHERE, "HTTP/1.1 503 Service Unavailable")])  # fmt: skip
def test_the_headers_say_what_a_balancer_reads(lab, node, first):
    page = on(lab, "outside", f"curl -i http://{node}:31500/healthz").splitlines()
    assert page[0] == first
    assert f"X-Load-Balancing-Endpoint-Weight: {int(node == HERE)}" in page
    assert "Date: Sun, 22 Nov 2026 10:00:00 GMT" in page


@pytest.mark.parametrize(("node", "code"), [(HERE, "200"), (ELSEWHERE, "503")])
def test_the_code_alone(lab, node, code):
    line = f"curl -s -o /dev/null -w '%{{http_code}}' http://{node}:31500/healthz"
    assert on(lab, "outside", line).strip() == code


def test_busybox_has_no_page_for_a_503(lab):
    refused = on(lab, "outside", f"wget -qO- http://{ELSEWHERE}:31500/healthz")
    assert refused == "wget: server returned error: HTTP/1.1 503 Service Unavailable"
    assert refused.exit_code == 1
    assert on(lab, "outside", f"wget -qO- http://{HERE}:31500/healthz") == BODY % 1


def test_another_port_of_the_node_is_refused(lab):
    assert "Could not connect" in on(lab, "outside", f"curl http://{HERE}:31501/healthz")


def test_kube_proxy_tells_of_itself(lab):
    page = json.loads(str(on(lab, "outside", f"curl http://{ELSEWHERE}:10256/healthz")))
    now = "2026-11-22T10:00:00Z"
    assert page == {
        "lastUpdated": now, "currentTime": now, "nodeEligible": True, "healthy": True,
        "status": {"IPv4": {"lastUpdated": now, "healthy": True}},
    }  # fmt: skip
    headers = on(lab, "outside", f"curl -i http://{ELSEWHERE}:10256/healthz")
    assert headers.startswith("HTTP/1.1 200 OK")
    assert "Endpoint-Weight" not in headers
