"""Records of finished runs, for a snapshot (crosskrylov.reporting.snapshot).

REQUIRED INPUTS: everything that the configuration asks for
OUTPUTS: results/records/, results/part.json (target `records`, which `rule all` leaves out)
"""

from crosskrylov.planning.studies import study_captions


rule keep_records:
    """Write a record of every run, with its machine and what it depends on."""
    input:
        runs=lambda wildcards: kept_or_made([run.path for run in PLANNED_RUNS]),
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
        manifest=lambda wildcards: _kept.manifest(
            config,
            all_targets(),
            study_captions(PRODUCTS),
            FIGURES_OF_KEPT_RUNS,
        ),
    script:
        "../scripts/keep_records.py"


rule records:
    """Everything, and a record of every finished run (make snapshot)."""
    input:
        rules.keep_records.output,
