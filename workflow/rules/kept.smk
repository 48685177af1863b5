"""Runs that are kept, and kept records in place of runs (crosskrylov.planning.kept); no rules here."""

from functools import cache

from crosskrylov.planning import kept as _kept

PLANNED_RUNS = [
    *_kept.march_runs(config),
    *_kept.study_runs(config),
    *_kept.training_runs(config),
]
RUN_OF_FILE = {file: run for run in PLANNED_RUNS for file in run.files}


def is_made(path):
    """Return whether a file is made here, not taken from the kept record of its run."""
    return path not in RUN_OF_FILE or not _kept.is_kept(config, RUN_OF_FILE[path])


def kept_or_made(paths):
    """Return where each file is read from: the kept record of its run, or itself."""
    chosen = []
    for path in paths:
        run = RUN_OF_FILE.get(path)
        kept = (
            path if run is None else _kept.kept_or_made(config, run.path, lambda: run.fingerprint)
        )
        chosen.append(path if run is None or kept == run.path else code_file(kept))
    return chosen


@cache
def march_files():
    """Return what the table of solvers reads of the marches that are made, not kept."""
    return _kept.march_files(config, is_made)


def kept_inputs(shown):
    """Return the inputs of a table or figure; kept records stand for runs."""
    return {name: kept_or_made(paths) for name, paths in shown.inputs.items()}


def kept_parts(parts, wildcards):
    """Return the files of all solvers, or their kept records."""
    return kept_or_made([part.format(**wildcards) for part in parts])


FIGURES_OF_KEPT_RUNS = _kept.figures_of_kept_runs(config, is_made)
