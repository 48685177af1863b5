"""The full time march with every solver, and the tables that compare them.

REQUIRED INPUTS: log_density.npz, seeds.json, exact_scores.npz of results/{images}/seed{seed}/
OUTPUTS: results/{images}/seed{seed}/trajectories/{solver}.{npz,tsv,json}, results/tables/solvers.tsv
"""

from crosskrylov.planning.runs import run_labels
from crosskrylov.planning.solvers import solvers_of_family
from crosskrylov.planning.studies import (
    frozen_labels,
    frozen_parts,
    march_labels,
    products,
    section,
    study_sets,
    study_solvers,
)
from crosskrylov.reporting.catalogue import figure_caption

# Gathered tables and figures of the studies, made in studies.smk; here one figure joins them.
PRODUCTS = products(config)
MARCHED, FROZEN = study_sets(config, "trajectory"), study_sets(config, "time_to_residual")

MARCHES = expand_runs(
    "results/{images}/seed{seed}/trajectories/{solver}.json",
    MARCHED,
    solver=study_solvers(config, "trajectory"),
)
EXACT = expand_runs("results/{images}/seed{seed}/exact_scores.json", MARCHED)
FROZEN_PARTS = frozen_parts(config)
CLOCKED = study_sets(config, "clocks")
CLOCKS = expand_runs("results/{images}/seed{seed}/studies/clocks.tsv", CLOCKED)


if MARCHED or CLOCKED:
    PRODUCTS.add_figure(
        "seconds_per_image",
        table="solvers",
        caption=figure_caption("seconds_per_image"),
    )
if MARCHED or FROZEN or CLOCKED:
    add_targets("solvers", ["results/tables/solvers.tsv", "results/tables/solvers_by_seed.tsv"])
if MARCHED or FROZEN or CLOCKED or training.results_of(config, "single_image"):
    add_targets("tables", "results/tables/claims.tsv")


rule solve_baseline:
    """March all images with a solver that treats every image by itself."""
    input:
        log_density="results/{images}/seed{seed}/log_density.npz",
        library=lambda wildcards: code_with_solvers(
            "march_images.py", config["solvers"][wildcards.solver]
        ),
    output:
        trajectory="results/{images}/seed{seed}/trajectories/{solver}.npz",
        history="results/{images}/seed{seed}/trajectories/{solver}.tsv",
        summary="results/{images}/seed{seed}/trajectories/{solver}.json",
    log:
        "results/logs/{images}/seed{seed}/solve_baseline-{solver}.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/solve_baseline-{solver}.tsv"
    wildcard_constraints:
        solver=solvers_of_family(config, cross_matrix=False),
    conda:
        "../../envs/numerics.yaml"
    threads: workflow.cores
    params:
        equation=equation,
        march=config["march"],
        solver=lambda wildcards: config["solvers"][wildcards.solver],
        n_threads=config["studies"]["blas_threads"],
    script:
        "../scripts/march_images.py"


rule project_targets:
    """March all images with a cross-matrix solver: the seeds' systems serve their targets'."""
    input:
        log_density="results/{images}/seed{seed}/log_density.npz",
        seeds="results/{images}/seed{seed}/seeds.json",
        library=lambda wildcards: code_with_solvers(
            "march_images.py", config["solvers"][wildcards.solver]
        ),
    output:
        trajectory="results/{images}/seed{seed}/trajectories/{solver}.npz",
        history="results/{images}/seed{seed}/trajectories/{solver}.tsv",
        summary="results/{images}/seed{seed}/trajectories/{solver}.json",
    log:
        "results/logs/{images}/seed{seed}/project_targets-{solver}.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/project_targets-{solver}.tsv"
    wildcard_constraints:
        solver=solvers_of_family(config, cross_matrix=True),
    conda:
        "../../envs/numerics.yaml"
    threads: workflow.cores
    params:
        equation=equation,
        march=config["march"],
        solver=lambda wildcards: config["solvers"][wildcards.solver],
        n_threads=config["studies"]["blas_threads"],
    script:
        "../scripts/march_images.py"


rule solver_table:
    """Compare all solvers: time, iterations, residuals and score errors, SpSolve the baseline."""
    input:
        summaries=lambda wildcards: kept_or_made(MARCHES),
        exact_summaries=lambda wildcards: kept_or_made(EXACT),
        histories=lambda wildcards: march_files()["histories"],
        trajectories=lambda wildcards: march_files()["trajectories"],
        references=lambda wildcards: march_files()["references"],
        exact_scores=lambda wildcards: march_files()["exact_scores"],
        frozen=lambda wildcards: kept_or_made(FROZEN_PARTS),
        clocks=lambda wildcards: kept_or_made(CLOCKS),
        library=code("solver_table.py"),
    output:
        table=report(
            "results/tables/solvers.tsv",
            caption="../report/solvers.rst",
            category="Solvers",
            labels={"table": "all solvers"},
        ),
        by_seed="results/tables/solvers_by_seed.tsv",
    log:
        "results/logs/solver_table.log",
    benchmark:
        "results/benchmarks/solver_table.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        marches=march_labels(config),
        exact=run_labels(config, MARCHED),
        frozen=frozen_labels(config),
        reference_runs=lambda wildcards: march_files()["reference_runs"],
        exact_runs=lambda wildcards: march_files()["exact_runs"],
        tolerance=section(config, "time_to_residual").get("reported_tolerance"),
        repeats=section(config, "time_to_residual").get("repeats"),
        clocks=run_labels(config, CLOCKED),
    script:
        "../scripts/solver_table.py"


rule claims_table:
    """Set every published claim against what was measured, with a verdict."""
    input:
        solvers=lambda wildcards: made_table("solvers"),
        training=lambda wildcards: made_table("training"),
        quality=lambda wildcards: made_table("quality"),
        clocks=lambda wildcards: made_table("clocks"),
        library=code("claims_table.py"),
    output:
        table=report(
            "results/tables/claims.tsv",
            caption="../report/claims.rst",
            category="Summary",
            labels={"table": "published claims"},
        ),
    log:
        "results/logs/claims_table.log",
    benchmark:
        "results/benchmarks/claims_table.tsv"
    localrule: True
    conda:
        "../../envs/numerics.yaml"
    params:
        solvers={
            name: {"method": entry["method"], "options": entry["options"]}
            for name, entry in config["solvers"].items()
        },
        image_sets={
            name: {"source": entry["source"]} for name, entry in config["image_sets"].items()
        },
        single_image={
            key: config["training"]["single_image"][key]
            for key in ("image_sets", "first_evaluation")
        },
    script:
        "../scripts/claims_table.py"
