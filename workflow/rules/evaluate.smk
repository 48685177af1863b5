"""From trained models to results: denoised images, samples, metrics, tables and figures.

REQUIRED INPUTS: what train.smk makes
OUTPUTS: results/training/{experiment}/{images}/{model}/(image{image}/)seed{seed}/{denoised.npz, samples.npz, result.json},
    results/tables/{training, quality, ablation, controls, control_effects, learning_rates, best_rates}.tsv, results/figures/*.{svg,png}
"""

from crosskrylov.metrics.names import REAL
from crosskrylov.reporting.catalogue import TABLE_CAPTIONS, figure_caption

TABLES = training.tables(config)
FIGURES = training.figures(config)
IMAGE_FIGURES = {
    name: shown
    for name, shown in training.image_figures(config).items()
    if name not in FIGURES_OF_KEPT_RUNS
}

for name, shown in TABLES.items():
    for target in shown.targets:
        add_targets(target, f"results/tables/{name}.tsv")
for name, shown in {**FIGURES, **IMAGE_FIGURES}.items():
    for target in shown.targets:
        add_targets(target, expand("results/figures/{f}.{e}", f=name, e=["svg", "png"]))


wildcard_constraints:
    training_table=training.name_pattern(TABLES),
    training_figure=training.name_pattern(FIGURES),


rule denoise:
    """Denoise the noised image with the trained {wildcards.model} and keep the way there."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        checkpoint=f"{RUN_ON_IMAGES}checkpoint",
        library=code_with_model("denoise.py"),
    output:
        denoised=f"{RUN_ON_IMAGES}denoised.npz",
    log:
        "results/logs/training/{experiment}/{images}/{model}/image{image}/seed{seed}/denoise.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/image{image}/seed{seed}/denoise.tsv"
    wildcard_constraints:
        experiment="single_image",
    conda:
        "../../envs/training.yaml"
    params:
        objective=trained_model,
        training=training_section,
        final_time=config["equation"]["final_time"],
    script:
        "../scripts/denoise.py"


rule evaluate_single_image:
    """Find what each target SSIM took, pre-computation counted."""
    input:
        unpack(embedded_images),
        unpack(of_run(training.denoised_images, "experiment", "images", "model", "image", "seed")),
        curve=f"{RUN_ON_IMAGES}curve.tsv",
        summary=f"{RUN_ON_IMAGES}training.json",
        library=code("evaluate_single_image.py"),
    output:
        result=f"{RUN_ON_IMAGES}result.json",
    log:
        "results/logs/training/{experiment}/{images}/{model}/image{image}/seed{seed}/evaluate_single_image.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/image{image}/seed{seed}/evaluate_single_image.tsv"
    wildcard_constraints:
        experiment="single_image|ablation_single_image|learning_rates",
    conda:
        "../../envs/training.yaml"
    params:
        run=of_run(training.run_columns, "experiment", "images", "model", "seed", "image"),
        targets=of_run(training.targets_of, "experiment", "model"),
        n_images=lambda wildcards: len(training.image_indices(wildcards.image)),
    script:
        "../scripts/evaluate_single_image.py"


rule sample:
    """Draw samples from the trained {wildcards.model}."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        checkpoint=f"{RUN}checkpoint",
        library=code_with_model("sample.py"),
    output:
        samples=f"{RUN}samples.npz",
    log:
        "results/logs/training/{experiment}/{images}/{model}/seed{seed}/sample.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/seed{seed}/sample.tsv"
    wildcard_constraints:
        experiment="budget|ablation_budget",
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    params:
        objective=trained_model,
        training=training_section,
    script:
        "../scripts/sample.py"


rule evaluate_budget:
    """Measure samples and scores of the trained {wildcards.model}."""
    input:
        unpack(embedded_images),
        images="results/{images}/seed{seed}/images.npz",
        samples=f"{RUN}samples.npz",
        checkpoint=f"{RUN}checkpoint",
        summary=f"{RUN}training.json",
        library=code_with_model("evaluate_budget.py"),
    output:
        result=f"{RUN}result.json",
    log:
        "results/logs/training/{experiment}/{images}/{model}/seed{seed}/evaluate_budget.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/seed{seed}/evaluate_budget.tsv"
    wildcard_constraints:
        experiment="budget|ablation_budget",
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    params:
        run=of_run(training.run_columns, "experiment", "images", "model", "seed"),
        objective=trained_model,
        sampler=config["training"]["budget"]["sampler"],
        features=frechet_features,
        training=training_section,
        metrics=config["metrics"],
    script:
        "../scripts/evaluate_budget.py"


rule compare_samplers:
    """Measure the trained {wildcards.model} under every sampler and number of evaluations."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        checkpoint="results/training/budget/{images}/{model}/seed{seed}/checkpoint",
        library=code_with_model("compare_samplers.py"),
    output:
        result=f"{RUN}result.json",
    log:
        "results/logs/training/{experiment}/{images}/{model}/seed{seed}/compare_samplers.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/seed{seed}/compare_samplers.tsv"
    wildcard_constraints:
        experiment="samplers",
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    params:
        run=of_run(training.run_columns, "experiment", "images", "model", "seed"),
        objective=trained_model,
        features=frechet_features,
        training=training_section,
        metrics=config["metrics"],
    script:
        "../scripts/compare_samplers.py"


rule hold_out_images:
    """Load the images of {wildcards.images} that nothing is trained on."""
    input:
        library=lambda wildcards: code("hold_out_images.py", source_file(config, wildcards.images)),
    output:
        images="results/{images}/seed{seed}/held_out.npz",
    log:
        "results/logs/{images}/seed{seed}/hold_out_images.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/hold_out_images.tsv"
    conda:
        "../../envs/training.yaml"
    params:
        image_set=image_set,
        seed=lambda wildcards: int(wildcards.seed),
        most=config["training"]["quality"]["held_out"],
        files=lambda wildcards: watched_files(config, wildcards.images),
    script:
        "../scripts/hold_out_images.py"


rule judge_quality:
    """Judge the trained {wildcards.model} by many samples under its best sampler."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        held_out="results/{images}/seed{seed}/held_out.npz",
        checkpoint=lambda wildcards: RUN.replace(
            "{experiment}", training.training_of(wildcards.experiment)
        )
        + "checkpoint",
        library=code_with_model("judge_quality.py"),
    output:
        result=f"{RUN}result.json",
    log:
        "results/logs/training/{experiment}/{images}/{model}/seed{seed}/judge_quality.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/seed{seed}/judge_quality.tsv"
    wildcard_constraints:
        experiment="quality|ablation_quality",
        model=f"(?!{REAL}/)[A-Za-z][A-Za-z0-9_.-]*",
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    params:
        run=of_run(training.run_columns, "experiment", "images", "model", "seed"),
        objective=trained_model,
        training=training_section,
        metrics=config["metrics"],
    script:
        "../scripts/judge_quality.py"


rule judge_real_images:
    """Judge real images of {wildcards.images} as if they were samples: the floor."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        held_out="results/{images}/seed{seed}/held_out.npz",
        library=code("judge_real_images.py"),
    output:
        result="results/training/quality/{images}/" + REAL + "/seed{seed}/result.json",
    log:
        "results/logs/training/quality/{images}/seed{seed}/judge_real_images.log",
    benchmark:
        "results/benchmarks/training/quality/{images}/seed{seed}/judge_real_images.tsv"
    conda:
        "../../envs/training.yaml"
    params:
        run=lambda wildcards: training.run_columns(
            config, "quality", wildcards.images, REAL, wildcards.seed
        ),
        options=training.floor_options(config),
    script:
        "../scripts/judge_real_images.py"


rule gather_results:
    """Gather the results of single runs in the table of {wildcards.training_table}."""
    input:
        unpack(lambda wildcards: kept_inputs(TABLES[wildcards.training_table])),
        library=code("gather_results.py"),
    output:
        table=report(
            "results/tables/{training_table}.tsv",
            caption="../report/study_table.rst",
            category=lambda wildcards: TABLES[wildcards.training_table].category,
            labels={"table": "{training_table}"},
        ),
    log:
        "results/logs/{training_table}_table.log",
    benchmark:
        "results/benchmarks/{training_table}_table.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        options=lambda wildcards: TABLES[wildcards.training_table].options,
        caption=lambda wildcards: TABLE_CAPTIONS[wildcards.training_table],
    script:
        "../scripts/gather_results.py"


rule plot_training:
    """Draw {wildcards.training_figure} from the numbers of all runs."""
    input:
        unpack(lambda wildcards: kept_inputs(FIGURES[wildcards.training_figure])),
        library=code("plot_training.py"),
    output:
        svg=report(
            "results/figures/{training_figure}.svg",
            caption="../report/study_figure.rst",
            category=lambda wildcards: FIGURES[wildcards.training_figure].category,
            labels={"figure": "{training_figure}"},
        ),
        png="results/figures/{training_figure}.png",
    log:
        "results/logs/plot_{training_figure}.log",
    benchmark:
        "results/benchmarks/plot_{training_figure}.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        options=lambda wildcards: FIGURES[wildcards.training_figure].options,
        caption=lambda wildcards: figure_caption(wildcards.training_figure),
    script:
        "../scripts/plot_training.py"


rule plot_training_images:
    """Draw {wildcards.image_figure}: images and what the models make of them."""
    input:
        unpack(lambda wildcards: IMAGE_FIGURES[wildcards.image_figure].inputs),
        library=code("plot_training_images.py"),
    output:
        svg=report(
            "results/figures/{image_figure}.svg",
            caption="../report/study_figure.rst",
            category=lambda wildcards: IMAGE_FIGURES[wildcards.image_figure].category,
            labels={"figure": "{image_figure}"},
        ),
        png="results/figures/{image_figure}.png",
    log:
        "results/logs/plot_{image_figure}.log",
    benchmark:
        "results/benchmarks/plot_{image_figure}.tsv"
    wildcard_constraints:
        image_figure=training.name_pattern(IMAGE_FIGURES, publish=True),
    conda:
        "../../envs/numerics.yaml"
    params:
        options=lambda wildcards: IMAGE_FIGURES[wildcards.image_figure].options,
        caption=lambda wildcards: figure_caption(wildcards.image_figure),
    script:
        "../scripts/plot_training_images.py"


# the same figures of image sets that are not published: made, but no part of the report
use rule plot_training_images as plot_unpublished_images with:
    output:
        svg="results/figures/{image_figure}.svg",
        png="results/figures/{image_figure}.png",
    wildcard_constraints:
        image_figure=training.name_pattern(IMAGE_FIGURES, publish=False),
