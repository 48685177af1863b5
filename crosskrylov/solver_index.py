"""Names, families and files of the solvers, read from their source without importing them.

The workflow needs them to draw its graph, in every job again; importing SciPy and the solvers'
libraries for that would cost more than many of the jobs.
"""

import ast
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from crosskrylov.errors import ConfigError

SOLVERS_FOLDER = Path(__file__).resolve().parent / "solvers"


@dataclass(frozen=True)
class SolverEntry:
    """Where a solver is defined: its family and its module's file."""

    family: str
    file: Path


@cache
def registered_solvers(folder: Path = SOLVERS_FOLDER) -> dict[str, SolverEntry]:
    """Return every solver that a module of ``folder`` registers by ``@register(name, family)``."""
    found = {}
    for file in sorted(Path(folder).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
            if not isinstance(node, ast.ClassDef):
                continue
            for decorator in node.decorator_list:
                entry = _registration(decorator)
                if entry is not None:
                    found[entry[0]] = SolverEntry(entry[1], file)
    return found


def solver_entry(method: str, folder: Path = SOLVERS_FOLDER) -> SolverEntry:
    """Return the entry of a registered name, or of an import path ``module:Class``.

    Raises
    ------
    ConfigError
        If the name is unknown or the path cannot be imported.
    """
    if ":" in method:
        module_name, _, class_name = method.partition(":")
        try:
            module = import_module(module_name)
            return SolverEntry(getattr(module, class_name).family, Path(module.__file__))
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"Solver method {method!r} cannot be imported ({error}); give module:Class of a "
                "registered solver class on PYTHONPATH."
            ) from error
    known = registered_solvers(folder)
    if method not in known:
        # registered by other means than a decorator with literals: ask the registry itself
        classes = import_module("crosskrylov.solvers").available_solvers()
        if method in classes:
            file = Path(import_module(classes[method].__module__).__file__)
            return SolverEntry(classes[method].family, file)
        known = known | classes
        raise ConfigError(
            f"Solver method {method!r} is unknown; available are {', '.join(sorted(known))}."
        )
    return known[method]


def _registration(decorator: ast.expr) -> tuple[str, str] | None:
    """Return (name, family) of a ``register(...)`` decorator written with literals."""
    if not isinstance(decorator, ast.Call):
        return None
    function = decorator.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called != "register":
        return None
    arguments = dict(zip(("name", "family"), decorator.args, strict=False))
    arguments |= {keyword.arg: keyword.value for keyword in decorator.keywords}
    values = [arguments.get(key) for key in ("name", "family")]
    if not all(isinstance(v, ast.Constant) and isinstance(v.value, str) for v in values):
        return None
    return values[0].value, values[1].value
