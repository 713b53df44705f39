"""The house keeps its floors: who may import whom, who may import what, how large a room is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath

import pytest

from tests.needs import ROOT

FLOORS = {
    "errors": 1,
    "given": 1,
    "api": 2,
    "kernel": 2,
    "cni": 3,
    "proxy": 3,
    "policy": 3,
    "dns": 3,
    "edge": 3,
    "controllers": 4,
    "traffic": 4,
    "cluster": 5,
    "policies": 5,
    "diff": 5,
    "commands": 6,
    "views": 6,
    "lessons": 6,
    "serve": 6,
    "notebook": 7,
    "__init__": 7,
}
APART = {2, 3, 4, 6}
"""Floors whose rooms do not know each other."""

DRAWING = {"matplotlib", "networkx", "pandas", "numpy", "ipywidgets", "anywidget", "IPython"}
WIDGETS = {"anywidget", "ipywidgets", "traitlets"}
COUNTING = {"labkit/traffic/arrivals.py"}  # a million connections are counted with numpy
CHANCE_AND_CLOCK = {"random", "time", "secrets", "uuid"}
CLOCKS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
NOT_IN_A_BROWSER = {"threading", "multiprocessing", "socket", "subprocess", "concurrent", "asyncio"}

MAX_FILE = 400
MAX_FUNCTION = 40


@dataclass(frozen=True)
class Module:
    """One file of the package, `where` counted from the repository."""

    where: str
    source: str

    @property
    def room(self) -> str:
        """`labkit/kernel/walk.py` is in `kernel`; `labkit/cluster.py` is a room of its own."""
        return PurePosixPath(self.where).parts[1].removesuffix(".py")

    @property
    def floor(self) -> int:
        return FLOORS.get(self.room, 0)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, filename=self.where)

    def imported(self, tree: ast.AST) -> Iterator[str]:
        """Dotted names of all that `tree` imports, relative ones made whole."""
        package = PurePosixPath(self.where).parts[:-1]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                near = package[: len(package) - node.level + 1] if node.level else ()
                base = ".".join((*near, *filter(None, [node.module])))
                yield from (f"{base}.{alias.name}" for alias in node.names)

    @cached_property
    def libraries(self) -> set[str]:
        return {name.split(".")[0] for name in self.imported(self.tree)}

    @cached_property
    def rooms_used(self) -> set[str]:
        names = (name.split(".") for name in self.imported(self.tree))
        used = {parts[1] for parts in names if parts[0] == "labkit" and parts[1:]}
        return (used & FLOORS.keys()) - {self.room}


class OutsideTypes(ast.NodeTransformer):
    """What may run: nothing that is imported for types only."""

    def visit_If(self, node: ast.If) -> ast.AST:
        return ast.Pass() if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


class OutsideFunctions(OutsideTypes):
    """What runs when a module is imported: no bodies of functions either."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = [ast.Pass()]
        return node


class OutsideFrames(OutsideTypes):
    """All but methods named `frame`: a value may say that it is a table, in pandas' words."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name == "frame":
            node.body = [ast.Pass()]
        return self.generic_visit(node)


# --- the rules: each gives what is wrong with a module, nothing if all is well -----------------


def stands_nowhere(module: Module) -> set[str]:
    return set() if module.floor else {module.room}


def from_above(module: Module) -> set[str]:
    return {room for room in module.rooms_used if FLOORS[room] > module.floor}


def from_a_neighbour(module: Module) -> set[str]:
    same = {room for room in module.rooms_used if FLOORS[room] == module.floor}
    return same if module.floor in APART else set()


def drawing_below_the_views(module: Module) -> set[str]:
    without_frames = OutsideFrames().visit(ast.parse(module.source))
    drawn = {name.split(".")[0] for name in module.imported(without_frames)} & DRAWING
    drawn -= {"numpy"} if module.where in COUNTING else set()
    return drawn if module.floor < FLOORS["views"] else set()


def drawing_at_import(module: Module) -> set[str]:
    at_import = OutsideFunctions().visit(ast.parse(module.source))
    loaded = {name.split(".")[0] for name in module.imported(at_import)} & DRAWING
    # A file that is a widget class may load what the class stands on; it is itself loaded late.
    return loaded - WIDGETS if "(anywidget.AnyWidget)" in module.source else loaded


def yaml_inside(module: Module) -> set[str]:
    return module.libraries & {"yaml"} if module.room != "api" else set()


def chance_or_clock(module: Module) -> set[str]:
    calls = {ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
    return module.libraries & CHANCE_AND_CLOCK | {call for call in calls if call.endswith(CLOCKS)}


def what_no_browser_has(module: Module) -> set[str]:
    return module.libraries & NOT_IN_A_BROWSER if module.room != "serve" else set()


def long_file(module: Module) -> set[str]:
    lines = len(module.source.splitlines())
    return {f"{lines} lines"} if lines > MAX_FILE else set()


def long_functions(module: Module) -> set[str]:
    functions = (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef))
    return {function.name for function in functions if code_lines(function) > MAX_FUNCTION}


def code_lines(function: ast.FunctionDef) -> int:
    """Lines from `def` to the end, the docstring not counted."""
    doc = function.body[0] if ast.get_docstring(function) else None
    doc_lines = doc.end_lineno - doc.lineno + 1 if doc else 0
    return function.end_lineno - function.lineno + 1 - doc_lines


@dataclass(frozen=True)
class Rule:
    offences: Callable[[Module], set[str]]
    broken_by: Module


RULES = {
    "every file stands on a floor": Rule(stands_nowhere, Module("labkit/attic/dust.py", "")),
    "imports go down only": Rule(
        from_above, Module("labkit/kernel/walk.py", "def f():\n    from ..views import svg")
    ),
    "the kernel and the api do not know each other": Rule(
        from_a_neighbour, Module("labkit/kernel/walk.py", "import labkit.api.core")
    ),
    "compilers do not know each other": Rule(
        from_a_neighbour, Module("labkit/proxy/ipvs.py", "from labkit import cni")
    ),
    "nothing below the views draws": Rule(
        drawing_below_the_views,
        Module("labkit/cluster.py", "def f():\n    import pandas"),
    ),
    "drawing libraries load when something is drawn": Rule(
        drawing_at_import, Module("labkit/views/plots.py", "import matplotlib.pyplot as plt")
    ),
    "YAML is read and written at the door": Rule(
        yaml_inside, Module("labkit/controllers/kubelet.py", "import yaml")
    ),
    "nothing is left to chance": Rule(
        chance_or_clock, Module("labkit/traffic/connect.py", "from random import choice")
    ),
    "nobody looks at a clock": Rule(
        chance_or_clock, Module("labkit/cluster.py", "born = datetime.datetime.now()")
    ),
    "the core runs where a browser runs Python": Rule(
        what_no_browser_has, Module("labkit/commands/tools.py", "import subprocess")
    ),
    "no file is over 400 lines": Rule(
        long_file, Module("labkit/dns/corefile.py", "x = 1\n" * (MAX_FILE + 1))
    ),
    "no function is over 40 lines": Rule(
        long_functions,
        Module("labkit/errors.py", "def f():\n" + "    x = 1\n" * MAX_FUNCTION),
    ),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_module_keeps_the_rule(rule):
    modules = (
        Module(path.relative_to(ROOT).as_posix(), path.read_text())
        for path in sorted(ROOT.glob("labkit/**/*.py"))
    )
    found = {module.where: rule.offences(module) for module in modules}
    assert found, "there are modules to look at"
    assert not {where: offences for where, offences in found.items() if offences}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_rule_notices_a_module_that_breaks_it(rule):
    assert rule.offences(rule.broken_by)


def test_every_room_of_the_floors_is_there():
    home = ROOT / "labkit"
    assert not [room for room in FLOORS if not list(home.glob(f"{room}*"))]


def circle(modules: Iterable[Module]) -> list[str]:
    """Files that import each other in a ring, inside functions too; empty if there is none."""
    by_name = {m.where.removesuffix(".py").replace("/", "."): m for m in modules}
    knows = {
        name: {
            found
            for used in module.imported(OutsideTypes().visit(ast.parse(module.source)))
            for found in (used, used.rpartition(".")[0])
            if found in by_name and found != name
        }
        for name, module in by_name.items()
    }
    try:
        TopologicalSorter(knows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle():
    paths = sorted(ROOT.glob("labkit/**/*.py"))
    assert not circle(Module(p.relative_to(ROOT).as_posix(), p.read_text()) for p in paths)


def test_a_circle_is_noticed_inside_functions_too():
    egg = Module("labkit/api/egg.py", "def f():\n    from labkit.api.hen import hatched")
    hen = Module("labkit/api/hen.py", "from labkit.api import egg")
    assert circle([egg, hen])


def test_importing_labkit_loads_nothing_that_draws():
    look = "import sys, labkit; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "labkit" in loaded
    assert not loaded & DRAWING
