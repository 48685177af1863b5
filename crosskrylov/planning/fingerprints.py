"""What a run depends on, as one short text: the code and the parameters of every step behind it.

Snakemake knows what is out of date among the files of one working directory.  A kept record has to
be judged without them, on another machine and in another year: it may stand for a run if the same
code would get the same parameters today.  Comments, docstrings and formatting are not code here.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crosskrylov.planning.dependencies import FOLDER, source_files
from crosskrylov.planning.runs import PARAMETERS_OF_KIND, equation, image_set
from crosskrylov.planning.solvers import baseline_solver, solver_files
from crosskrylov.planning.sources import source_file, watched_files
from crosskrylov.planning.training import ON_THE_FLY
from crosskrylov.solvers.index import solver_entry

#: Where the workflow's scripts are in a checkout.
SCRIPTS = FOLDER.parent / "workflow" / "scripts"


@dataclass(frozen=True)
class Step:
    """One rule on the way to a result.

    Attributes
    ----------
    script : str
        File name of its script, or the path of a module of the library.
    parameters : mapping
        What the rule gives its script.
    modules : tuple of path-like
        Modules that the script finds by a name in the configuration.
    """

    script: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[str | Path, ...] = ()


def fingerprint(
    scripts: Iterable[str | Path],
    modules: Iterable[str | Path],
    parameters: Any,
    folder: Path = FOLDER,
) -> str:
    """Return a digest of Python files, of all that they import from the library, and of parameters.

    Parameters
    ----------
    scripts, modules : iterable of path-like
        Python files; modules of the library stand for themselves and their imports.
    parameters : JSON value
        Mappings in any order of their keys.
    folder : Path
        The library's folder.

    Returns
    -------
    str
        24 hexadecimal digits.
    """
    given = [Path(file).resolve() for file in (*scripts, *modules)]
    imported = [Path(file) for file in source_files(given, folder)]
    # the name that a file has on every machine
    files = {file.name: code_digest(file) for file in given if folder not in file.parents}
    files |= {file.relative_to(folder).as_posix(): code_digest(file) for file in imported}
    text = json.dumps([files, parameters], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def steps_fingerprint(steps: Iterable[Step], scripts: str | Path = SCRIPTS) -> str:
    """Return the `fingerprint` of a chain of steps; a step that occurs twice counts once."""
    steps = list(steps)
    parameters = {Path(step.script).name: [] for step in steps}
    for step in steps:
        given = parameters[Path(step.script).name]
        if step.parameters not in given:
            given.append(step.parameters)
    modules = [module for step in steps for module in step.modules]
    return fingerprint([Path(scripts, step.script) for step in steps], modules, parameters)


@cache
def code_digest(file: Path) -> str:
    """Return a digest of what a Python file does, read once per process."""
    tree = ast.parse(file.read_bytes(), str(file))
    return hashlib.sha256("\n".join(_code(tree)).encode()).hexdigest()


def _code(node: ast.AST) -> Iterator[str]:
    """Yield a node's kind and content, depth first, without positions and docstrings.

    Empty fields are left out, so that a Python whose trees have further fields says the same.
    """
    yield type(node).__name__
    body = getattr(node, "body", None)
    has_docstring = (
        isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    )
    for name, value in ast.iter_fields(node):
        if name == "kind" or value is None or value == []:
            continue
        yield f".{name}"
        if isinstance(value, list):
            for entry in body[1:] if has_docstring and name == "body" else value:
                yield from _code(entry) if isinstance(entry, ast.AST) else [repr(entry)]
        else:
            yield from _code(value) if isinstance(value, ast.AST) else [repr(value)]
    yield "end"


# --- the steps of the workflow's story ------------------------------------------------------------
# Each says what the rule of the same name gets; tests/workflow compares them with a finished run.


def images_step(config: Mapping, images: str, seed: int) -> Step:
    """Return the step that loads an image set."""
    parameters = {
        "image_set": image_set(config, images),
        "seed": seed,
        "files": watched_files(config, images),
    }
    return Step("fetch_images.py", parameters, (source_file(config, images),))


def density_steps(config: Mapping, images: str, seed: int) -> list[Step]:
    """Return the steps up to the initial log-densities."""
    density = Step("estimate_density.py", {"density": config["density"]})
    return [images_step(config, images, seed), density]


def seeds_steps(config: Mapping, images: str, seed: int) -> list[Step]:
    """Return the steps up to the choice of seed images."""
    return [*density_steps(config, images, seed), Step("select_seeds.py", dict(config["seeds"]))]


def exact_steps(config: Mapping, images: str, seed: int) -> list[Step]:
    """Return the steps up to the exact scores."""
    parameters = {
        "equation": equation(config, images),
        "n_threads": config["studies"]["blas_threads"],
    }
    step = Step("exact_scores.py", parameters, coefficient_files(config))
    return [*density_steps(config, images, seed), step]


def bank_steps(config: Mapping, images: str, seed: int) -> list[Step]:
    """Return the steps up to the bank of systems."""
    bank = config["studies"]["bank"]
    parameters = {"equation": equation(config, images), "march": config["march"], "bank": bank}
    files = (*solver_files([bank]), *coefficient_files(config))
    return [
        *density_steps(config, images, seed),
        Step("assemble_systems.py", parameters, files),
    ]


def march_steps(config: Mapping, images: str, seed: int, solver: str) -> list[Step]:
    """Return the steps up to the trajectory of one solver."""
    entry = config["solvers"][solver]
    projects = solver_entry(entry["method"]).family == "cross-matrix"
    before = seeds_steps if projects else density_steps
    parameters = {
        "equation": equation(config, images),
        "march": config["march"],
        "solver": entry,
        "n_threads": config["studies"]["blas_threads"],
    }
    step = Step("march_images.py", parameters, (*solver_files([entry]), *coefficient_files(config)))
    return [*before(config, images, seed), step]


def embedding_steps(config: Mapping, images: str, seed: int, embedding: Mapping) -> list[Step]:
    """Return the steps up to the embedded images, for a section ``embedding`` or its variant."""
    name = embedding["scores"]
    if name == ON_THE_FLY:
        parameters = {
            "equation": equation(config, images),
            "density": config["density"],
            "embedding": embedding,
            "n_threads": config["studies"]["blas_threads"],
        }
        own = Step("embed_on_the_fly.py", parameters, coefficient_files(config))
        return [images_step(config, images, seed), own]
    exact = name == "exact"
    before = exact_steps(config, images, seed) if exact else march_steps(config, images, seed, name)
    parameters = {"equation": equation(config, images), "embedding": embedding}
    return [*before, Step("embed_scores.py", parameters, coefficient_files(config))]


def coefficient_files(config: Mapping) -> tuple[Path, ...]:
    """Return the user's modules that the equation's coefficients are taken from, if they are."""
    files = []
    for name in PARAMETERS_OF_KIND:
        entry = config["equation"][name]
        if entry["kind"] == "path":
            spec = find_spec(entry["path"].partition(":")[0])
            if spec is not None and spec.origin:
                files.append(Path(spec.origin))
    return tuple(files)


# --- the three kinds of runs ----------------------------------------------------------------------


def march_row_steps(
    config: Mapping, images: str, seed: int, solver: str | None, solvers: Iterable[str]
) -> list[Step]:
    """Return the steps up to the row of a march in the table of solvers.

    Its score errors are against the exact solution and against SpSolve's march, where ``solvers``,
    those that march, hold it.  Without a ``solver`` it is the row of the exact solution.
    """
    steps = exact_steps(config, images, seed)
    for name in (solver, baseline_solver(config, solvers)):
        if name:
            steps += march_steps(config, images, seed, name)
    return [*steps, Step(str(FOLDER / "reporting" / "tables" / "marches.py"))]


#: What a study may need of the workflow's story, and the steps behind it.
NEEDS = {
    "images": lambda *run: [images_step(*run)],
    "log_density": density_steps,
    "seeds": seeds_steps,
    "bank": bank_steps,
    "exact": exact_steps,
    "embedded": lambda config, *run: embedding_steps(config, *run, config["embedding"]),
}


def study_steps(
    config: Mapping,
    images: str,
    seed: int,
    steps: Iterable[Step],
    needs: Iterable[str] = (),
    solvers: Iterable[str] = (),
) -> list[Step]:
    """Return the steps up to a study's tables of one image set and random seed.

    Parameters
    ----------
    config : mapping
        The configuration.
    images, seed
        The image set's name and the random seed.
    steps : iterable of Step
        The study's own steps.
    needs : iterable of str
        Keys of `NEEDS`.
    solvers : iterable of str
        Solvers whose marches the study reads.
    """
    before = [step for need in needs for step in NEEDS[need](config, images, seed)]
    for solver in solvers:
        before += march_steps(config, images, seed, solver)
    return [*before, *steps]


def training_steps(
    config: Mapping,
    images: str,
    seed: int,
    steps: Iterable[Step],
    embedding: Mapping | None = None,
) -> list[Step]:
    """Return the steps up to the result of a training run.

    Parameters
    ----------
    config : mapping
        The configuration.
    images, seed
        The image set's name and the random seed.
    steps : iterable of Step
        The run's own steps: training, denoising or sampling, evaluation.
    embedding : mapping, optional
        The section ``embedding`` as this run has it; None for a model without scores.
    """
    if embedding is None:
        return [images_step(config, images, seed), *steps]
    return [*embedding_steps(config, images, seed, embedding), *steps]
