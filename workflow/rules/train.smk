"""Embedding of images with their scores, and the training of every model.

REQUIRED INPUTS: images.npz, exact_scores.npz or trajectories/{solver}.npz of results/{images}/seed{seed}/
OUTPUTS: results/{images}/seed{seed}/embedded.npz,
    results/training/{experiment}/{images}/{model}/seed{seed}/{curve.tsv, training.json, checkpoint/}
"""


include: "train_functions.smk"


rule embed_scores:
    """Transport the images along their scores, as configured or as a variant of the ablation."""
    input:
        unpack(lambda wildcards: scores_from(embedding_of(embedding_variant(wildcards))["scores"])),
        images="results/{images}/seed{seed}/images.npz",
        library=code("embed_scores.py"),
    output:
        embedded="results/{images}/seed{seed}/{embedded}.npz",
    log:
        "results/logs/{images}/seed{seed}/embed_scores-{embedded}.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/embed_scores-{embedded}.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        equation=equation,
        embedding=lambda wildcards: embedding_of(embedding_variant(wildcards)),
    script:
        "../scripts/embed_scores.py"


rule train_single_image:
    """Train {wildcards.model} until the denoised image reaches the target SSIM or the budget ends."""
    input:
        unpack(embedded_images),
        images="results/{images}/seed{seed}/images.npz",
        library=code("train_single_image.py"),
    output:
        curve=f"{RUN}curve.tsv",
        summary=f"{RUN}training.json",
        checkpoint=directory(f"{RUN}checkpoint"),
    log:
        "results/logs/training/{experiment}/{images}/{model}/seed{seed}/train_single_image.log",
    benchmark:
        "results/benchmarks/training/{experiment}/{images}/{model}/seed{seed}/train_single_image.tsv"
    wildcard_constraints:
        experiment="single_image|ablation_single_image",
    conda:
        "../../envs/training.yaml"
    threads: workflow.cores
    resources:
        gpu=1 if config["training"]["device"] == "cuda" else 0,
    params:
        state=f"{RUN}state",
        objective=objective,
        embedded_steps=lambda wildcards: embedding_of(variant_of(wildcards))["steps"],
        equation=equation,
        unet=config["unet"],
        training=training_of,
    script:
        "../scripts/train_single_image.py"


rule train_budget:
    """Train {wildcards.model} on all images for a fixed time."""
    input:
        unpack(embedded_images),
        images="results/{images}/seed{seed}/images.npz",
        library=code("train_budget.py"),
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
        objective=objective,
        features=frechet_features,
        unet=config["unet"],
        training=training_of,
    script:
        "../scripts/train_budget.py"
