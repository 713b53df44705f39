"""`kubectl rollout`: how far a release is, and another one of the same version."""

import pytest

from labkit import kubectl, scenario

SHOP = """apiVersion: apps/v1
kind: Deployment
metadata: {name: backend}
spec:
  replicas: 3
  selector: {matchLabels: {app: backend}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}
  template:
    metadata:
      labels: {app: backend}
      annotations: {labkit.dev/starts-in: "4"}
    spec:
      containers:
      - name: backend
        image: shop.example/backend:1.0
        ports: [{containerPort: 8080}]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 2}
"""
WAITING = 'Waiting for deployment "backend" rollout to finish: '


@pytest.fixture
def lab():
    lab = scenario("shop")
    lab.apply(SHOP)
    lab.wait(30)
    return lab


def test_a_restart_is_a_rollout_of_which_status_tells(lab):
    before = kubectl(lab, "get pods -l app=backend -o name")
    assert kubectl(lab, "rollout restart deployment backend") == "deployment.apps/backend restarted"
    told = []
    for _ in range(3):
        told.append(kubectl(lab, "rollout status deployment/backend"))
        lab.wait(4)
    assert told == [
        f"{WAITING}2 out of 3 new replicas have been updated...",
        f"{WAITING}2 of 3 updated replicas are available...",
        'deployment "backend" successfully rolled out',
    ]
    after = kubectl(lab, "get pods -l app=backend -o name")
    assert not set(before.splitlines()) & set(after.splitlines())


def test_old_pods_that_are_needed_are_waited_for(lab):
    lab.apply(SHOP.replace("maxSurge: 1, maxUnavailable: 1", "maxSurge: 3, maxUnavailable: 0"))
    kubectl(lab, "rollout restart deployment/backend")
    status = kubectl(lab, "rollout status deploy backend --watch=false")
    assert status == f"{WAITING}3 old replicas are pending termination..."


def test_a_second_restart_within_a_second_is_refused(lab):
    kubectl(lab, "rollout restart deployment/backend")
    again = kubectl(lab, "rollout restart deployment/backend")
    assert again.startswith("error: failed to create patch for backend: if restart has already")
    assert again.exit_code == 1
    lab.wait(1)
    assert kubectl(lab, "rollout restart deployment/backend").exit_code == 0


def test_a_paused_deployment_is_not_restarted(lab):
    lab.apply(SHOP.replace("replicas: 3", "replicas: 3\n  paused: true"))
    refused = 'error: deployments.apps "backend" can\'t restart paused deployment (run rollout '
    assert kubectl(lab, "rollout restart deployment/backend") == refused + "resume first)"


REFUSED = {
    "rollout restart": "error: required resource not specified",
    "rollout status deploy/nope": 'Error from server (NotFound): deployments.apps "nope" not found',
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_kubectl_refuses(lab, line):
    assert kubectl(lab, line) == REFUSED[line]
    assert kubectl(lab, line).exit_code == 1
