"""kubectl on a whole cluster: what it refuses, what it changes."""

from __future__ import annotations

import json

import pytest

from labkit.commands.kubectl import kubectl
from labkit.errors import CommandError
from labkit.lessons.scenarios import scenario

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web, tier: front}}
spec:
  containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]
"""


@pytest.fixture
def lab():
    return scenario("shop")


@pytest.fixture(scope="module")
def still():
    """A cluster for lines that change nothing."""
    lab = scenario("shop")
    lab.apply(POD)
    return lab


def pod_of(lab, workload):
    return kubectl(lab, f"get pods -A -l app={workload} -o jsonpath={{.items[0].metadata.name}}")


# --- refusals, in the words of kubectl 1.37.1 ----------------------------------------------------

USAGE = "\nSee 'kubectl get --help' for usage."
REFUSED = {
    "frob": 'error: unknown command "frob" for "kubectl"',
    "gte pods": 'error: unknown command "gte" for "kubectl"\n\nDid you mean this?\n\tget',
    "get foo": 'error: the server doesn\'t have a resource type "foo"',
    "get pods,foo": 'error: the server doesn\'t have a resource type "foo"',
    "get deploy.foo": 'error: the server doesn\'t have a resource type "deploy" in group "foo"',
    "get pods nope": 'Error from server (NotFound): pods "nope" not found',
    "get pod/nope svc/none": 'Error from server (NotFound): pods "nope" not found\n'
    'Error from server (NotFound): services "none" not found',
    "get deploy nope": 'Error from server (NotFound): deployments.apps "nope" not found',
    "get pods --foo": f"error: unknown flag: --foo{USAGE}",
    "get pods -x": f"error: unknown shorthand flag: 'x' in -x{USAGE}",
    "get pods -n": f"error: flag needs an argument: 'n' in -n{USAGE}",
    "get pods --namespace": f"error: flag needs an argument: --namespace{USAGE}",
    "get pods -o jsonpath": "error: template format specified but no template given",
    "describe foo": 'error: the server doesn\'t have a resource type "foo"',
    "describe pod nope": 'Error from server (NotFound): pods "nope" not found',
    "scale deploy backend": 'error: required flag(s) "replicas" not set',
    "scale deploy nope --replicas=3": 'Error from server (NotFound): deployments.apps "nope" '
    "not found",
    "scale deploy backend --replicas=-2": "error: The --replicas=COUNT flag is required, and "
    "COUNT must be greater than or equal to 0",
    "label pod nope a=b": 'Error from server (NotFound): pods "nope" not found',
    "label pod web app=db": "error: 'app' already has a value (web), and --overwrite is false",
    "label pod web": "error: at least one label update is required",
    "delete pod nope": 'Error from server (NotFound): pods "nope" not found',
    "delete pod": "error: resource(s) were provided, but no name was specified",
    "apply": "error: must specify one of -f and -k",
    "apply -f nope.yaml": 'error: the path "nope.yaml" does not exist',
    "apply -f -": "error: no objects passed to apply",
    "run x": 'error: required flag(s) "image" not set',
    "run web --image=nginx": 'Error from server (AlreadyExists): pods "web" already exists',
    "run x --image=nginx --restart=Foo": "error: invalid restart policy: Foo, valid values are: "
    "Always, OnFailure, Never",
    "run x --image=nginx -l app": "error: unexpected label spec: app",
    "exec nope -- ls": 'Error from server (NotFound): pods "nope" not found',
    "exec web": "error: you must specify at least one command for the container",
    "exec web -c nope -- ls": "error: container nope is not valid for pod web out of: web",
    "logs nope": 'error: error from server (NotFound): pods "nope" not found in namespace '
    '"default"',
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_refusal_is_printed_in_kubectls_words(still, line):
    before = still.state
    output = kubectl(still, line)
    assert output == REFUSED[line]
    assert output.exit_code == 1
    assert still.state is before


UNMODELLED = (
    "",
    "rollout undo deploy/backend",
    "rollout status ds/kube-proxy -n kube-system",
    "get events",
    "get pods -w",
    "get pods -o go-template",
    "apply -k .",
    "config use-context other",
    "get pods 'x",
)


@pytest.mark.parametrize("line", UNMODELLED)
def test_what_the_lab_does_not_model_is_an_error_of_one_line(still, line):
    with pytest.raises(CommandError) as caught:
        kubectl(still, line)
    assert "\n" not in str(caught.value)


# --- looking ----------------------------------------------------------------------------

NAMES = {
    "get pods -l app=web -o name": "pod/web",
    "get pods -l 'app in (web,x),tier!=back' -o name": "pod/web",
    "get pods -l tier -o name": "pod/web",
    "get pods -l '!pod-template-hash' -o name": "pod/web",
    "get --selector app=web pods --output name": "pod/web",
    "kubectl get po web -oname": "pod/web",
    "get pods --field-selector metadata.name=web -o name": "pod/web",
    "get pods --field-selector=status.phase!=Running": "No resources found in default namespace.",
    "get pods -n nowhere": "No resources found in nowhere namespace.",
    "get pods -A -l app=nope": "No resources found",
    "get Services backend -o name": "service/backend",
    "get deployments.apps backend -o name": "deployment.apps/backend",
    "get deploy,svc backend -o name": "deployment.apps/backend\nservice/backend",
    "get netpol": "No resources found in default namespace.",
    "get svc --sort-by=.spec.ports[0].port -o name": "service/backend\nservice/kubernetes\n"
    "service/db\nservice/frontend",
}


@pytest.mark.parametrize("line", NAMES)
def test_get_finds_what_is_meant(still, line):
    assert kubectl(still, line) == NAMES[line]


def test_get_all_lists_kind_by_kind(still):
    kinds = [line.split("/")[0] for line in kubectl(still, "get all -o name").splitlines()]
    assert list(dict.fromkeys(kinds)) == ["pod", "service", "deployment.apps", "replicaset.apps"]


def test_one_object_as_json_is_that_object_and_several_are_a_list(still):
    assert json.loads(kubectl(still, "get pod web -o json"))["kind"] == "Pod"
    assert json.loads(kubectl(still, "get pods -l app=web -o json"))["kind"] == "List"


def test_endpoints_come_with_the_warning_that_they_are_deprecated(still):
    first, *_ = kubectl(still, "get endpoints backend").splitlines()
    assert first.startswith("Warning: v1 Endpoints is deprecated in v1.33+")


def test_script_in_an_annotation_stays_the_text_that_it_is(lab):
    lab.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n"
        "  annotations: {note: '<script>1</script>'}\n"
    )
    assert "<script>1</script>" in kubectl(lab, "describe cm x")


# --- changing ---------------------------------------------------------------------------


def test_apply_reads_stdin_and_says_what_became_of_each_object(lab):
    assert kubectl(lab, "apply -f -", stdin=POD) == "pod/web created"
    assert kubectl(lab, "apply -f -", stdin=POD) == "pod/web unchanged"
    changed = POD.replace("front", "back")
    assert kubectl(lab, "apply -f -", stdin=changed) == "pod/web configured"


def test_apply_puts_objects_into_the_namespace_that_is_asked_for(lab):
    kubectl(lab, "apply -n pay -f -", stdin=POD)
    assert lab.get("pod/pay/web").namespace == "pay"
    assert lab.namespace == "default"


def test_apply_refuses_a_namespace_that_the_manifest_contradicts(lab):
    manifest = POD.replace("name: web, labels", "namespace: ops, name: web, labels")
    output = kubectl(lab, "apply -n pay -f -", stdin=manifest)
    assert output.exit_code == 1
    assert 'does not match the namespace "pay"' in output


def test_a_wrong_manifest_is_refused_with_line_path_fault_and_cure(lab):
    before = lab.state
    output = kubectl(lab, "apply -f -", stdin=POD.replace("containers", "continers"))
    assert output.exit_code == 1
    assert output.startswith("error: ")
    assert "did you mean `containers`?" in output
    assert lab.state is before


def test_a_file_is_applied_and_deleted(lab, tmp_path):
    path = tmp_path / "web.yaml"
    path.write_text(POD)
    assert kubectl(lab, f"apply -f {path}") == "pod/web created"
    assert kubectl(lab, f"get -f {path} -o name") == "pod/web"
    assert kubectl(lab, f"delete -f {path}") == 'pod "web" deleted from default namespace'
    assert kubectl(lab, f"delete -f {path}").exit_code == 1


def test_delete_takes_names_labels_and_all(lab):
    lab.apply(POD)
    assert kubectl(lab, "delete pod -l app=web") == 'pod "web" deleted from default namespace'
    assert kubectl(lab, "delete pod -l app=web") == "No resources found"
    assert kubectl(lab, "delete svc backend db").splitlines() == [
        'service "backend" deleted from default namespace',
        'service "db" deleted from default namespace',
    ]
    assert kubectl(lab, "delete deploy --all -n pay") == (
        'deployment.apps "payments" deleted from pay namespace'
    )


def test_label_adds_changes_and_removes(lab):
    lab.apply(POD)
    assert kubectl(lab, "label pod web zone=a") == "pod/web labeled"
    assert kubectl(lab, "label pod web zone=a") == "pod/web not labeled"
    assert kubectl(lab, "label pod web zone=b --overwrite") == "pod/web labeled"
    assert lab.get("pod/web").labels["zone"] == "b"
    assert kubectl(lab, "label pod web zone-") == "pod/web unlabeled"
    assert kubectl(lab, "label pod web zone-") == 'label "zone" not found.\npod/web not labeled'
    assert "zone" not in lab.get("pod/web").labels


def test_a_label_that_no_selector_wants_takes_the_pod_out_of_its_service(lab):
    name = pod_of(lab, "backend")
    kubectl(lab, f"label pod {name} app=other --overwrite")
    assert name not in kubectl(lab, "get pods -l app=backend -o name")
    assert "app=other" in kubectl(lab, f"get pod {name} --show-labels")


def test_scale_changes_the_number_of_pods(lab):
    assert kubectl(lab, "scale deployment backend --replicas=3") == "deployment.apps/backend scaled"
    assert len(kubectl(lab, "get pods -l app=backend -o name").splitlines()) == 3
    assert kubectl(lab, "get deploy backend --no-headers").split()[1] == "3/3"
    kubectl(lab, "scale --replicas=0 deploy/backend")
    assert kubectl(lab, "get pods -l app=backend") == "No resources found in default namespace."


def test_run_makes_a_pod_with_the_label_run_or_those_asked_for(lab):
    assert kubectl(lab, "run one --image=nginx --port=80") == "pod/one created"
    assert lab.get("pod/one").labels == {"run": "one"}
    kubectl(lab, "run two -n pay --image=nginx --labels=app=two,tier=x")
    assert lab.get("pod/pay/two").labels == {"app": "two", "tier": "x"}


def test_run_rm_prints_the_command_and_deletes_the_pod(lab):
    line = "run t --rm -it --image=busybox --restart=Never -- hostname"
    assert kubectl(lab, line) == 't\npod "t" deleted from default namespace'
    assert kubectl(lab, "get pod t").exit_code == 1


def test_run_rm_tells_that_the_command_failed(lab):
    output = kubectl(lab, "run t --rm -it --image=busybox --restart=Never -- frob")
    assert output.exit_code == 127
    assert output.splitlines()[-1] == "pod default/t terminated (Error)"


def test_exec_runs_in_the_pod_and_passes_the_exit_code_on(lab):
    name = pod_of(lab, "frontend")
    assert kubectl(lab, f"exec -it {name} -- hostname") == name
    assert kubectl(lab, "exec deploy/frontend -- hostname") == name
    output = kubectl(lab, f"exec {name} -- frob")
    assert output == "sh: frob: not found\ncommand terminated with exit code 127"
    assert output.exit_code == 127


def test_the_context_has_a_namespace_that_later_lines_go_by(lab):
    assert kubectl(lab, "config set-context --current --namespace=pay") == 'Context "lab" modified.'
    assert kubectl(lab, "get svc -o name") == "service/payments"
    assert "namespace: pay" in kubectl(lab, "config view --minify")


# --- logs -------------------------------------------------------------------------------


def test_kube_proxy_logs_its_mode_and_no_connection(lab):
    lab.connect("pod/frontend", "svc/backend:80")
    text = kubectl(lab, "logs -n kube-system ds/kube-proxy")
    assert '"Using iptables Proxier"' in text
    assert "10.96." not in text


def test_kube_proxy_is_found_by_its_label_but_not_by_its_bare_name(lab):
    assert kubectl(lab, "logs -n kube-system kube-proxy").exit_code == 1
    found = kubectl(lab, "logs -n kube-system -l k8s-app=kube-proxy --tail=1")
    assert len(found.splitlines()) == 3


def test_other_containers_say_that_they_log_nothing(lab):
    assert kubectl(lab, f"logs {pod_of(lab, 'backend')}").startswith("# the lab runs no programs")
