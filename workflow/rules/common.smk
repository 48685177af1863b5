"""What the other files of this folder share; the questions themselves are answered by planning.

A file with rules says what it makes with `add_targets`; the named targets of the Snakefile and
`rule all` collect it from there.
"""

from functools import partial
from pathlib import Path

from crosskrylov.planning import runs as _runs
from crosskrylov.planning import training
from crosskrylov.planning.dependencies import source_files
from crosskrylov.planning.samplers import sampler_files, samplers_of
from crosskrylov.planning.solvers import solver_files


wildcard_constraints:
    images="|".join(config["image_sets"]),
    seed=r"\d+",
    solver="|".join(config["solvers"]),


runs = partial(_runs.runs, config)
expand_runs = partial(_runs.expand_runs, config)

TARGETS = {}


def code(script, *files):
    """Return the library files behind a script: as an input, editing one re-runs the rule.

    Imports are followed. Further files are modules that the script finds by their name in the
    configuration.
    """
    path = workflow.source_path(f"../scripts/{script}")
    return [code_file(file) for file in source_files([path, *files])]


def code_with_solvers(script, *entries):
    """Return the library files of a script that makes the given solvers."""
    return code(script, *solver_files(entries))


def code_with_model(script):
    """Return the library files of a script that uses {model}: its module, and no other model's.

    The modules of the samplers that it draws with are among them.
    """
    file = of_run(training.model_file, "experiment", "model")
    samplers = sampler_files(samplers_of(config, Path(script).stem))
    return lambda wildcards: code(script, file(wildcards), *samplers)


def of_run(function, *names):
    """Return a function of planning as one of wildcards: it gets the named ones, in this order."""
    return lambda wildcards: function(config, *(wildcards.get(name) for name in names))


def of_calibration(name):
    """Return a parameter of the calibration as a function of the wildcards."""
    return lambda wildcards: training.calibration_params(
        config, wildcards.images, wildcards.together
    )[name]


def code_file(path):
    """Return a source file as an input: relative where it can be, so that a checkout may be moved.

    `local` keeps module prefixes and remote storage away from it.
    """
    inside = Path(path).is_relative_to(Path.cwd())
    return local(str(Path(path).relative_to(Path.cwd()) if inside else path))


def add_targets(name, paths):
    """Let the named target (and `rule all`) make these files."""
    TARGETS.setdefault(name, []).extend([paths] if isinstance(paths, str) else paths)


def targets(name):
    """Return the files of a named target; `figures` and `tables` gather them from all the others."""
    folder = {"figures": "results/figures/", "tables": "results/tables/"}.get(name)
    if folder:
        return sorted({path for path in all_targets() if path.startswith(folder)})
    return TARGETS.get(name, [])


def all_targets():
    """Return every file that the configuration asks for, except exports for other programs."""
    return sorted(
        {path for name, paths in TARGETS.items() if name != "export_systems" for path in paths}
    )


def made_table(name):
    """Return the path of a table of the other stages in a list, empty if nobody makes it."""
    path = f"results/tables/{name}.tsv"
    return [path] if path in all_targets() else []


def image_set(wildcards):
    """Return which images {images} names."""
    return _runs.image_set(config, wildcards.images)


def equation(wildcards):
    """Return the section `equation` for {images}."""
    return _runs.equation(config, wildcards.images)


def benchmark_patterns(but):
    """Return a regular expression for the benchmark files of every rule but one.

    Read off the rules themselves, so that files of rules, image sets or solvers that are no longer
    part of the workflow do not count.
    """
    return {
        made.name: made.benchmark.regex().pattern
        for made in workflow.rules
        if made.benchmark and not made.name.endswith(but)
    }
