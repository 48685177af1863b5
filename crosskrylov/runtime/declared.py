"""What the modules of a folder declare, read from their source without importing them.

A solver, an image source, an objective, a study or a figure says what it is in a decorator with
literal arguments, ``@register("name", family="direct")``.  The workflow needs these declarations to
draw its graph, in every job again; importing SciPy or torch for that would cost more than many of
the jobs.  And since nobody imports a folder as a whole, a new file changes nothing for the others.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from crosskrylov.errors import ConfigError


@dataclass(frozen=True)
class Declared:
    """One decorated function or class.

    Attributes
    ----------
    name : str
        First argument of the decorator.
    facts : mapping
        Its keyword arguments, literals all.
    attribute : str
        Name of the function or class in its module.
    file : Path
        The module's file.
    summary : str
        First line of the docstring, without its full stop.
    parameters : tuple of str
        Names of the function's parameters, or of those of the class's ``__init__`` (without self),
        or of a dataclass's fields.
    """

    name: str
    facts: Mapping[str, Any]
    attribute: str
    file: Path
    summary: str = ""
    parameters: tuple[str, ...] = ()

    def load(self, package: str) -> Any:
        """Import the module, a member of ``package``, and return the function or class."""
        return imported(f"{package}.{self.file.stem}:{self.attribute}")


def imported(path: str) -> Any:
    """Return what stands at ``package.module:attribute``."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


@cache
def declared_in(
    folder: Path, keywords: tuple[str, ...] = (), decorator: str = "register"
) -> dict[str, Declared]:
    """Return everything that the modules of a folder declare by ``@register(name, ...)``, by name.

    Parameters
    ----------
    folder : Path
        A package's folder; folders inside it are not entered.
    keywords : tuple of str
        Names of the decorator's arguments after the first, for those given by position.
    decorator : str
        Name of the decorator.

    Raises
    ------
    ConfigError
        If an argument is no literal, or two modules declare the same name.
    """
    found: dict[str, Declared] = {}
    for file in sorted(Path(folder).glob("*.py")):
        text = file.read_text(encoding="utf-8")
        if f"@{decorator}(" not in text:
            continue
        for node in ast.parse(text, str(file)).body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef):
                continue
            for call in node.decorator_list:
                if not _calls(call, decorator):
                    continue
                entry = _entry(node, call, keywords, file)
                if entry.name in found:
                    raise ConfigError(
                        f"{file} and {found[entry.name].file} both declare {entry.name!r}: "
                        "rename one of them."
                    )
                found[entry.name] = entry
    return found


def _calls(node: ast.expr, decorator: str) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == decorator


def _entry(node, call: ast.Call, keywords: tuple[str, ...], file: Path) -> Declared:
    try:
        name, *values = (ast.literal_eval(argument) for argument in call.args)
        facts = dict(zip(keywords, values, strict=False))
        facts |= {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    except ValueError:
        raise ConfigError(
            f"{file}, line {call.lineno}: a declaration is read without running it, so that its "
            "arguments must be literals (text, numbers, lists)."
        ) from None
    summary = (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
    return Declared(name, facts, node.name, file, summary, _parameters(node))


def _parameters(node: ast.ClassDef | ast.FunctionDef) -> tuple[str, ...]:
    if isinstance(node, ast.ClassDef):
        inits = [n for n in node.body if getattr(n, "name", "") == "__init__"]
        if not inits:
            return tuple(
                n.target.id
                for n in node.body
                if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
            )
        node = inits[0]
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return tuple(a.arg for a in arguments if a.arg != "self")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that ``name`` may be a slip of, in whatever case, or None."""
    spelt = {str(k).lower(): str(k) for k in known}
    near = get_close_matches(str(name).lower(), spelt, n=1)
    return spelt[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest known name, or nothing."""
    near = nearest(name, known)
    return f" (did you mean {near!r}?)" if near else ""


def listed(names: Iterable[str]) -> str:
    """Return names as ``a, b, c``, cut after a dozen."""
    names = list(names)
    return ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
