"""Answers to L07's exercises: what solves them, and what beginners try."""


def release(unavailable: str, pause: str, more: str = "") -> str:
    """The release with these two values; `more` goes on behind the text."""
    return (
        "answer = lab.fork()\n"
        f'answer.apply(release.replace("maxUnavailable: 1", "maxUnavailable: {unavailable}")'
        f'.replace("seconds: 0", "seconds: {pause}"){more})'
    )


def other(old: str, new: str) -> str:
    return f".replace({old!r}, {new!r})"


def evening(old: str, new: str) -> str:
    return f"lab.apply(evening.replace({old!r}, {new!r}))\nanswer = lab"


NO_PROBE = """          readinessProbe: {httpGet: {path: /ready, port: 8080},
                           periodSeconds: 2}
"""
COMMAND = '{exec: {command: ["sh", "-c", "sleep 5"]}}'
EVENING_PROBE = "          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 2}\n"
UNREADY = '''lab.apply("""apiVersion: v1
kind: Service
metadata: {name: payments, namespace: pay}
spec:
  selector: {app: payments}
  publishNotReadyAddresses: true
  ports: [{port: 8443, targetPort: 8443}]
""")
answer = lab'''
TARGET = '''lab.apply("""apiVersion: v1
kind: Service
metadata: {name: payments, namespace: pay}
spec: {selector: {app: payments}, ports: [{port: 8443, targetPort: 8080}]}
""")
answer = lab'''

SOLVED = [
    ("L07-1", "one leaves at a time, after five seconds", release("1", "5")),
    ("L07-1", "nobody may be missing, the least pause", release("0", "2")),
    ("L07-1", "half of them, three seconds", release("50%", "3")),
    ("L07-1", "all leave, and wait until new ones are known", release("100%", "12")),
    (
        "L07-1",
        "a command in place of the action",
        release("1", "0", other("{sleep: {seconds: 0}}", COMMAND)),
    ),
    (
        "L07-1",
        "three new ones at once, and nobody missing",
        release("0", "2", other("maxSurge: 1", "maxSurge: 3")),
    ),
    ("L07-2", "the probe asks where the program listens", evening("port: 8080", "port: 8443")),
    ("L07-2", "the probe asks by the port's name", evening("port: 8080", "port: https")),
    (
        "L07-2",
        "and it asks later, too",
        evening("{port: 8080}", "{port: 8443}, initialDelaySeconds: 45"),
    ),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L07-1", "nothing changed", release("100%", "0"), "NOT YET", "M11"),
    ("L07-1", "one at a time, and no pause", release("1", "0"), "NOT YET", "M11"),
    ("L07-1", "a pause shorter than the delay", release("1", "1"), "NOT YET", "M11"),
    ("L07-1", "a pause, and yet all leave", release("100%", "5"), "NOT YET", "M11"),
    (
        "L07-1",
        "no probe, so that all is quick",
        release("1", "5", other(NO_PROBE, "")),
        "NOT YET",
        "M11",
    ),
    (
        "L07-1",
        "all old ones first, then the new ones",
        release(
            "1", "5", other("rollingUpdate: {maxSurge: 1, maxUnavailable: 1}", "type: Recreate")
        ),
        "NOT YET",
        "M11",
    ),
    (
        "L07-1",
        "fewer pods",
        release("1", "5", other("replicas: 3", "replicas: 2")),
        "NOT YET",
        "",
    ),
    (
        "L07-1",
        "a release that never begins",
        release("1", "5", other("replicas: 3", "replicas: 3\n  paused: true")),
        "NOT YET",
        "",
    ),
    (
        "L07-1",
        "a release that nobody calls any more",
        release("1", "5") + '\nkubectl(answer, "delete service backend")',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L07-2", "nothing changed", "answer = lab", "NOT YET", "M11"),
    ("L07-2", "waiting", "lab.wait(600)\nanswer = lab", "NOT YET", "M11"),
    ("L07-2", "no probe at all", evening(EVENING_PROBE, ""), "NOT YET", "M11"),
    ("L07-2", "the unready pod published", UNREADY, "NOT YET", "M11"),
    ("L07-2", "the Service sent to the probe's port", TARGET, "NOT YET", "M06"),
    (
        "L07-2",
        "a containerPort to open the port",
        evening("containerPort: 8443", "containerPort: 8080"),
        "NOT YET",
        "M06",
    ),
    (
        "L07-2",
        "a program that listens where the probe knocks",
        evening("listens: 8443/TCP", 'listens: "8443/TCP,8080/TCP"'),
        "NOT YET",
        "M11",
    ),
    (
        "L07-2",
        "a program that needs no time, and no probe",
        "lab.apply(evening.replace('starts-in: \"4\"', 'starts-in: \"0\"')"
        f".replace({EVENING_PROBE!r}, ''))\nanswer = lab",
        "NOT YET",
        "M11",
    ),
    (
        "L07-2",
        "a pod by hand",
        'kubectl(lab, "delete deployment payments -n pay")\n'
        'kubectl(lab, "run payments -n pay --image=x --port=8443 --labels=app=payments")\n'
        "answer = lab",
        "NOT YET",
        "",
    ),
    (
        "L07-2",
        "more pods of the same kind",
        'kubectl(lab, "scale deployment payments -n pay --replicas=3")\nanswer = lab',
        "NOT YET",
        "M11",
    ),
    (
        "L07-2",
        "the backend lost on the way",
        'kubectl(lab, "delete service backend")\nanswer = lab',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
]
