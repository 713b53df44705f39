"""`kubectl describe` of pods and of what makes them.

Source: kubernetes/kubectl `pkg/describe/describe.go`. *The lab simplifies*: image ids, volumes
of service account tokens and pod priority are not modelled and do not show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.api.apps import DaemonSet, Deployment, Job, PodTemplate, ReplicaSet, StatefulSet
from labkit.api.core import Pod
from labkit.api.meta import LabelSelector, Object
from labkit.api.names import owner_of
from labkit.api.objects import encode
from labkit.api.state import State
from labkit.commands.age import age, long_date
from labkit.commands.cells import labels_text, selector_text
from labkit.commands.described import (
    NO_EVENTS,
    Lines,
    controlled_by,
    labels,
    named,
    notes,
)

Plain = Mapping[str, Any]

# --- Pod -------------------------------------------------------------------------------


def pod(obj: Pod, state: State) -> Lines:
    shown = encode(obj)
    spec, status = shown.get("spec", {}), shown.get("status", {})
    yield from named(obj)
    yield f"Service Account:\t{obj.spec.service_account_name or 'default'}"
    place = f"{obj.spec.node_name}/{obj.status.host_ip}" if obj.spec.node_name else "<none>"
    yield f"Node:\t{place}"
    if obj.status.start_time:
        yield f"Start Time:\t{long_date(obj.status.start_time)}"
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    yield from _phase(obj, state.now)
    for title, text in (("Reason", obj.status.reason), ("Message", obj.status.message)):
        if text:
            yield f"{title}:\t{text}"
    yield f"IP:\t{obj.addresses[0] if obj.addresses else ''}"
    yield "IPs:" if obj.addresses else "IPs:\t<none>"
    yield from (f"  IP:\t{address}" for address in obj.addresses)
    yield from controlled_by(obj)
    for title, field, statuses in (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
    ):
        if spec.get(field):
            yield f"{title}:"
            yield from _containers(spec[field], "  ", status.get(statuses, []))
    if obj.status.conditions:
        yield from ("Conditions:", "  Type\tStatus")
        yield from (f"  {c.type} \t{c.status} " for c in obj.status.conditions)
    yield from _volumes(spec, "")
    yield f"QoS Class:\t{status.get('qosClass') or _quality(spec)}"
    yield from _placement(spec, "")
    yield NO_EVENTS


def _quality(spec: Plain) -> str:
    """Source: `GetPodQOS` in Kubernetes `pkg/apis/core/v1/helper/qos/qos.go`."""
    wanted = [c.get("resources", {}) for c in spec.get("containers", ())]
    if not any(w.get("requests") or w.get("limits") for w in wanted):
        return "BestEffort"
    full = all({"cpu", "memory"} <= w.get("limits", {}).keys() for w in wanted)
    same = all(w.get("requests", w.get("limits")) == w.get("limits") for w in wanted)
    return "Guaranteed" if full and same else "Burstable"


def _containers(containers: Sequence[Plain], indent: str, statuses: Sequence[Plain] = ()) -> Lines:
    by_name = {status["name"]: status for status in statuses}
    for container in containers:
        status = by_name.get(container["name"])
        yield f"{indent}{container['name']}:"
        if status is not None:
            yield f"    Container ID:\t{status.get('containerID', '')}"
        yield f"    Image:\t{container.get('image', '')}"
        if status is not None:
            yield f"    Image ID:\t{status.get('imageID', '')}"
        yield from _ports(container.get("ports", ()))
        for title in ("Command", "Args"):
            words = container.get(title.lower(), ())
            if words:
                yield f"    {title}:"
                yield from (f"      {line}" for word in words for line in word.split("\n"))
        if status is not None:
            yield from _state("State", status.get("state", {}))
            if status.get("lastState"):
                yield from _state("Last State", status["lastState"])
            yield f"    Ready:\t{bool(status.get('ready'))}"
            yield f"    Restart Count:\t{status.get('restartCount', 0)}"
        yield from _resources(container)
        yield from _probes(container)
        yield from _environment(container)
        yield from _mounts(container)


def _ports(ports: Sequence[Plain]) -> Lines:
    """Declared ports and host ports; 0 stands for no host port."""
    plural = "s" if len(ports) > 1 else ""
    for title, field in (("Port", "containerPort"), ("Host Port", "hostPort")):
        shown = [
            f"{p.get(field, 0)}/{p.get('protocol', 'TCP')}"
            + (f" ({p['name']})" if p.get("name") else "")
            for p in ports
        ]
        yield f"    {title}{plural}:\t{', '.join(shown) or '<none>'}"


def _state(title: str, state: Plain) -> Lines:
    waiting: tuple[str, Plain] = ("waiting", {})
    kind, detail = next(iter(state.items()), waiting)
    yield f"    {title}:\t{kind.capitalize()}"
    if detail.get("reason"):
        yield f"      Reason:\t{detail['reason']}"
    if kind == "terminated":
        if detail.get("message"):
            yield f"      Message:\t{detail['message']}"
        yield f"      Exit Code:\t{detail.get('exitCode', 0)}"
    for word, field in (("Started", "startedAt"), ("Finished", "finishedAt")):
        if detail.get(field):
            yield f"      {word}:\t{long_date(detail[field])}"


def _resources(container: Plain) -> Lines:
    for title in ("Limits", "Requests"):
        amounts = container.get("resources", {}).get(title.lower())
        if amounts:
            yield f"    {title}:"
            yield from (f"      {name}:\t{amounts[name]}" for name in sorted(amounts))


def _phase(obj: Pod, now: float) -> Lines:
    until = obj.metadata.deletion_timestamp
    yield f"Status:\t{f'Terminating (lasts {age(until, now)})' if until else obj.status.phase}"
    if until:
        yield f"Termination Grace Period:\t{obj.metadata.deletion_grace_period_seconds or 0}s"


PROBE_DEFAULTS = {
    "delay": ("initialDelaySeconds", 0),
    "timeout": ("timeoutSeconds", 1),
    "period": ("periodSeconds", 10),
    "successThreshold": ("successThreshold", 1),
    "failureThreshold": ("failureThreshold", 3),
}


def _probes(container: Plain) -> Lines:
    for word in ("liveness", "readiness", "startup"):
        probe = container.get(f"{word}Probe")
        if probe:
            numbers = []
            for name, (field, default) in PROBE_DEFAULTS.items():
                unit = "s" if name in ("delay", "timeout", "period") else ""
                numbers.append(f"{name}={probe.get(field, default)}{unit}")
            yield f"    {word.capitalize()}:\t{_action(probe)} {' '.join(numbers)}"


def _action(probe: Plain) -> str:
    if http := probe.get("httpGet"):
        scheme = http.get("scheme", "HTTP").lower()
        return f"http-get {scheme}://{http.get('host', '')}:{http['port']}{http.get('path', '')}"
    if tcp := probe.get("tcpSocket"):
        return f"tcp-socket {tcp.get('host', '')}:{tcp['port']}"
    if grpc := probe.get("grpc"):
        return f"grpc <pod>:{grpc['port']} {grpc.get('service') or ''}"
    return f"exec {probe.get('exec', {}).get('command', [])}".replace(",", "").replace("'", "")


def _environment(container: Plain) -> Lines:
    env = container.get("env", ())
    yield "    Environment:" if env else "    Environment:\t<none>"
    for item in env:
        source = item.get("valueFrom", {})
        text = item.get("value", "")
        for field, what in (("configMapKeyRef", "config map"), ("secretKeyRef", "secret")):
            if ref := source.get(field):
                found = f"<set to the key '{ref['key']}' in {what} '{ref['name']}'>"
                text = f"{found}\tOptional: {str(ref.get('optional', False)).lower()}"
        if ref := source.get("fieldRef"):
            text = f" ({ref.get('apiVersion', 'v1')}:{ref['fieldPath']})"
        yield f"      {item['name']}:\t{text}"


def _mounts(container: Plain) -> Lines:
    mounts = sorted(container.get("volumeMounts", ()), key=lambda m: str(m["mountPath"]))
    yield "    Mounts:" if mounts else "    Mounts:\t<none>"
    for mount in mounts:
        flags = "ro" if mount.get("readOnly") else "rw"
        if mount.get("subPath"):
            flags += f',path="{mount["subPath"]}"'
        yield f"      {mount['mountPath']} from {mount['name']} ({flags})"


VOLUMES = {
    # source in the API: (what describe calls it, (title, field) of its lines)
    "emptyDir": (
        "EmptyDir (a temporary directory that shares a pod's lifetime)",
        (("Medium", "medium"), ("SizeLimit", "sizeLimit")),
    ),
    "configMap": ("ConfigMap (a volume populated by a ConfigMap)", (("Name", "name"),)),
    "secret": ("Secret (a volume populated by a Secret)", (("SecretName", "secretName"),)),
    "hostPath": (
        "HostPath (bare host directory volume)",
        (("Path", "path"), ("HostPathType", "type")),
    ),
}


def _volumes(spec: Plain, indent: str) -> Lines:
    volumes = spec.get("volumes", ())
    yield f"{indent}Volumes:" if volumes else f"{indent}Volumes:\t<none>"
    for volume in volumes:
        yield f"{indent and ' '}  {volume['name']}:"
        source = next((name for name in volume if name != "name"), "emptyDir")
        words, fields = VOLUMES.get(source, (source[0].upper() + source[1:], ()))
        yield f"    Type:\t{words}"
        detail = volume.get(source) or {}
        for title, field in fields:
            default = "<unset>" if title == "SizeLimit" else ""
            yield f"    {title}:\t{detail.get(field, default)}"
        if source in ("configMap", "secret"):
            yield f"    Optional:\t{str(detail.get('optional', False)).lower()}"


def _placement(spec: Plain, indent: str) -> Lines:
    selectors = spec.get("nodeSelector", {})
    yield from labels(selectors, indent, "Node-Selectors")
    tolerations = sorted(spec.get("tolerations", ()), key=lambda t: str(t.get("key", "")))
    for number, text in enumerate([_toleration(t) for t in tolerations] or ["<none>"]):
        yield f"{indent}\t{text}" if number else f"{indent}Tolerations:\t{text}"


def _toleration(item: Plain) -> str:
    text = str(item.get("key", ""))
    if item.get("value"):
        text += f"={item['value']}"
    if item.get("effect"):
        text += f":{item['effect']}"
    if item.get("operator") == "Exists":
        text += " op=Exists" if text else "op=Exists"
    if item.get("tolerationSeconds") is not None:
        text += f" for {item['tolerationSeconds']}s"
    return text


# --- what makes pods ------------------------------------------------------------------------


def _template(template: PodTemplate, shown: Plain) -> Lines:
    """`shown` is the template as the API prints it, unmodelled fields included."""
    spec = shown.get("spec", {})
    yield "Pod Template:"
    yield from labels(template.metadata.labels, "  ")
    if template.metadata.annotations:
        yield from notes(template.metadata.annotations, "  ")
    if template.spec.service_account_name:
        yield f"  Service Account:\t{template.spec.service_account_name}"
    for title, field in (("Init Containers", "initContainers"), ("Containers", "containers")):
        if spec.get(field):
            yield f"  {title}:"
            yield from _containers(spec[field], "   ")
    yield from _volumes(spec, "  ")
    yield from _placement(spec, "  ")


def _template_of(obj: Deployment | ReplicaSet | StatefulSet | DaemonSet | Job) -> Lines:
    return _template(obj.spec.template, encode(obj).get("spec", {}).get("template", {}))


def _pods_status(obj: Object, selector: LabelSelector | None, state: State) -> str:
    kind = type(obj).__name__
    own = [
        p
        for p in state.list(Pod, obj.namespace)
        if owner_of(p) == f"{kind}/{obj.name}" and selector and selector.matches(p.labels)
    ]
    count = Counter(p.status.phase for p in own)
    return (
        f"{count['Running']} Running / {count['Pending']} Waiting / "
        f"{count['Succeeded']} Succeeded / {count['Failed']} Failed"
    )


def deployment(obj: Deployment, state: State) -> Lines:
    spec, status = obj.spec, obj.status
    yield from named(obj)
    yield f"CreationTimestamp:\t{long_date(obj.metadata.creation_timestamp)}"
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    yield f"Selector:\t{selector_text(spec.selector)}"
    yield (
        f"Replicas:\t{spec.replicas} desired | {status.updated_replicas} updated | "
        f"{status.replicas} total | {status.available_replicas} available | "
        f"{status.unavailable_replicas} unavailable"
    )
    yield f"StrategyType:\t{spec.strategy.type}"
    yield f"MinReadySeconds:\t{spec.min_ready_seconds}"
    rolling = spec.strategy.rolling_update
    if rolling:
        bounds = f"{rolling.max_unavailable} max unavailable, {rolling.max_surge} max surge"
        yield f"RollingUpdateStrategy:\t{bounds}"
    yield from _template_of(obj)
    if status.conditions:
        yield from ("Conditions:", "  Type\tStatus\tReason", "  ----\t------\t------")
        yield from (f"  {c.type} \t{c.status}\t{c.reason}" for c in status.conditions)
    yield from _replica_sets(obj, state)
    yield NO_EVENTS


def _replica_sets(obj: Deployment, state: State) -> Lines:
    """The ReplicaSet of the present template, and older ones that still have pods."""
    owned = [
        r for r in state.list(ReplicaSet, obj.namespace) if owner_of(r) == f"Deployment/{obj.name}"
    ]
    new = [r for r in owned if r.spec.template.spec == obj.spec.template.spec][-1:]
    old = [r for r in owned if r not in new and r.spec.replicas]
    for title, found in (("OldReplicaSets", old), ("NewReplicaSet", new)):
        texts = (
            f"{r.name} ({r.status.replicas}/{r.spec.replicas} replicas created)" for r in found
        )
        yield f"{title}:\t{', '.join(texts) or '<none>'}"


def replica_set(obj: ReplicaSet, state: State) -> Lines:
    yield from named(obj)
    yield f"Selector:\t{selector_text(obj.spec.selector)}"
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    yield from controlled_by(obj)
    yield f"Replicas:\t{obj.status.replicas} current / {obj.spec.replicas} desired"
    yield f"Pods Status:\t{_pods_status(obj, obj.spec.selector, state)}"
    yield from _template_of(obj)
    yield NO_EVENTS


def stateful_set(obj: StatefulSet, state: State) -> Lines:
    yield from named(obj)
    yield f"CreationTimestamp:\t{long_date(obj.metadata.creation_timestamp)}"
    yield f"Selector:\t{selector_text(obj.spec.selector)}"
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    if obj.spec.service_name:
        yield f"Service Name:\t{obj.spec.service_name}"
    yield f"Replicas:\t{obj.spec.replicas} desired | {obj.status.replicas} total"
    yield from ("Update Strategy:\tRollingUpdate", "  Partition:\t0")
    yield f"Pods Status:\t{_pods_status(obj, obj.spec.selector, state)}"
    yield from _template_of(obj)
    yield "Volume Claims:\t<none>"
    yield NO_EVENTS


def daemon_set(obj: DaemonSet, state: State) -> Lines:
    status = obj.status
    yield from named(obj)
    yield f"Selector:\t{selector_text(obj.spec.selector)}"
    yield f"Node-Selector:\t{labels_text(obj.spec.template.spec.node_selector)}"
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    nodes = "Number of Nodes Scheduled"
    yield f"Desired {nodes}: {status.desired_number_scheduled}"
    yield f"Current {nodes}: {status.current_number_scheduled}"
    yield f"{nodes} with Up-to-date Pods: {status.updated_number_scheduled}"
    yield f"{nodes} with Available Pods: {status.number_available}"
    yield "Number of Nodes Misscheduled: 0"
    yield f"Pods Status:\t{_pods_status(obj, obj.spec.selector, state)}"
    yield from _template_of(obj)
    yield NO_EVENTS


def job(obj: Job, state: State) -> Lines:
    status = obj.status
    yield from named(obj)
    yield f"Selector:\t{selector_text(obj.spec.selector)}"
    yield from labels(obj.labels)
    yield from notes(obj.annotations)
    yield from controlled_by(obj)
    yield f"Parallelism:\t{obj.spec.parallelism}"
    yield f"Completions:\t{obj.spec.completions or '<unset>'}"
    yield (
        f"Pods Statuses:\t{status.active} Active ({status.ready} Ready) / "
        f"{status.succeeded} Succeeded / {status.failed} Failed"
    )
    yield from _template_of(obj)
    yield NO_EVENTS
