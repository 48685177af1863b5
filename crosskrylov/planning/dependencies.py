"""Which files of this package a module is made of: what has to re-run when one of them changes.

Snakemake re-runs a job when its script changes, but knows nothing of the modules that the script
imports.  The workflow therefore lists them as inputs, found here by reading import statements.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from crosskrylov.errors import ConfigError

PACKAGE = "crosskrylov"


def source_files(folder: str | Path, names: Iterable[str]) -> list[str]:
    """Return the named modules and every module of the package that they import, however deep.

    Parameters
    ----------
    folder : path-like
        The package's folder.
    names : iterable of str
        Modules relative to it ("density.py"), or folders ("solvers": every module inside).

    Returns
    -------
    list of str
        Paths of the files, sorted.  The package's own ``__init__.py`` (a version number) is left
        out: a new version must not re-run everything.

    Raises
    ------
    ConfigError
        If a name is neither a module nor a folder of the package.
    """
    folder = Path(folder)
    waiting = [file for name in names for file in _files_of(folder, name)]
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported_files(folder, file)
    return sorted(str(file) for file in found)


def imported_modules(file: str | Path) -> set[str]:
    """Return the dotted names inside the package that a Python file imports, at any indentation."""
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
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for statement in getattr(node, field, ()):
            yield statement
            yield from _statements(statement)


def _files_of(folder: Path, name: str) -> list[Path]:
    path = folder / name
    if path.is_dir():
        return sorted(path.rglob("*.py"))
    if not path.is_file():
        raise ConfigError(f"library({name!r}) names no module or folder of {folder}: correct it.")
    return [path]


@cache
def _imported_files(folder: Path, file: Path) -> list[Path]:
    found = []
    for name in imported_modules(file):
        path = folder.joinpath(*name.split(".")[1:])
        if path.is_dir():
            found.append(path / "__init__.py")
        elif path.with_suffix(".py").is_file():
            found.append(path.with_suffix(".py"))
            # importing a submodule runs the packages around it
            found += [p / "__init__.py" for p in path.parents if folder in p.parents]
    return found
