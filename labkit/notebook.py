"""`%load_ext labkit.notebook`: how the lab's values look in a notebook, and its magics.

The model does not know that it can be drawn: formatters are registered here, by type name,
and load nothing before the first value is shown. The magics are the functions `kubectl` and
`on` on the variable `lab`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.errors import CommandError, LabError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from labkit.cluster import Cluster
    from labkit.commands.output import Output


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext`: registers formatters and magics with this shell only."""
    assert shell.display_formatter is not None  # every shell that shows values has one
    html = shell.display_formatter.formatters["text/html"]
    html.for_type_by_name("labkit.traffic.connection", "Connection", _connection_html)
    html.for_type_by_name("labkit.lessons.check", "Feedback", _feedback_html)
    html.for_type_by_name("labkit.commands.output", "Output", _output_html)
    for name in ("Allowed", "Explanation"):
        html.for_type_by_name("labkit.traffic.meaning", name, _words_html)

    shell.set_custom_exc((LabError,), _one_line)

    def kubectl_magic(line: str, cell: str | None = None) -> Output:
        from labkit.commands.kubectl import kubectl

        return kubectl(_lab(shell), line, stdin=cell)

    def on_magic(line: str) -> Output:
        from labkit.commands.node import on

        place, _, command = line.strip().partition(" ")
        return on(_lab(shell), place, command)

    # IPython's own annotation of this method takes the shell for the function.
    register: Any = shell.register_magic_function
    register(kubectl_magic, "line_cell", "kubectl")
    register(on_magic, "line", "on")


def _one_line(shell: Any, kind: type[LabError], error: LabError, *_: Any, **__: Any) -> list[str]:
    """A learner's mistake is said in its own words, without the lab's inside in front of them."""
    lines = [f"{kind.__name__}: {line}" for line in str(error).splitlines()]
    shell._showtraceback(kind, error, lines)  # IPython leaves the showing to a custom handler
    return lines


def _lab(shell: InteractiveShell) -> Cluster:
    from labkit.cluster import Cluster

    lab = shell.user_ns.get("lab")
    if not isinstance(lab, Cluster):
        raise CommandError('the magics work on the variable lab; run lab = scenario("shop") first')
    return lab


def _connection_html(connection: Any) -> str:
    from labkit.views import trace_html

    return trace_html(connection)


def _feedback_html(feedback: Any) -> str:
    from labkit.views import feedback_html

    return feedback_html(feedback.id, feedback.standing, feedback.says, feedback.lines)


def _output_html(output: str) -> str:
    from labkit.views import terminal_html

    return terminal_html(output)


def _words_html(value: object) -> str:
    from labkit.views.says import words_html

    return words_html(repr(value))
