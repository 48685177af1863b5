"""Defaults that the library states itself, read from its source for the configuration.

The library is usable without a configuration, so that its own settings have their defaults in the
code.  The schema repeats none of them: ``default_of`` says where each one stands, as

    crosskrylov/scores/march_options.py:MarchOptions.tolerance

for a field of a class, a parameter of a function, a constant of a module, or an entry of a constant
that is a mapping (``DEFAULTS.diffusion.g``).  Reading is by `ast`: importing SciPy or torch would
cost every job more than the configuration is worth.
"""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from crosskrylov.errors import ConfigError

#: The folder that the package's folder lies in.
ROOT = Path(__file__).resolve().parents[2]


def insert_defaults(schema: Any) -> Any:
    """Give every part of a schema that says ``default_of`` its ``default``, in place; return it.

    A list of references becomes the list of their values.
    """
    if isinstance(schema, dict):
        if isinstance(schema.get("default_of"), str | list):
            place = schema["default_of"]
            several = isinstance(place, list)
            schema["default"] = (
                [stated_default(p) for p in place] if several else stated_default(place)
            )
        for entry in schema.values():
            insert_defaults(entry)
    elif isinstance(schema, list):
        for entry in schema:
            insert_defaults(entry)
    return schema


def stated_default(place: str, root: Path = ROOT) -> Any:
    """Return the default that stands at ``package/module.py:Name.field``.

    Raises
    ------
    ConfigError
        If there is no such place, or what stands there is no literal.
    """
    file, _, names = place.partition(":")
    first, *rest = names.split(".")
    try:
        node = _definitions(root / file)[first]
        for name in rest:
            node = _entries(node)[name]
        return ast.literal_eval(node)
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(
            f"The schema takes a default from {place}, where no literal stands ({error}): correct "
            "default_of or the source."
        ) from None


@cache
def _definitions(file: Path) -> dict[str, ast.AST]:
    """Return the functions, classes and constants of a module by name."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse(file.read_text(encoding="utf-8"), str(file)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        else:
            found |= _assigned(node)
    return found


def _assigned(node: ast.stmt) -> dict[str, ast.AST]:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return {node.target.id: node.value} if isinstance(node.target, ast.Name) else {}
    if isinstance(node, ast.Assign):
        return {t.id: node.value for t in node.targets if isinstance(t, ast.Name)}
    return {}


def _entries(node: ast.AST) -> dict[str, ast.AST]:
    """Return what a class's fields, a function's parameters or a mapping's keys have as values."""
    if isinstance(node, ast.ClassDef):
        return {key: value for entry in node.body for key, value in _assigned(entry).items()}
    if isinstance(node, ast.FunctionDef):
        return parameter_defaults(node)
    if isinstance(node, ast.Dict):
        return {ast.literal_eval(key): value for key, value in zip(node.keys, node.values)}
    return {}


def parameter_defaults(node: ast.FunctionDef) -> dict[str, ast.expr]:
    """Return the expressions that a function's parameters default to, by name."""
    positional = [*node.args.posonlyargs, *node.args.args]
    given = positional[len(positional) - len(node.args.defaults) :]
    found = {p.arg: value for p, value in zip(given, node.args.defaults)}
    keywords = zip(node.args.kwonlyargs, node.args.kw_defaults)
    return found | {p.arg: value for p, value in keywords if value is not None}
