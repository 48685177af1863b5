"""The images of every image set, in one form wherever they come from.

REQUIRED INPUTS: none (photos, digits), a folder of the user's (folder), or a network (cifar10, celeba)
OUTPUTS: results/{images}/seed{seed}/images.npz, results/{images}/seed{seed}/images.manifest.json
"""

from crosskrylov.runtime.fingerprint import folder_fingerprint


rule fetch_images:
    """Load the images of one set as float32 [N, C, H, W] in [0, 1], with a SHA-256 for each."""
    input:
        library=code("fetch_images.py"),
    output:
        multiext(
            "results/{images}/seed{seed}/images",
            images=".npz",
            manifest=".manifest.json",
        ),
    log:
        "results/logs/{images}/seed{seed}/fetch_images.log",
    # Deterministic, and a download at worst: `snakemake --cache` shares it between checkouts.  The
    # cache knows a job by its params, not its wildcards, so everything that counts is among them,
    # and it does not allow a benchmark.
    cache: True
    conda:
        "../../envs/training.yaml"
    params:
        image_set=image_set,
        seed=lambda wildcards: int(wildcards.seed),
        files=lambda wildcards: (
            folder_fingerprint(image_set(wildcards).get("root"))
            if image_set(wildcards)["source"] == "folder"
            else ""
        ),
    script:
        "../scripts/fetch_images.py"
