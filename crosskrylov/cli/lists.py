"""The subcommands that list what a configuration may name."""

import argparse
import inspect
import re

from crosskrylov.datasets.index import declared_sources
from crosskrylov.learning.objectives.index import registered_models
from crosskrylov.learning.sampling.registry import (
    NEEDS,
    SAMPLERS_PACKAGE,
    declared_samplers,
    sampler_options,
)
from crosskrylov.runtime.declared import Declared
from crosskrylov.solvers.index import declared_solvers

_LEVELS = {None: "at one noise level", "linear": "linear betas", "geometric": "geometric sigmas"}


def sources(given: argparse.Namespace) -> int:
    """List the sources of images."""
    return _print({name: (entry.summary, []) for name, entry in declared_sources().items()})


def objectives(given: argparse.Namespace) -> int:
    """List the models with the experiments that they belong to."""
    rows = {}
    for name, model in registered_models().items():
        facts = [f"{key}: {_LEVELS[kind]}" for key, kind in model.experiments.items()]
        facts += ["needs pre-computed scores"] if model.scores else []
        facts += ["its output is the scaled score"] if model.scaled else []
        summary = model.declared.summary.removeprefix("Return ")
        rows[name] = (summary[:1].upper() + summary[1:], ["; ".join(facts)])
    return _print(rows)


def solvers(given: argparse.Namespace) -> int:
    """List the solvers with their options and what they cost, as far as they declare it."""
    rows = {}
    for name, entry in declared_solvers().items():
        made, missing = _load(entry, "crosskrylov.solvers")
        summary = f"{entry.summary} ({entry.facts['family']})"
        rows[name] = (summary, [missing or _options(made), *_costs(made)])
    return _print(rows)


def samplers(given: argparse.Namespace) -> int:
    """List the samplers with their options and what a step costs."""
    rows = {}
    for name, entry in declared_samplers().items():
        facts = entry.facts
        made, missing = _load(entry, SAMPLERS_PACKAGE)
        cost = f"cost: {facts['evaluations_per_step']} network evaluations per step"
        if facts["evaluations_per_step"] == 1:
            cost = "cost: 1 network evaluation per step"
        if facts.get("adaptive"):
            cost += ", as many steps as it finds necessary"
        cost += "; draws noise" if facts["stochastic"] else ""
        cost += f"; of order {facts['order']}" if facts["order"] is not None else ""
        needed = {need: words for need, words in _NEEDED.items() if need in facts.get("needs", ())}
        lines = [missing or _options(made, sampler_options(entry)), cost, *needed.values()]
        rows[name] = (facts["about"], lines)
    return _print(rows)


_NEEDED = dict(zip(NEEDS, ("needs the filters of PDS", "needs training images"), strict=True))


def _load(entry: Declared, package: str):
    """Return what is declared and "", or None and which package it needs."""
    try:
        return entry.load(package), ""
    except ModuleNotFoundError as error:
        return None, f"needs the package {error.name}"


def _options(made, names: tuple[str, ...] | None = None) -> str:
    """Return the options of a class or function with their defaults, as text.

    Those of a base class count where the class hands ``**options`` on to it.
    """
    places = [made]
    if inspect.isclass(made):
        places = [c.__init__ for c in made.__mro__ if "__init__" in vars(c) and c is not object]
    found: dict[str, str] = {}
    for place in places:
        parameters = inspect.signature(place).parameters.values()
        for p in parameters:
            if p.default is not p.empty and (names is None or p.name in names):
                found.setdefault(p.name, f"{p.name}={p.default!r}")
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return "options: " + (", ".join(found.values()) or "none")


def _costs(made) -> list[str]:
    """Return the sentences of a docstring that begin with "Cost ...:"."""
    text = " ".join((inspect.getdoc(made) or "").split()) if made is not None else ""
    text = text.partition(" Parameters ---")[0]
    found = re.findall(r"\bCost ([^.:]*:.*?)(?=\.(?: [A-Z]|$))", text)
    return [f"cost {sentence}" for sentence in found]


def _print(rows: dict[str, tuple[str, list[str]]]) -> int:
    """Print a name and what it is per line, and below it, indented, what else is to be said."""
    width = max(map(len, rows))
    for name, (summary, lines) in sorted(rows.items()):
        print(f"{name:{width}}  {summary}.")
        for line in lines:
            print(f"{'':{width}}    {line}")
    return 0
