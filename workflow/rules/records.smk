"""Records of finished runs for a snapshot, and kept ones in place of runs (crosskrylov.planning.kept).

REQUIRED INPUTS: everything that the configuration asks for
OUTPUTS: results/records/, results/part.json (target `records`, which `rule all` leaves out)
"""

from crosskrylov.planning import kept as _kept

# Every run that is kept; files with rules add theirs.
PLANNED_RUNS = []


def add_runs(planned):
    """Let `keep_records` keep these runs."""
    PLANNED_RUNS.extend(planned)


def kept_or_made(run):
    """Return where a planned run is read from: its kept record, or its result."""
    path = _kept.kept_or_made(config, run.path, lambda: run.fingerprint)
    return path if path == run.path else code_file(path)


if study_sets("trajectory"):
    add_runs(_kept.march_runs(config))


rule keep_records:
    """Write a record of every run, with its machine and what it depends on."""
    input:
        runs=lambda wildcards: [kept_or_made(run) for run in PLANNED_RUNS],
        rows=lambda wildcards: (
            "results/tables/solvers_by_seed.tsv" if any(run.row for run in PLANNED_RUNS) else []
        ),
        # what the manifest names has to be there, and of this configuration
        targets=lambda wildcards: all_targets(),
        library=code("keep_records.py"),
    output:
        folder=directory("results/records"),
        manifest="results/part.json",
    log:
        "results/logs/keep_records.log",
    benchmark:
        "results/benchmarks/keep_records.tsv"
    localrule: True
    conda:
        "../../envs/numerics.yaml"
    params:
        planned=lambda wildcards: _kept.described(PLANNED_RUNS),
        manifest=lambda wildcards: _kept.manifest(config, all_targets()),
    script:
        "../scripts/keep_records.py"


rule records:
    """Everything, and a record of every finished run (make snapshot)."""
    input:
        rules.keep_records.output,
