"""What `%load_ext labkit.notebook` adds to a shell."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from labkit import scenario
from labkit.commands.output import Output


@pytest.fixture
def shell():
    made = InteractiveShell()
    made.run_line_magic("load_ext", "labkit.notebook")
    made.user_ns["lab"] = scenario("shop")
    return made


def said(shell, cell):
    with capture_output() as captured:
        shell.run_cell(cell)
    return captured.stdout.strip()


def test_a_mistake_is_one_line_without_the_inside_of_the_lab(shell):
    words = said(shell, 'lab.trace("pod/frontend", "svc/backend:8080")')
    assert len(words.splitlines()) == 1
    assert words.startswith("NotFound: svc/backend:8080")


def test_other_errors_keep_their_traceback(shell):
    assert "Traceback" in said(shell, "1 / 0")


def test_the_magics_are_kubectl_and_on(shell):
    assert "backend" in said(shell, "%kubectl get pods")
    assert "default via" in said(shell, "%on node-1 ip route")
    manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: stage}"
    assert "namespace/stage created" in said(shell, f"%%kubectl apply -f -\n{manifest}")


def test_words_of_a_command_are_text_in_html(shell):
    html = shell.display_formatter.format(Output("<script>x</script>"))[0]["text/html"]
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_magic_without_a_lab_says_what_to_run(shell):
    del shell.user_ns["lab"]
    assert "run lab = scenario" in said(shell, "%kubectl get pods")
