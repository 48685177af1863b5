"""Embedding of images with their scores, and the training of every model.

REQUIRED INPUTS: images.npz of results/{images}/seed{seed}/, and exact_scores.npz or trajectories/{solver}.npz
    beside it where embedding.scores is not on_the_fly
OUTPUTS: results/{images}/seed{seed}/embedded.npz, results/training/calibration/{images}/together{together}.tsv,
    results/training/{experiment}/{images}/{model}/(image{image}/)seed{seed}/{curve.tsv, training.json, checkpoint/}
"""

import os

from crosskrylov.planning import sources
from crosskrylov.planning.training import RUN, RUN_ON_IMAGES

# Threads of GNU OpenMP spin for milliseconds before they sleep. Where anything else runs on the same
# cores a training step then takes 20 times as long (8.3 s instead of 0.36 s on two busy cores); this is
# the number of spins that the library itself chooses once it knows of more threads than cores. It has
# to be set before torch is loaded, so here rather than in the scripts.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


wildcard_constraints:
    experiment="|".join(training.EXPERIMENTS),
    model="[A-Za-z][A-Za-z0-9_.-]*",
    image=r"\d+(\+\d+)*",
    together=r"\d+",


trained_model = of_run(training.trained_model, "experiment", "model")
training_section = of_run(training.training_section, "experiment", "model", "image")
embedded_images = of_run(training.embedded_images, "experiment", "images", "model", "seed")
method_result = of_run(training.method_result, "experiment", "images", "model", "image", "seed")
frechet_features = of_run(sources.frechet_features, "images")


rule embed_scores:
    """Transport the images along their scores, as configured or as a variant of the ablation."""
    input:
        unpack(of_run(training.scores_for, "embedded")),
        images="results/{images}/seed{seed}/images.npz",
        library=code("embed_scores.py"),
    output:
        embedded="results/{images}/seed{seed}/{embedded}.npz",
    log:
        "results/logs/{images}/seed{seed}/embed_scores-{embedded}.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/embed_scores-{embedded}.tsv"
    wildcard_constraints:
        embedded=training.embedded_names(config, on_the_fly=False),
    conda:
        "../../envs/numerics.yaml"
    params:
        equation=equation,
        embedding=of_run(training.embedding_for, "embedded"),
    script:
        "../scripts/embed_scores.py"


rule embed_on_the_fly:
    """Transport the images along exact scores that are made for it; the images go after training."""
    input:
        images="results/{images}/seed{seed}/images.npz",
        library=code("embed_on_the_fly.py"),
    output:
        embedded=temp("results/{images}/seed{seed}/{embedded}.npz"),
    log:
        "results/logs/{images}/seed{seed}/embed_on_the_fly-{embedded}.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/embed_on_the_fly-{embedded}.tsv"
    wildcard_constraints:
        embedded=training.embedded_names(config, on_the_fly=True),
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    params:
        equation=equation,
        density=config["density"],
        embedding=of_run(training.embedding_for, "embedded"),
        n_threads=config["studies"]["blas_threads"],
    script:
        "../scripts/embed_on_the_fly.py"


rule calibrate_training:
    """Time a step of every model of the single-image experiment, with nothing else on the machine."""
    input:
        images=of_run(training.calibration_images, "images"),
        library=lambda wildcards: code(
            "calibrate_training.py", *training.calibration_files(config, wildcards.images)
        ),
    output:
        seconds=training.CALIBRATION,
    log:
        "results/logs/training/calibrate_training-{images}-{together}.log",
    benchmark:
        "results/benchmarks/training/calibrate_training-{images}-{together}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    resources:
        gpu=1 if config["training"]["device"] == "cuda" else 0,
    params:
        run=of_calibration("run"),
        models=of_calibration("models"),
        embedded_steps=of_calibration("embedded_steps"),
        equation=equation,
        unet=config["unet"],
        training=of_calibration("training"),
        seed=of_calibration("seed"),
    script:
        "../scripts/calibrate_training.py"


rule train_single_image:
    """Train {wildcards.model} until the denoised image reaches its targets or the budget ends."""
    input:
        unpack(embedded_images),
        # a run that is bounded by the method's, or by the kept record of that
        unpack(
            lambda wildcards: {k: kept_or_made([v]) for k, v in method_result(wildcards).items()}
        ),
        images="results/{images}/seed{seed}/images.npz",
        library=code_with_model("train_single_image.py"),
    output:
        curve=f"{RUN_ON_IMAGES}curve.tsv",
        summary=f"{RUN_ON_IMAGES}training.json",
        checkpoint=directory(f"{RUN_ON_IMAGES}checkpoint"),
    log:
        "results/logs/training/{experiment}/{images}/{model}/image{image}/seed{seed}/train_single_image.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/image{image}/seed{seed}/train_single_image.tsv"
    wildcard_constraints:
        experiment="single_image|ablation_single_image|learning_rates",
    conda:
        "../../envs/training.yaml"
    # its steps are the same only with the same number; with fewer than there are cores, runs share them
    threads: config["training"]["single_image"]["threads"] or workflow.cores
    resources:
        gpu=1 if config["training"]["device"] == "cuda" else 0,
    params:
        state=f"{RUN_ON_IMAGES}state",
        objective=trained_model,
        embedded_steps=of_run(training.embedded_steps, "experiment", "model"),
        equation=equation,
        unet=config["unet"],
        training=training_section,
        stop_multiples=of_run(training.stop_multiples, "experiment", "images", "model", "image"),
    script:
        "../scripts/train_single_image.py"


rule train_budget:
    """Train {wildcards.model} on all images for a fixed time."""
    input:
        unpack(embedded_images),
        images="results/{images}/seed{seed}/images.npz",
        library=code_with_model("train_budget.py"),
    output:
        curve=f"{RUN}curve.tsv",
        summary=f"{RUN}training.json",
        checkpoint=directory(f"{RUN}checkpoint"),
    log:
        "results/logs/training/{experiment}/{images}/{model}/seed{seed}/train_budget.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/seed{seed}/train_budget.tsv"
    wildcard_constraints:
        experiment="budget|ablation_budget",
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    resources:
        gpu=1 if config["training"]["device"] == "cuda" else 0,
    params:
        state=f"{RUN}state",
        objective=trained_model,
        features=frechet_features,
        unet=config["unet"],
        training=training_section,
    script:
        "../scripts/train_budget.py"
