"""Names, families, files and options of the solvers, found in this folder without import."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import Declared, declared_in, did_you_mean

SOLVERS_FOLDER = Path(__file__).resolve().parent

#: The published direct solver, which every saving is given against.
BASELINE_METHOD = "spsolve"


@dataclass(frozen=True)
class SolverEntry:
    """Where a solver is defined.

    Attributes
    ----------
    family : str
        One of `crosskrylov.solvers.base.FAMILIES`.
    file : Path
        Its module's file.
    module, attribute : str
        Import path of its class.
    """

    family: str
    file: Path
    module: str
    attribute: str


def declared_solvers(folder: Path = SOLVERS_FOLDER) -> dict[str, Declared]:
    """Return what the modules of ``folder`` declare by ``@register(name, family)``, by name."""
    return declared_in(Path(folder), ("family",))


def registered_solvers(folder: Path = SOLVERS_FOLDER) -> dict[str, SolverEntry]:
    """Return where every solver of ``folder`` is defined."""
    return {
        name: SolverEntry(
            entry.facts["family"],
            entry.file,
            f"crosskrylov.solvers.{entry.file.stem}",
            entry.attribute,
        )
        for name, entry in declared_solvers(folder).items()
    }


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
            family = getattr(module, class_name).family
            file = Path(module.__file__)
        except (Exception, SystemExit) as error:  # whatever the user's module does
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ConfigError(
                f"Solver method {method!r} cannot be imported ({reason}); give module:Class of a "
                "registered solver class on PYTHONPATH."
            ) from error
        return SolverEntry(family, file, module_name, class_name)
    known = registered_solvers(folder)
    if method not in known:
        guess = did_you_mean(method, known)
        available = "" if guess else f"; available are {', '.join(sorted(known))}"
        raise ConfigError(f"Solver method {method!r} is unknown{guess}{available}.")
    return known[method]


def solver_options(method: str) -> dict[str, Any] | None:
    """Return the options of a solver with their defaults, None where they cannot be read.

    Those of a base class count where the class has no ``__init__``, or one with ``**options``.  A
    default that is no literal, or missing, is given as None.
    """
    entry = solver_entry(method)
    return _options(entry.file, entry.attribute)


def published_methods(solvers: Mapping[str, Mapping]) -> dict[str, str]:
    """Return the method of every configured solver; dimension 0 is a control, which has none.

    Parameters
    ----------
    solvers : mapping
        Name to {"method", "options"}.
    """
    return {
        name: "" if entry["options"].get("dimension") == 0 else entry["method"]
        for name, entry in solvers.items()
    }


def controls(solvers: Mapping[str, Mapping]) -> dict[str, str]:
    """Return, for every solver that projects, the one that is the same without the projection.

    That is the solver of the same method and options whose ``dimension`` is 0; solvers without such
    a control are left out.

    Parameters
    ----------
    solvers : mapping
        Name to {"method", "options"}.
    """
    found = {}
    for control, its in solvers.items():
        if its["options"].get("dimension") != 0:
            continue
        defaults = solver_options(its["method"]) or {}
        for name, entry in solvers.items():
            options = defaults | dict(entry["options"])
            same = options | {"dimension": 0} == defaults | dict(its["options"])
            if entry["method"] == its["method"] and options.get("dimension") and same:
                found[name] = control
    return found


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def _options(file: Path, name: str) -> dict[str, Any] | None:
    nodes = [n for n in _tree(file).body if isinstance(n, ast.ClassDef) and n.name == name]
    if not nodes:
        return None
    inits = [n for n in nodes[0].body if getattr(n, "name", "") == "__init__"]
    if not inits:
        return _inherited(file, nodes[0])
    arguments = inits[0].args
    positional = [*arguments.posonlyargs, *arguments.args][1:]  # without self
    defaults = [None] * len(positional) + list(arguments.defaults)
    pairs = [*zip(positional, defaults[len(arguments.defaults) :], strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    own = {argument.arg: _literal(default) for argument, default in pairs}
    if arguments.kwarg is None:
        return own
    inherited = _inherited(file, nodes[0])
    return None if inherited is None else inherited | own


def _inherited(file: Path, node: ast.ClassDef) -> dict[str, Any] | None:
    """Return the options of the base classes, as far as they stand in this package."""
    found: dict[str, Any] = {}
    for base in node.bases:
        name = getattr(base, "id", "")
        if name in ("ABC", "object"):
            continue
        options = _options(_file_of(file, name), name)
        if options is None:
            return None
        found = options | found
    return found


def _file_of(file: Path, name: str) -> Path:
    """Return the module that a class comes from: this one, or one of the package's."""
    for node in _tree(file).body:
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            module = (node.module or "").replace(".", "/")
            other = SOLVERS_FOLDER.parents[1] / f"{module}.py"
            return other if other.exists() else file
    return file


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None
