"""What is accepted: kinds of others, kinds not modelled, and dumps of real clusters."""

from __future__ import annotations

import pytest

from labkit.api.kinds import KINDS
from labkit.api.manifests import load
from labkit.api.schema import schema
from labkit.errors import ManifestError

KEPT = {
    "Gateway API": "gateway.networking.k8s.io/v1 Gateway",
    "network-policy-api": "policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy",
    "volume snapshots": "snapshot.storage.k8s.io/v1 VolumeSnapshot",
    "a kind of the same name in another group": "projectcalico.org/v3 NetworkPolicy",
    "Istio": "networking.istio.io/v1 VirtualService",
    "a kind of Kubernetes that the lab does not model": "rbac.authorization.k8s.io/v1 ClusterRole",
    "a kind in two groups": "events.k8s.io/v1 Event",
}


@pytest.mark.parametrize("words", KEPT.values(), ids=KEPT)
def test_it_is_kept_as_it_is(words: str) -> None:
    version, kind = words.split()
    given = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "system:a", "labels": {"app": "web"}},
        "spec": {"anything": [1, {"at": "all"}]},
    }
    assert load([given])[0].manifest == given


def test_even_a_kept_object_has_valid_metadata() -> None:
    given = {"apiVersion": "a.example/v1", "kind": "A", "metadata": {"name": "a/b", "lables": {}}}
    with pytest.raises(ManifestError) as refused:
        load([given])
    assert [f.path for f in refused.value.faults] == [".metadata", ".metadata.name"]


DUMP = """\
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    creationTimestamp: "2026-11-20T08:00:00Z"
    generateName: web-6d4cf56db6-
    labels: {app: web, pod-template-hash: 6d4cf56db6}
    managedFields:
    - apiVersion: v1
      fieldsType: FieldsV1
      fieldsV1:
        f:metadata:
          f:generateName: {}
          f:ownerReferences:
            .: {}
            k:{"uid":"0d0c5f5e-0c2e-4b0a-8f0b-0e1f5ad1d0c7"}: {}
      manager: kube-controller-manager
      operation: Update
      time: "2026-11-20T08:00:00Z"
    name: web-6d4cf56db6-x7k2p
    namespace: shop
    ownerReferences:
    - apiVersion: apps/v1
      blockOwnerDeletion: true
      controller: true
      kind: ReplicaSet
      name: web-6d4cf56db6
      uid: 0d0c5f5e-0c2e-4b0a-8f0b-0e1f5ad1d0c7
    resourceVersion: "4711"
    selfLink: /api/v1/namespaces/shop/pods/web-6d4cf56db6-x7k2p
    uid: 6c1a7f1e-5d0b-4e57-9f0e-0b5c3a0f1d11
  spec:
    containers:
    - image: registry.example/web:1
      imagePullPolicy: IfNotPresent
      name: web
      ports:
      - {containerPort: 8080, name: http, protocol: TCP}
      resources: {}
      terminationMessagePath: /dev/termination-log
      terminationMessagePolicy: File
      volumeMounts:
      - {mountPath: /var/run/secrets/kubernetes.io/serviceaccount, name: api-access, readOnly: true}
    dnsPolicy: ClusterFirst
    enableServiceLinks: true
    nodeName: worker-2
    preemptionPolicy: PreemptLowerPriority
    priority: 0
    restartPolicy: Always
    schedulerName: default-scheduler
    securityContext: {}
    serviceAccount: default
    serviceAccountName: default
    terminationGracePeriodSeconds: 30
    tolerations:
    - {effect: NoExecute, key: node.kubernetes.io/not-ready, operator: Exists}
    volumes:
    - name: api-access
      projected:
        defaultMode: 420
        sources:
        - serviceAccountToken: {expirationSeconds: 3607, path: token}
        - downwardAPI:
            items:
            - fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}
              path: namespace
  status:
    conditions:
    - lastProbeTime: null
      lastTransitionTime: "2026-11-20T08:00:05Z"
      observedGeneration: 1
      status: "True"
      type: Ready
    containerStatuses:
    - containerID: containerd://5a1e
      image: registry.example/web:1
      imageID: registry.example/web@sha256:00
      lastState: {}
      name: web
      ready: true
      restartCount: 0
      started: true
      state: {running: {startedAt: "2026-11-20T08:00:04Z"}}
    hostIP: 172.18.0.3
    hostIPs: [{ip: 172.18.0.3}]
    phase: Running
    podIP: 10.244.2.9
    podIPs: [{ip: 10.244.2.9}]
    qosClass: BestEffort
    startTime: "2026-11-20T08:00:00Z"
- apiVersion: discovery.k8s.io/v1
  addressType: IPv4
  endpoints: null
  kind: EndpointSlice
  metadata: {name: web-abcde, namespace: shop, creationTimestamp: null}
  ports: [{name: "", port: 8080, protocol: TCP}]
kind: List
metadata: {resourceVersion: ""}
"""


def test_a_field_without_a_value_is_a_field_that_is_not_there() -> None:
    quantity = {"requests": {"cpu": None, "memory": 1}, "limits": {"cpu": 1, "memory": None}}
    container = {"name": "c", "image": "i", "resources": quantity, "ports": None, "env": None}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "labels": None, "creationTimestamp": None},
        "spec": {"containers": [container], "volumes": None, "hostname": None},
        "status": None,
    }
    assert load([pod])[0].manifest == pod


def test_a_dump_of_a_real_cluster_is_taken_whole() -> None:
    pod, endpoint_slice = (x.manifest for x in load(DUMP))
    assert pod["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]["f:generateName"] == {}
    assert pod["status"]["podIP"] == "10.244.2.9"
    assert endpoint_slice["endpoints"] is None


def test_the_schema_knows_every_kind_that_the_lab_models() -> None:
    for kind in KINDS:
        assert kind.kind in schema().served[kind.api_version]
        assert f"{kind.api_version}/{kind.kind}" in schema().kinds


def test_a_service_may_be_called_by_a_number_since_1_37() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "8080"}}
    service |= {"spec": {"ports": [{"port": 80}]}}
    assert load([service])[0].manifest == service
