"""Functions and wildcard constraints that the other files of this folder share; no rules here.

A file with rules says what it makes with `add_targets`; the named targets of the Snakefile and
`rule all` collect it from there.
"""

from pathlib import Path

from crosskrylov.planning.config import relevant_parameters
from crosskrylov.planning.dependencies import source_files


wildcard_constraints:
    images="|".join(config["image_sets"]),
    seed=r"\d+",
    solver="|".join(config["solvers"]),


# The Snakefile's folder is `workflow.basedir` only as long as nobody uses this workflow as a module.
PACKAGE_FOLDER = (Path(str(workflow.current_basedir)) / "../../crosskrylov").resolve()

TARGETS = {}


def library(*names):
    """Return the library files behind the named modules: as an input, editing one re-runs the rule.

    Imports are followed, so a rule names only what its script imports; a folder ("solvers") stands
    for every module inside, for code that finds its modules by itself.
    """
    return [code_file(path) for path in source_files(PACKAGE_FOLDER, names)]


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


# Keys of an image set that say how it is run, not which images it holds.
RUN_KEYS = ("random_seeds", "time_steps")


def runs(image_sets=None):
    """Return (image set, random seed) of everything configured, or of the named image sets."""
    names = config["image_sets"] if image_sets is None else image_sets
    return [
        (name, seed)
        for name in names
        for seed in config["image_sets"][name]["random_seeds"] or config["random_seeds"]
    ]


def expand_runs(pattern, image_sets=None, **more):
    """Expand {images} and {seed} over `runs(image_sets)`, and other wildcards as given."""
    return [
        path
        for name, seed in runs(image_sets)
        for path in expand(pattern, images=name, seed=seed, **more)
    ]


def image_set(wildcards):
    """Return the configuration of the images that {images} names."""
    entry = config["image_sets"][wildcards.images]
    return {key: value for key, value in entry.items() if key not in RUN_KEYS}


def equation(wildcards):
    """Return the section `equation`, reduced to what the chosen kinds of coefficients use.

    An image set may have its own number of time steps.
    """
    section = relevant_parameters(config["equation"])
    own_steps = config["image_sets"][wildcards.images]["time_steps"]
    return section | ({"time_steps": own_steps} if own_steps else {})
