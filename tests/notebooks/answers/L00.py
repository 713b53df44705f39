"""Answers to L00's exercises: what solves them, and what beginners try."""

SERVICE = '''answer = lab.fork()
answer.apply("""apiVersion: v1
kind: Service
metadata: {name: cart}
spec:
  selector: {%s}
  ports: [{port: %s, targetPort: %s}]
""")'''

SOLVED = [
    ("L00-1", "the word without its s", SERVICE % ("app: cart", 80, 8080)),
    ("L00-1", "the pods' other label", SERVICE % ("tier: checkout", 80, 8080)),
    ("L00-1", "both labels", SERVICE % ("app: cart, tier: checkout", 80, 8080)),
    (
        "L00-2",
        "one pod again",
        'kubectl(lab, "scale deployment backend --replicas=1"); answer = lab',
    ),
    ("L00-2", "three pods", 'kubectl(lab, "scale deployment backend --replicas=3"); answer = lab'),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L00-1", "the frontend's label", SERVICE % ("app: frontend", 80, 8080), "NOT YET", ""),
    (
        "L00-1",
        "the port in place of the label",
        SERVICE % ("app: carts", 8080, 8080),
        "NOT YET",
        "",
    ),
    ("L00-1", "nothing changed", "answer = lab.fork()", "NOT YET", ""),
    (
        "L00-1",
        "the label on the one pod that runs",
        'answer = lab.fork()\nkubectl(answer, "label pod -l app=cart app=carts --overwrite")',
        "NOT YET",
        "",
    ),
    ("L00-2", "nothing changed", "answer = lab", "NOT YET", ""),
    ("L00-2", "a fresh shop", 'answer = scenario("shop")', "NOT YET", ""),
    (
        "L00-2",
        "the Deployment deleted",
        'kubectl(lab, "delete deployment backend"); answer = lab',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L00-2",
        "the Service sent to the frontend",
        "answer = lab\nlab.apply('''apiVersion: v1\nkind: Service\nmetadata: {name: backend}\n"
        "spec:\n  selector: {app: frontend}\n  ports: [{port: 80, targetPort: 8080}]''')",
        "NOT YET",
        "",
    ),
    (
        "L00-2",
        "a pod of one's own, that nobody looks after",
        'kubectl(lab, "run backend --image=shop.example/backend:1.0 --labels=app=backend'
        ' --port=8080"); answer = lab',
        "NOT YET",
        "",
    ),
    (
        "L00-2",
        "the wrong workload scaled",
        'kubectl(lab, "scale deployment db --replicas=0"); answer = lab',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
]
