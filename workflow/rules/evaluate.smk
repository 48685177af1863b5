"""From trained models to results: denoised images, samples, metrics, tables and figures.

REQUIRED INPUTS: what train.smk makes
OUTPUTS: results/training/{experiment}/{images}/{model}/seed{seed}/{denoised.npz, samples.npz, result.json},
    results/tables/{training, quality, ablation}.tsv, results/figures/*.{svg,png}
"""

EXPERIMENTS = (
    "single_image",
    "budget",
    "ablation_single_image",
    "ablation_budget",
    "samplers",
)
RESULTS = {experiment: results_of(experiment) for experiment in EXPERIMENTS}
VARIANTS = RESULTS["ablation_single_image"] + RESULTS["ablation_budget"]
# with the main experiments on the same image sets: embedding as published, and none
ABLATION_RESULTS = VARIANTS + main_results_of_ablation()

if RESULTS["single_image"]:
    add_targets("single_image", "results/tables/training.tsv")
    for name in ("denoising_strip", "ssim_against_seconds", "time_to_ssim"):
        add_targets("single_image", expand("results/figures/{f}.{e}", f=name, e=["svg", "png"]))
if VARIANTS:
    add_targets("single_image", "results/tables/ablation.tsv")
    add_targets("single_image", expand("results/figures/ablation.{e}", e=["svg", "png"]))
if RESULTS["budget"]:
    add_targets("budget", ["results/tables/training.tsv", "results/tables/quality.tsv"])
    add_targets(
        "budget",
        expand("results/figures/frechet_against_seconds.{e}", e=["svg", "png"])
        + expand_runs(
            "results/figures/sample_grids-{images}-seed{seed}.{e}",
            config["training"]["budget"]["image_sets"],
            e=["svg", "png"],
        ),
    )
if RESULTS["samplers"]:
    add_targets(
        "budget",
        expand("results/figures/quality_against_evaluations.{e}", e=["svg", "png"]),
    )

STRIP = of_first_seed("single_image")


wildcard_constraints:
    training_figure="time_to_ssim|quality_against_evaluations",


rule denoise:
    """Denoise the noised image with the trained {wildcards.model} and keep the way there."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        checkpoint=f"{RUN}checkpoint",
        library=code("denoise.py"),
    output:
        denoised=f"{RUN}denoised.npz",
    log:
        "results/logs/training/{experiment}/{images}/{model}/seed{seed}/denoise.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/seed{seed}/denoise.tsv"
    wildcard_constraints:
        experiment="single_image",
    conda:
        "../../envs/training.yaml"
    params:
        objective=objective,
        training=training_of,
        final_time=config["equation"]["final_time"],
    script:
        "../scripts/denoise.py"


rule evaluate_single_image:
    """Find what each target SSIM took, pre-computation counted."""
    input:
        unpack(embedded_images),
        unpack(denoised_images),
        curve=f"{RUN}curve.tsv",
        summary=f"{RUN}training.json",
        library=code("evaluate_single_image.py"),
    output:
        result=f"{RUN}result.json",
    log:
        "results/logs/training/{experiment}/{images}/{model}/seed{seed}/evaluate_single_image.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/seed{seed}/evaluate_single_image.tsv"
    wildcard_constraints:
        experiment="single_image|ablation_single_image",
    conda:
        "../../envs/training.yaml"
    params:
        run=run_columns,
        targets=lambda wildcards: training_of(wildcards)["single_image"]["targets"],
        n_images=len(config["training"]["single_image"]["images"]),
    script:
        "../scripts/evaluate_single_image.py"


rule sample:
    """Draw samples from the trained {wildcards.model}."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        checkpoint=f"{RUN}checkpoint",
        library=code("sample.py"),
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
        objective=objective,
        training=training_of,
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
        library=code("evaluate_budget.py"),
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
        run=run_columns,
        objective=objective,
        sampler=config["training"]["budget"]["sampler"],
        features=frechet_features,
        training=training_of,
        metrics=config["metrics"],
    script:
        "../scripts/evaluate_budget.py"


rule compare_samplers:
    """Measure the trained {wildcards.model} under every sampler and number of evaluations."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        checkpoint="results/training/budget/{images}/{model}/seed{seed}/checkpoint",
        library=code("compare_samplers.py"),
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
        run=run_columns,
        objective=objective,
        features=frechet_features,
        training=training_of,
        metrics=config["metrics"],
    script:
        "../scripts/compare_samplers.py"


rule training_table:
    """Gather what every target and budget took, with speed-ups over DDPM."""
    input:
        results=RESULTS["single_image"] + RESULTS["budget"],
        library=code("training_table.py"),
    output:
        table=report(
            "results/tables/training.tsv",
            caption="../report/training_table.rst",
            category="Training",
        ),
    log:
        "results/logs/training_table.log",
    benchmark:
        "results/benchmarks/training_table.tsv"
    conda:
        "../../envs/numerics.yaml"
    script:
        "../scripts/training_table.py"


rule quality_table:
    """Gather every metric of every set of samples."""
    input:
        results=RESULTS["budget"] + RESULTS["samplers"],
        library=code("quality_table.py"),
    output:
        table=report(
            "results/tables/quality.tsv",
            caption="../report/quality_table.rst",
            category="Generation",
        ),
    log:
        "results/logs/quality_table.log",
    benchmark:
        "results/benchmarks/quality_table.tsv"
    conda:
        "../../envs/numerics.yaml"
    script:
        "../scripts/quality_table.py"


rule ablation_table:
    """Compare every variant of score embedding with the published one, spread over seeds shown."""
    input:
        results=ABLATION_RESULTS,
        library=code("ablation_table.py"),
    output:
        table=report(
            "results/tables/ablation.tsv",
            caption="../report/ablation_table.rst",
            category="Training",
        ),
    log:
        "results/logs/ablation_table.log",
    benchmark:
        "results/benchmarks/ablation_table.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        target=config["training"]["ablation"]["target"],
    script:
        "../scripts/ablation_table.py"


rule plot_denoising_strip:
    """Draw noised image, way and result of every model."""
    input:
        denoised=[path.replace("result.json", "denoised.npz") for path in STRIP],
        results=STRIP,
        library=code("plot_denoising_strip.py"),
    output:
        svg=report(
            "results/figures/denoising_strip.svg",
            caption="../report/denoising_strip.rst",
            category="Training",
        ),
        png="results/figures/denoising_strip.png",
    log:
        "results/logs/plot_denoising_strip.log",
    benchmark:
        "results/benchmarks/plot_denoising_strip.tsv"
    conda:
        "../../envs/numerics.yaml"
    script:
        "../scripts/plot_denoising_strip.py"


rule plot_ssim_against_seconds:
    """Draw the SSIM of the denoised image against training time."""
    input:
        curves=[path.replace("result.json", "curve.tsv") for path in RESULTS["single_image"]],
        results=RESULTS["single_image"],
        library=code("plot_ssim_against_seconds.py"),
    output:
        svg=report(
            "results/figures/ssim_against_seconds.svg",
            caption="../report/ssim_against_seconds.rst",
            category="Training",
        ),
        png="results/figures/ssim_against_seconds.png",
    log:
        "results/logs/plot_ssim_against_seconds.log",
    benchmark:
        "results/benchmarks/plot_ssim_against_seconds.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        targets=config["training"]["single_image"]["targets"],
    script:
        "../scripts/plot_ssim_against_seconds.py"


rule plot_frechet_against_seconds:
    """Draw the Fréchet distance of the samples against training time."""
    input:
        curves=[path.replace("result.json", "curve.tsv") for path in RESULTS["budget"]],
        results=RESULTS["budget"],
        library=code("plot_frechet_against_seconds.py"),
    output:
        svg=report(
            "results/figures/frechet_against_seconds.svg",
            caption="../report/frechet_against_seconds.rst",
            category="Generation",
        ),
        png="results/figures/frechet_against_seconds.png",
    log:
        "results/logs/plot_frechet_against_seconds.log",
    benchmark:
        "results/benchmarks/plot_frechet_against_seconds.tsv"
    conda:
        "../../envs/numerics.yaml"
    script:
        "../scripts/plot_frechet_against_seconds.py"


rule plot_sample_grids:
    """Draw samples of every model side by side."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        samples=expand(
            "results/training/budget/{{images}}/{model}/seed{{seed}}/samples.npz",
            model=config["training"]["budget"]["models"],
        ),
        library=code("plot_sample_grids.py"),
    output:
        svg=report(
            "results/figures/sample_grids-{images}-seed{seed}.svg",
            caption="../report/sample_grids.rst",
            category="Generation",
            labels={"images": "{images}", "seed": "{seed}"},
        ),
        png="results/figures/sample_grids-{images}-seed{seed}.png",
    log:
        "results/logs/plot_sample_grids-{images}-seed{seed}.log",
    benchmark:
        "results/benchmarks/plot_sample_grids-{images}-seed{seed}.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        models=config["training"]["budget"]["models"],
    script:
        "../scripts/plot_sample_grids.py"


rule plot_training_table:
    """Draw {wildcards.training_figure} from its table."""
    input:
        table=lambda wildcards: (
            "results/tables/training.tsv"
            if wildcards.training_figure == "time_to_ssim"
            else "results/tables/quality.tsv"
        ),
        library=code("plot_training_table.py"),
    output:
        svg=report(
            "results/figures/{training_figure}.svg",
            caption="../report/plot_training_table.rst",
            category="Training",
        ),
        png="results/figures/{training_figure}.png",
    log:
        "results/logs/plot_training_table-{training_figure}.log",
    benchmark:
        "results/benchmarks/plot_training_table-{training_figure}.tsv"
    conda:
        "../../envs/numerics.yaml"
    script:
        "../scripts/plot_training_table.py"


rule plot_ablation:
    """Draw every run of every variant of the ablation."""
    input:
        results=ABLATION_RESULTS,
        library=code("plot_ablation.py"),
    output:
        svg=report(
            "results/figures/ablation.svg",
            caption="../report/ablation.rst",
            category="Training",
        ),
        png="results/figures/ablation.png",
    log:
        "results/logs/plot_ablation.log",
    benchmark:
        "results/benchmarks/plot_ablation.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        target=config["training"]["ablation"]["target"],
    script:
        "../scripts/plot_ablation.py"
