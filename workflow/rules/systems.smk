"""From images to linear systems: initial log-densities, exact scores, the bank of systems.

REQUIRED INPUTS: results/{images}/seed{seed}/images.npz
OUTPUTS: log_density.npz, exact_scores.npz, systems.npz in the same folder; results/systems/ (export)
"""


rule estimate_density:
    """Estimate the initial log-density of every image (method {params.density[method]})."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        library=code("estimate_density.py"),
    output:
        log_density="results/{images}/seed{seed}/log_density.npz",
    log:
        "results/logs/{images}/seed{seed}/estimate_density.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/estimate_density.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        density=config["density"],
    script:
        "../scripts/estimate_density.py"


rule exact_scores:
    """Compute the exact solution and its score at the stored steps, the reference for every error."""
    input:
        log_density="results/{images}/seed{seed}/log_density.npz",
        library=code("exact_scores.py"),
    output:
        scores="results/{images}/seed{seed}/exact_scores.npz",
        summary="results/{images}/seed{seed}/exact_scores.json",
    log:
        "results/logs/{images}/seed{seed}/exact_scores.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/exact_scores.tsv"
    conda:
        "../../envs/numerics.yaml"
    threads: workflow.cores
    params:
        equation=equation,
        n_threads=config["studies"]["blas_threads"],
    script:
        "../scripts/exact_scores.py"


rule assemble_systems:
    """Take the systems of chosen time steps from a converged march: the bank of systems."""
    input:
        log_density="results/{images}/seed{seed}/log_density.npz",
        library=code_with_solvers("assemble_systems.py", config["studies"]["bank"]),
    output:
        bank="results/{images}/seed{seed}/systems.npz",
    log:
        "results/logs/{images}/seed{seed}/assemble_systems.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/assemble_systems.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        equation=equation,
        march=config["march"],
        bank=config["studies"]["bank"],
    script:
        "../scripts/assemble_systems.py"
