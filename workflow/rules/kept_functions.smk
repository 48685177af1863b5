"""Runs that are kept, and kept records in place of runs (crosskrylov.planning.kept); no rules here."""

from crosskrylov.planning import kept as _kept

# Every run that is kept; files with rules add theirs.
PLANNED_RUNS = list(_kept.march_runs(config))


def add_runs(planned):
    """Let `keep_records` keep these runs."""
    PLANNED_RUNS.extend(planned)


def kept_or_made(run):
    """Return where a planned run is read from: its kept record, or its result."""
    path = _kept.kept_or_made(config, run.path, lambda: run.fingerprint)
    return path if path == run.path else code_file(path)
