"""Which library files a script is made of: what has to re-run when one of them changes.

Snakemake re-runs a job when its script changes, but knows nothing of the modules that the script
imports.  The workflow therefore lists them as inputs, found here by reading import statements.
Modules that a script finds by a name in the configuration (a solver, a study) are not imported by
it; the rule adds their files, and theirs alone: another solver is nothing to it.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from crosskrylov.errors import ConfigError

PACKAGE = "crosskrylov"

#: The package's folder.
FOLDER = Path(__file__).resolve().parent.parent


def source_files(files: Iterable[str | Path], folder: str | Path = FOLDER) -> list[str]:
    """Return every module of the package that the files import, however deep.

    Parameters
    ----------
    files : iterable of path-like
        Python files: scripts, or modules of the package, which are then among the result.
    folder : path-like
        The package's folder.

    Returns
    -------
    list of str
        Paths of the modules, sorted.  The package's own ``__init__.py`` (a version number) is left
        out: a new version must not re-run everything.

    Raises
    ------
    ConfigError
        If a file does not exist.
    """
    folder = Path(folder).resolve()
    return sorted({found for file in files for found in _behind(folder, Path(file))})


@cache
def _behind(folder: Path, file: Path) -> frozenset[str]:
    """Return the modules behind one file; rules ask for the same scripts once per job."""
    waiting = [file.resolve()]
    found: set[str] = set()
    seen: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            if folder in file.parents:
                found.add(str(file))
            waiting += _imported_files(folder, file)
    return frozenset(found)


def imported_modules(file: str | Path) -> set[str]:
    """Return the dotted names inside the package that a Python file imports, at any indentation.

    Imports for type checkers only (``if TYPE_CHECKING:``) do not count: they never run.
    """
    names = set()
    for node in _statements(ast.parse(Path(file).read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # `from crosskrylov import x` may name a module or an attribute; both are tried
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.startswith(f"{PACKAGE}.")}


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield every statement below ``node``; expressions, most of a tree, hold no imports."""
    fields = ("body", "orelse", "handlers", "finalbody", "cases")
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        fields = ("orelse",)
    for field in fields:
        for statement in getattr(node, field, ()):
            yield statement
            yield from _statements(statement)


@cache
def _imported_files(folder: Path, file: Path) -> list[Path]:
    found = []
    try:
        names = imported_modules(file)
    except OSError:
        raise ConfigError(
            f"{file} does not exist, but a rule's script or the configuration names it: correct "
            "the name."
        ) from None
    for name in names:
        path = folder.joinpath(*name.split(".")[1:])
        if path.is_dir():
            found.append(path / "__init__.py")
        elif path.with_suffix(".py").is_file():
            found.append(path.with_suffix(".py"))
            # importing a submodule runs the packages around it
            found += [p / "__init__.py" for p in path.parents if folder in p.parents]
    return found
