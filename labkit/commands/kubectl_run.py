"""kubectl's verbs that have to do with running programs: run, exec, logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.api.core import Pod, Service
from labkit.api.find import parse_selector
from labkit.api.names import owner_of, workload_of
from labkit.commands.arguments import Refused, Request
from labkit.commands.dns_log import dns_log
from labkit.commands.kubectl_read import namespace_of
from labkit.commands.kubectl_write import address, standing_in, warned
from labkit.commands.node import run_in
from labkit.commands.output import Output, joined
from labkit.commands.proxy_log import proxy_log
from labkit.commands.resources import kind_of, of_kind
from labkit.controllers.kubelet import last_words
from labkit.dns.process import is_coredns
from labkit.errors import CommandError, Conflict

if TYPE_CHECKING:
    from labkit.cluster import Cluster

RESTARTS = ("Always", "OnFailure", "Never")


# --- run -------------------------------------------------------------------------------


def run(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl run NAME --image=IMAGE`: one pod; with `-it -- COMMAND` the command's output.

    *The lab simplifies*: the pod stays Running when an attached command has ended, and its
    clock does not move while kubectl waits.
    """
    if not request.text("image"):
        raise Refused('error: required flag(s) "image" not set')
    if not request.words:
        raise Refused("error: NAME is required for run\nSee 'kubectl run -h' for help and examples")
    attached = request.on("stdin") or request.on("attach") or request.on("tty")
    if request.on("rm") and not attached:
        raise Refused("error: --rm should only be used for attached containers")
    name, namespace = request.words[0], namespace_of(lab, request)
    with standing_in(lab, namespace):
        try:
            (done,) = lab.create([_pod(request, name, namespace, attached)])
        except Conflict as conflict:
            if "already exists" in str(conflict):
                raise Refused(f"Error from server (AlreadyExists): {conflict}") from None
            raise
    if not attached:
        return Output("\n".join([*warned(done), str(done)]))
    return _attached(lab, request, f"{namespace}/{name}")


def _pod(request: Request, name: str, namespace: str, attached: bool) -> dict[str, Any]:
    restart = request.text("restart", "Always")
    if restart not in RESTARTS:
        have = ", ".join(RESTARTS)
        raise Refused(f"error: invalid restart policy: {restart}, valid values are: {have}")
    container: dict[str, Any] = {"name": name, "image": request.text("image")}
    words = (*request.words[1:], *request.command)
    if words and not attached:
        container["command" if request.on("command") else "args"] = list(words)
    if request.text("port"):
        container["ports"] = [{"containerPort": request.number("port", 0)}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": _labels(request, name)},
        "spec": {"containers": [container], "restartPolicy": restart},
    }


def _labels(request: Request, name: str) -> dict[str, str]:
    text = request.text("labels")
    items = [item.strip() for item in text.split(",") if item.strip()] or [f"run={name}"]
    for item in items:
        if "=" not in item:
            raise Refused(f"error: unexpected label spec: {item}")
    return dict(item.split("=", 1) for item in items)


def _attached(lab: Cluster, request: Request, name: str) -> Output:
    """The command's output; with `--rm` the pod goes afterwards, whatever came of it."""
    command = (*request.words[1:], *request.command)
    if not command:
        raise CommandError("kubectl run -it: the lab has no shell; write the command behind --")
    try:
        output = run_in(lab, f"pod/{name}", list(command))
    finally:
        deleted = lab.delete(f"pod/{name}") if request.on("rm") else ()
    restart = request.text("restart", "Always")
    shown = output if restart == "Never" else Output(f"{output}\n")
    resume = [Output(_resume(name))] if restart == "Always" and request.on("tty") else []
    gone = (Output(str(d)) for d in deleted)
    return joined([shown, *resume, *gone, *_end(restart, name, output)])


def _resume(name: str) -> str:
    """What attaching to a pod that restarts ends with. Source: kubernetes/kubernetes#135790."""
    namespace, _, pod = name.partition("/")
    command = f"kubectl attach {pod} -c {pod} -n {namespace} -i -t"
    return f"Session ended, resume using '{command}' command"


def _end(restart: str, name: str, output: Output) -> list[Output]:
    """What kubectl says when the command failed, and its own exit code.

    With Always, which is what it takes by itself, kubectl does not wait to see how the command
    ends: its exit code is 0. With OnFailure it waits a minute for a success. Source: the flag
    `restart` and `RunOptions.Run` in kubectl `pkg/cmd/run/run.go`.
    """
    if not output.exit_code:
        return []
    match restart:
        case "Never":
            return [Output(f"pod {name} terminated (Error)", output.exit_code)]
        case "OnFailure":
            return [Output("error: timed out waiting for the condition", 1)]
        case _:
            return []


# --- exec ------------------------------------------------------------------------------


def exec_(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl exec POD -- COMMAND`."""
    usage = "\nSee 'kubectl exec -h' for help and examples"
    if not request.words:
        raise Refused(f"error: pod, type/name or --filename must be specified{usage}")
    if len(request.words) > 1:
        raise Refused(
            "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] "
            f"instead{usage}"
        )
    if not request.command:
        raise Refused("error: you must specify at least one command for the container")
    pods = _pods(lab, request, request.words[0], "Error from server (NotFound): ", "")
    hint = _container(request, pods[0])
    output = run_in(lab, address(pods[0]), list(request.command))
    code = output.exit_code
    failed = [Output(f"command terminated with exit code {code}", code)] if code else []
    return joined([*hint, output, *failed])


def _pods(lab: Cluster, request: Request, word: str, before: str, behind: str) -> list[Pod]:
    """The pods of `NAME` or `TYPE/NAME`, at least one; else the error around what is missing."""
    namespace = namespace_of(lab, request)
    type_, slash, name = word.rpartition("/")
    kind = kind_of(type_, lab.state) if slash else kind_of("pods", lab.state)
    found = [o for o in of_kind(lab.state, kind, namespace) if o.name == name]
    if not found:
        raise Refused(f'{before}{kind.resource} "{name}" not found{behind}')
    first = found[0]
    if isinstance(first, Pod):
        return [first]
    pods = [p for p in lab.state.list(Pod, namespace) if _belongs(lab, p, first)]
    if not pods:
        raise Refused(f"error: timed out waiting for the condition: {word} has no pods")
    return pods


def _belongs(lab: Cluster, pod: Pod, owner: Any) -> bool:
    """Is the pod the workload's, or chosen by the Service's selector?"""
    if isinstance(owner, Service):
        return owner.spec.selects(pod.labels)
    direct = owner_of(pod) == f"{type(owner).__name__}/{owner.name}"
    return direct or (workload_of(lab.state, pod) == owner.name and bool(owner_of(pod)))


def _container(request: Request, pod: Pod) -> list[Output]:
    """The line that kubectl prints when it has to choose a container; none if it has not."""
    names = [c.name for c in pod.spec.containers]
    listed = ", ".join([*names, *(f"{c.name} (init)" for c in pod.spec.init_containers)])
    plain = [*names, *(c.name for c in pod.spec.init_containers)]
    wanted = request.text("container")
    if wanted and wanted not in plain:
        have = ", ".join(plain)
        raise Refused(f"error: container {wanted} is not valid for pod {pod.name} out of: {have}")
    if wanted or len(plain) == 1:
        return []
    return [Output(f'Defaulted container "{names[0]}" out of: {listed}')]


# --- logs ------------------------------------------------------------------------------

NO_LOG = "# the lab runs no programs: this container has written no log"


def logs(lab: Cluster, request: Request, stdin: str | None) -> Output:
    """`kubectl logs`: kube-proxy's start-up lines, and the error that a crashed program left."""
    if request.text("selector"):
        wanted = parse_selector(request.text("selector"))
        namespace = namespace_of(lab, request)
        pods = [
            p for p in lab.state.list(Pod, namespace) if all(r.matches(p.labels) for r in wanted)
        ]
        if not pods:
            return Output(f"No resources found in {namespace} namespace.")
        lines = request.number("tail", 10)
        return joined([_log(lab, request, pod, lines) for pod in pods])
    if not request.words:
        raise Refused(
            "error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n"
            "POD or TYPE/NAME is a required argument for the logs command\n"
            "See 'kubectl logs -h' for help and examples"
        )
    namespace = namespace_of(lab, request)
    before = "error: error from server (NotFound): "
    pods = _pods(lab, request, request.words[0], before, f' in namespace "{namespace}"')
    several = len(pods) > 1
    head = [Output(f"Found {len(pods)} pods, using pod/{pods[0].name}")] if several else []
    return joined([*head, _log(lab, request, pods[0], request.number("tail", -1))])


def _log(lab: Cluster, request: Request, pod: Pod, tail: int) -> Output:
    hint = _container(request, pod)
    is_proxy = any("kube-proxy" in (c.image, c.name) for c in pod.spec.containers)
    text = proxy_log(lab.state, pod) if is_proxy else _last_words(lab, request, pod) or NO_LOG
    if text == NO_LOG and is_coredns(pod):
        text = dns_log(lab, pod)
    lines = text.splitlines()
    return joined([*hint, Output("\n".join(lines[-tail:] if tail > 0 else lines))])


def _last_words(lab: Cluster, request: Request, pod: Pod) -> str:
    """What a container that ended in an error wrote before; empty if it did not end."""
    name = request.text("container") or pod.spec.containers[0].name
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        ended = status.state.terminated or status.last_state.terminated
        if status.name == name and ended:
            return last_words(lab.state, pod).get(name, "") or ended.message
    return ""
