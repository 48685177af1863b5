"""Scores of whole image sets at the stored steps, in parts, as one folder that is readable in part.

REQUIRED INPUTS: results/{images}/seed{seed}/images.npz
OUTPUTS: results/{images}/seed{seed}/scores/, results/tables/engine.tsv
"""

from crosskrylov.planning.solvers import engine_solvers

ENGINE_SETS = config["engine"]["image_sets"]
if ENGINE_SETS is None:
    ENGINE_SETS = list(config["image_sets"])

if ENGINE_SETS:
    add_targets("engine", "results/tables/engine.tsv")


scattergather:
    engine=config["engine"]["parts"],


rule precompute_scores:
    """Compute the scores of part {wildcards.scatteritem} of the images."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        library=code_with_solvers("precompute_scores.py", *engine_solvers(config)),
    output:
        scores=temp(directory("results/{images}/seed{seed}/scores_parts/{scatteritem}")),
    log:
        "results/logs/{images}/seed{seed}/precompute_scores-{scatteritem}.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/precompute_scores-{scatteritem}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    params:
        # where chunks survive a job that ends early
        state="results/{images}/seed{seed}/scores_state/{scatteritem}",
        equation=equation,
        density=config["density"],
        march=config["march"],
        engine={
            key: value
            for key, value in config["engine"].items()
            if key not in ("image_sets", "parts")
        },
    script:
        "../scripts/precompute_scores.py"


rule gather_scores:
    """Put the parts' scores together."""
    input:
        parts=gather.engine("results/{{images}}/seed{{seed}}/scores_parts/{scatteritem}"),
        library=code("gather_scores.py"),
    output:
        scores=directory("results/{images}/seed{seed}/scores"),
        summary="results/{images}/seed{seed}/scores.json",
    log:
        "results/logs/{images}/seed{seed}/gather_scores.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/gather_scores.tsv"
    conda:
        "../../envs/training.yaml"
    params:
        dataset=lambda wildcards: wildcards.images,
        seed=lambda wildcards: int(wildcards.seed),
    script:
        "../scripts/gather_scores.py"


rule engine_table:
    """Gather which engine ran for each image set, what it took and how exact it is."""
    input:
        summaries=expand_runs("results/{images}/seed{seed}/scores.json", ENGINE_SETS),
        library=code("engine_table.py"),
    output:
        table=report(
            "results/tables/engine.tsv",
            caption="../report/engine.rst",
            category="Engine",
            labels={"table": "engine"},
        ),
    log:
        "results/logs/engine_table.log",
    benchmark:
        "results/benchmarks/engine_table.tsv"
    conda:
        "../../envs/numerics.yaml"
    script:
        "../scripts/engine_table.py"
