"""The studies of the solvers: each takes the bank of systems or the marches to one tidy table.

REQUIRED INPUTS: systems.npz, seeds.json, log_density.npz, trajectories/ of results/{images}/seed{seed}/
OUTPUTS: results/{images}/seed{seed}/studies/{table}.tsv, joined to results/tables/{table}.tsv;
         results/tables/convergence.tsv; results/systems/ (target export_systems)
"""

for name in STUDY_TABLES:
    add_study(name)
add_targets("solvers", "results/tables/convergence.tsv")
add_figures(["convergence"])
if study_sets("time_to_residual"):
    add_targets("solvers", "results/tables/break_even.tsv")
add_targets(
    "export_systems",
    expand_runs("results/systems/{images}-seed{seed}", study_sets("export")),
)


wildcard_constraints:
    table="|".join(STUDY_OF_TABLE),
    figure="|".join(FIGURE_TABLES),


rule study_projection_residuals:
    """Follow the residuals of seeds and targets along a march: start, projected, refined."""
    input:
        log_density="results/{images}/seed{seed}/log_density.npz",
        seeds="results/{images}/seed{seed}/seeds.json",
        library=code_with_solvers("study_projection_residuals.py", {"method": "transform_bicgstab"}),
    output:
        table="results/{images}/seed{seed}/studies/projection_residuals.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_projection_residuals.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_projection_residuals.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        equation=equation,
        march=config["march"],
        dimension=study("projection_residuals")["dimension"],
    script:
        "../scripts/study_projection_residuals.py"


rule study_time_to_residual:
    """Solve the bank with every solver to every tolerance, timed."""
    input:
        bank="results/{images}/seed{seed}/systems.npz",
        seeds="results/{images}/seed{seed}/seeds.json",
        library=code_with_solvers(
            "study_time_to_residual.py",
            *[config["solvers"][name] for name in study_solvers("time_to_residual")],
        ),
    output:
        table="results/{images}/seed{seed}/studies/time_to_residual.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_time_to_residual.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_time_to_residual.tsv"
    conda:
        "../../envs/numerics.yaml"
    threads: workflow.cores
    params:
        solvers={name: config["solvers"][name] for name in study_solvers("time_to_residual")},
        tolerances=study("time_to_residual")["tolerances"],
        repeats=study("time_to_residual")["repeats"],
        n_threads=config["studies"]["blas_threads"],
    script:
        "../scripts/study_time_to_residual.py"


rule study_subspace_dimension:
    """Measure projections alone against the subspace dimension."""
    input:
        bank="results/{images}/seed{seed}/systems.npz",
        seeds="results/{images}/seed{seed}/seeds.json",
        library=code("study_subspace_dimension.py"),
    output:
        table="results/{images}/seed{seed}/studies/subspace_dimension.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_subspace_dimension.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_subspace_dimension.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        dimensions=study("subspace_dimension")["dimensions"],
    script:
        "../scripts/study_subspace_dimension.py"


rule study_likeness:
    """Measure projections against the likeness of seed and target, and the choice of seeds."""
    input:
        bank="results/{images}/seed{seed}/systems.npz",
        library=code("study_likeness.py"),
    output:
        pairs="results/{images}/seed{seed}/studies/likeness_pairs.tsv",
        correlation="results/{images}/seed{seed}/studies/likeness.tsv",
        choice="results/{images}/seed{seed}/studies/seed_choice.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_likeness.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_likeness.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        dimension=study("likeness")["dimension"],
        n_seeds=study("likeness")["n_seeds"],
        draws=study("likeness")["random_draws"],
    script:
        "../scripts/study_likeness.py"


rule study_diversity:
    """Measure projections on an image set, with its diversity."""
    input:
        bank="results/{images}/seed{seed}/systems.npz",
        seeds="results/{images}/seed{seed}/seeds.json",
        library=code("study_diversity.py"),
    output:
        table="results/{images}/seed{seed}/studies/diversity.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_diversity.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_diversity.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        dimension=study("diversity")["dimension"],
    script:
        "../scripts/study_diversity.py"


rule study_warm_start:
    """Refine with and without projection, paired on the same systems, timed."""
    input:
        bank="results/{images}/seed{seed}/systems.npz",
        seeds="results/{images}/seed{seed}/seeds.json",
        library=code_with_solvers("study_warm_start.py", *study("warm_start")["refiners"].values()),
    output:
        table="results/{images}/seed{seed}/studies/warm_start.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_warm_start.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_warm_start.tsv"
    conda:
        "../../envs/numerics.yaml"
    threads: workflow.cores
    params:
        study=study("warm_start"),
        n_threads=config["studies"]["blas_threads"],
    script:
        "../scripts/study_warm_start.py"


rule study_error_budget:
    """Vary tolerances, time step and grid against the exact solution."""
    input:
        log_density="results/{images}/seed{seed}/log_density.npz",
        library=code_with_solvers("study_error_budget.py", study("error_budget")),
    output:
        table="results/{images}/seed{seed}/studies/error_budget.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_error_budget.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_error_budget.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        equation=equation,
        march=config["march"],
        study=study("error_budget"),
    script:
        "../scripts/study_error_budget.py"


rule study_system_summary:
    """Summarise sizes, conditioning and iteration counts of the systems."""
    input:
        bank="results/{images}/seed{seed}/systems.npz",
        frozen="results/{images}/seed{seed}/studies/time_to_residual.tsv",
        library=code("study_system_summary.py"),
    output:
        table="results/{images}/seed{seed}/studies/system_summary.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_system_summary.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_system_summary.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        n_conditioned=study("system_summary")["n_conditioned"],
        solvers=config["solvers"],
    script:
        "../scripts/study_system_summary.py"


rule study_downstream:
    """Carry the solvers' scores through the embedding to the images."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        exact="results/{images}/seed{seed}/exact_scores.npz",
        trajectories=expand(
            "results/{{images}}/seed{{seed}}/trajectories/{solver}.npz",
            solver=study_solvers("trajectory"),
        ),
        library=code("study_downstream.py"),
    output:
        table="results/{images}/seed{seed}/studies/downstream.tsv",
    log:
        "results/logs/{images}/seed{seed}/study_downstream.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/study_downstream.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        equation=equation,
        solvers=study_solvers("trajectory"),
        baseline=baseline_solver(config, study_solvers("trajectory")),
        variants=study("downstream")["variants"],
    script:
        "../scripts/study_downstream.py"


rule study_convergence:
    """Measure the orders of convergence against a closed-form solution."""
    input:
        library=code_with_solvers("study_convergence.py", {"method": "transform_bicgstab"}),
    output:
        table=report(
            "results/tables/convergence.tsv",
            caption="../report/study_table.rst",
            category="Solvers",
            labels={"table": "convergence"},
        ),
    log:
        "results/logs/study_convergence.log",
    benchmark:
        "results/benchmarks/study_convergence.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        time_steps=study("convergence")["time_steps"],
        sizes=study("convergence")["sizes"],
        fine_size=study("convergence")["fine_size"],
    script:
        "../scripts/study_convergence.py"


rule gather_study:
    """Join a study's tables of all image sets and random seeds."""
    input:
        parts=study_parts,
        library=code("gather_study.py"),
    output:
        table=report(
            "results/tables/{table}.tsv",
            caption="../report/study_table.rst",
            category="Solvers",
            labels={"table": "{table}"},
        ),
    log:
        "results/logs/gather_study-{table}.log",
    benchmark:
        "results/benchmarks/gather_study-{table}.tsv"
    localrule: True
    conda:
        "../../envs/numerics.yaml"
    params:
        runs=lambda wildcards: run_labels(config, study_sets(STUDY_OF_TABLE[wildcards.table])),
    script:
        "../scripts/gather_study.py"


rule study_break_even:
    """Amortise the seeds' work over the targets and find where each solver gets ahead of SpSolve."""
    input:
        table="results/tables/time_to_residual.tsv",
        library=code("study_break_even.py"),
    output:
        table=report(
            "results/tables/break_even.tsv",
            caption="../report/study_table.rst",
            category="Solvers",
            labels={"table": "break_even"},
        ),
    log:
        "results/logs/study_break_even.log",
    benchmark:
        "results/benchmarks/study_break_even.tsv"
    conda:
        "../../envs/numerics.yaml"
    script:
        "../scripts/study_break_even.py"


rule plot_study:
    """Plot one table of the solvers or of a study."""
    input:
        table=lambda wildcards: f"results/tables/{FIGURE_TABLES[wildcards.figure]}.tsv",
        library=code("plot_study.py"),
    output:
        svg=report(
            "results/figures/{figure}.svg",
            caption="../report/study_figure.rst",
            category="Solvers",
            labels={"figure": "{figure}"},
        ),
        png="results/figures/{figure}.png",
    log:
        "results/logs/plot_study-{figure}.log",
    benchmark:
        "results/benchmarks/plot_study-{figure}.tsv"
    conda:
        "../../envs/numerics.yaml"
    script:
        "../scripts/plot_study.py"


rule export_study_systems:
    """Write chosen systems (A, b, x) as Matrix Market and NPZ for other people's solvers."""
    input:
        bank="results/{images}/seed{seed}/systems.npz",
        library=code("export_study_systems.py"),
    output:
        folder=directory("results/systems/{images}-seed{seed}"),
    log:
        "results/logs/{images}/seed{seed}/export_study_systems.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/export_study_systems.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        images=study("export")["images"],
    script:
        "../scripts/export_study_systems.py"
