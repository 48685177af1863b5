"""The images of every image set, in one form wherever they come from.

REQUIRED INPUTS: what the source needs: nothing (photos, digits), a folder of the user's, or a network
OUTPUTS: results/{images}/seed{seed}/images.npz, results/{images}/seed{seed}/images.manifest.json
"""

from crosskrylov.planning.sources import source_file, watched_files


rule fetch_images:
    """Load the images of one set as float32 [N, C, H, W] in [0, 1], with a SHA-256 for each."""
    input:
        # of all sources only the set's own: a new one, or an edit of another, is nothing to these images
        library=lambda wildcards: code("fetch_images.py", source_file(config, wildcards.images)),
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
        files=lambda wildcards: watched_files(config, wildcards.images),
    script:
        "../scripts/fetch_images.py"
