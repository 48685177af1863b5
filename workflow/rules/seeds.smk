"""The seed images, whose linear systems serve the other images.

REQUIRED INPUTS: results/{images}/seed{seed}/log_density.npz or images.npz
OUTPUTS: results/{images}/seed{seed}/seeds.json
"""


rule select_seeds:
    """Choose {params.n_seeds} seed images ({params.selection}) and each image's nearest seed."""
    input:
        features=(
            "results/{images}/seed{seed}/log_density.npz"
            if config["seeds"]["feature"] == "log_density"
            else "results/{images}/seed{seed}/images.npz"
        ),
        library=code("select_seeds.py"),
    output:
        seeds="results/{images}/seed{seed}/seeds.json",
    log:
        "results/logs/{images}/seed{seed}/select_seeds.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/select_seeds.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        feature=config["seeds"]["feature"],
        n_seeds=config["seeds"]["n_seeds"],
        selection=config["seeds"]["selection"],
    script:
        "../scripts/select_seeds.py"
