"""What train.smk and evaluate.smk share: which runs there are, and what each depends on; no rules."""

import os

# Threads of GNU OpenMP spin for milliseconds before they sleep. Where anything else runs on the same
# cores a training step then takes 20 times as long (8.3 s instead of 0.36 s on two busy cores); this is
# the number of spins that the library itself chooses once it knows of more threads than cores. It has
# to be set before torch is loaded, so here rather than in the scripts.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

#: Keys of an experiment's section that say which runs there are, not what a run does.
LISTING_KEYS = ("image_sets", "models", "variants")

#: Models whose training uses pre-computed scores.
SCORE_MODELS = ("score_embedding", "score_embedding_scaled")

ABLATION = config["training"]["ablation"]

RUN = "results/training/{experiment}/{images}/{model}/seed{seed}/"


wildcard_constraints:
    experiment="single_image|budget|ablation_single_image|ablation_budget|samplers",
    model="[A-Za-z][A-Za-z0-9_.-]*",
    embedded="embedded(/[A-Za-z][A-Za-z0-9_.-]*)?",


def is_ablation(wildcards):
    """Return whether {model} is a variant of the ablation."""
    return wildcards.experiment.startswith("ablation_")


def base_experiment(wildcards):
    """Return the experiment whose settings a run uses: that without ``ablation_`` before it."""
    return wildcards.experiment.removeprefix("ablation_")


def variant_of(wildcards):
    """Return what an ablation changes: its entry, or nothing for the other experiments."""
    return ABLATION["variants"][wildcards.model] if is_ablation(wildcards) else {}


def objective(wildcards):
    """Return the model that {model} trains; every ablation is one of score embedding."""
    if not is_ablation(wildcards):
        return wildcards.model
    return "score_embedding_scaled" if variant_of(wildcards)["scaled"] else "score_embedding"


def training_of(wildcards):
    """Return the section `training`, reduced to what a run uses, with an ablation's changes."""
    section = config["training"]
    nested = ("single_image", "budget", "ablation", "samplers")
    reduced = {key: value for key, value in section.items() if key not in nested}
    name = base_experiment(wildcards)
    parts = ("budget", "samplers") if name in ("budget", "samplers") else (name,)
    for part in parts:
        reduced[part] = {k: v for k, v in section[part].items() if k not in LISTING_KEYS}
    if name == "budget":  # of the samplers' section it needs the settings, not what is compared
        for key in ("samplers", "function_evaluations"):
            del reduced["samplers"][key]
    if is_ablation(wildcards) and name == "single_image":
        reduced[name]["targets"] = [ABLATION["target"]]
        reduced[name]["noise"] = variant_of(wildcards)["noise"] or reduced[name]["noise"]
    return reduced


def embedding_variant(wildcards):
    """Return the ablation's variant that embedded images are made for, or nothing."""
    name = wildcards.embedded.removeprefix("embedded").removeprefix("/")
    return ABLATION["variants"][name] if name else {}


def embedding_of(variant):
    """Return the section `embedding`, with the changes of an ablation's variant."""
    changes = {key: value for key, value in variant.items() if value is not None}
    return {key: changes.get(key, value) for key, value in config["embedding"].items()}


def scores_from(name):
    """Return where scores and their timing come from: the exact solution, or a solver's march."""
    folder = "results/{images}/seed{seed}/"
    stem = "exact_scores" if name == "exact" else f"trajectories/{name}"
    return {"scores": f"{folder}{stem}.npz", "summary": f"{folder}{stem}.json"}


def embedded_images(wildcards):
    """Return the embedded images that a run needs, as named input; none for models without scores."""
    if objective(wildcards) not in SCORE_MODELS:
        return {}
    folder = f"results/{wildcards.images}/seed{wildcards.seed}/"
    name = f"embedded/{wildcards.model}.npz" if is_ablation(wildcards) else "embedded.npz"
    return {"embedded": folder + name}


def denoised_images(wildcards):
    """Return the denoised images of a run, as named input; an ablation shows none."""
    folder = f"results/training/{wildcards.experiment}/{wildcards.images}/{wildcards.model}"
    file = f"{folder}/seed{wildcards.seed}/denoised.npz"
    return {} if is_ablation(wildcards) else {"denoised": file}


def run_columns(wildcards):
    """Return the columns that identify a run in every table."""
    entry = image_set(wildcards)
    return {
        "experiment": wildcards.experiment,
        "dataset": wildcards.images,
        "image_size": entry["image_size"],
        "model": wildcards.model,
        "seed": int(wildcards.seed),
    }


def frechet_features(wildcards):
    """Return the features of the Fréchet distance for an image set."""
    chosen = config["metrics"]["frechet_features"]
    if chosen != "auto":
        return chosen
    return "digit_classifier" if image_set(wildcards)["source"] == "digits" else "haar"


def results_of(experiment):
    """Return the results of all runs of an experiment."""
    section = config["training"].get(experiment, {})
    if experiment.startswith("ablation_"):
        part = ABLATION[experiment.removeprefix("ablation_")]
        image_sets = part["image_sets"]
        wanted = ABLATION["variants"] if part["variants"] is None else part["variants"]
        # lambda and what it scales belong to the single-image loss: a schedule of levels has neither
        models = [
            name
            for name, variant in ABLATION["variants"].items()
            if name in wanted
            and (
                experiment == "ablation_single_image" or not (variant["noise"] or variant["scaled"])
            )
        ]
    else:
        image_sets, models = section["image_sets"], section["models"]
    return expand_runs(
        f"results/training/{experiment}/{{images}}/{{model}}/seed{{seed}}/result.json",
        image_sets,
        model=models,
    )


def of_first_seed(experiment):
    """Return the results of an experiment's runs, of the first random seed of each image set."""
    first = {}
    for name, seed in runs(config["training"][experiment]["image_sets"]):
        first.setdefault(name, seed)
    kept = {
        f"results/training/{experiment}/{name}/": f"/seed{seed}/" for name, seed in first.items()
    }
    return [
        path
        for path in results_of(experiment)
        if any(path.startswith(folder) and seed in path for folder, seed in kept.items())
    ]


def main_results_of_ablation():
    """Return the results of the main experiments that an ablation is compared with."""
    return [
        path
        for name in ("single_image", "budget")
        for path in results_of(name)
        if Path(path).parts[3] in ABLATION[name]["image_sets"]
        and Path(path).parts[4] in ("score_embedding", "dsm")
    ]
