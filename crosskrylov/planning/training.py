"""Which trainings a configuration asks for, what each gets of it, and what is shown of them.

What a job gets are its parameters, and Snakemake re-runs a job when they change: a section is
therefore reduced here to what a run uses.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosskrylov.learning.objectives.index import (
    PUBLISHED,
    Model,
    baseline_models,
    model_entry,
    registered_models,
)
from crosskrylov.planning.publishing import is_published
from crosskrylov.planning.runs import expand_runs, runs
from crosskrylov.reporting.tables.published import claimed_ratios

#: Folder of one training run.
RUN = "results/training/{experiment}/{images}/{model}/seed{seed}/"

#: Seconds per step of the single-image models, measured apart from training.
CALIBRATION = "results/training/calibration/{images}.tsv"

#: What trains or judges networks; an ablation uses the settings of the experiment that it names.
EXPERIMENTS = ("single_image", "budget", "ablation_single_image", "ablation_budget", "samplers")

#: Keys of an experiment's section that say which runs there are, not what a run does; of
#: ``stop_at_ratio`` a run gets what follows for it, see `stop_multiples`.
LISTING_KEYS = ("image_sets", "models", "variants", "stop_at_ratio")

#: Keys of ``training.single_image`` that a step depends on.
STEP_KEYS = ("images", "images_per_batch", "noise", "threads", "start_noise")

_ABLATION = "ablation_"


# --- one run --------------------------------------------------------------------------------------


def is_ablation(experiment: str) -> bool:
    """Return whether the models of an experiment are variants of the ablation."""
    return experiment.startswith(_ABLATION)


def base_experiment(experiment: str) -> str:
    """Return the experiment whose settings a run uses: that without ``ablation_`` before it."""
    return experiment.removeprefix(_ABLATION)


def variant_of(config: Mapping, experiment: str, model: str) -> Mapping:
    """Return what an ablation changes: its entry, or nothing for the other experiments."""
    return config["training"]["ablation"]["variants"][model] if is_ablation(experiment) else {}


def ablated_model(scaled: bool) -> str:
    """Return the model that the ablation varies: the published one, or its scaled form."""
    models = registered_models().values()
    published = next(model for model in models if model.ablation == PUBLISHED)
    return next(m.name for m in models if m.is_same_training_as(published) and m.scaled == scaled)


def trained_model(config: Mapping, experiment: str, model: str) -> str:
    """Return the model that is trained under the name ``model``, which may be a variant."""
    if not is_ablation(experiment):
        return model
    return ablated_model(variant_of(config, experiment, model)["scaled"])


def model_file(config: Mapping, experiment: str, model: str) -> Path:
    """Return the module of the model that is trained: a library input of its jobs."""
    return _declaration(config, experiment, model).file


def _declaration(config: Mapping, experiment: str, model: str) -> Model:
    """Return what the model that is trained under the name ``model`` says of itself."""
    name = trained_model(config, experiment, model)
    return model_entry(name, _trained_in(experiment), key="The target")


def _trained_in(experiment: str) -> str:
    """Return the experiment that a model is trained in: samplers take those of the budget."""
    base = base_experiment(experiment)
    return "budget" if base == "samplers" else base


def training_section(config: Mapping, experiment: str, model: str) -> dict:
    """Return the section ``training``, reduced to what a run uses, with an ablation's changes."""
    section = config["training"]
    nested = ("single_image", "budget", "ablation", "samplers", "calibration")
    reduced = {key: value for key, value in section.items() if key not in nested}
    name = base_experiment(experiment)
    parts = ("budget", "samplers") if name in ("budget", "samplers") else (name,)
    for part in parts:
        reduced[part] = {k: v for k, v in section[part].items() if k not in LISTING_KEYS}
    if name == "budget":  # of the samplers' section it needs the settings, not what is compared
        for key in ("samplers", "function_evaluations"):
            del reduced["samplers"][key]
    if is_ablation(experiment) and name == "single_image":
        noise = variant_of(config, experiment, model)["noise"]
        reduced[name]["targets"] = [section["ablation"]["target"]]
        reduced[name]["metrics"] = ["ssim"]
        reduced[name]["noise"] = noise or reduced[name]["noise"]
    return reduced


def targets_of(config: Mapping, experiment: str, model: str) -> list[float]:
    """Return the SSIM that a single-image run is to reach."""
    return training_section(config, experiment, model)["single_image"]["targets"]


def run_columns(config: Mapping, experiment: str, images: str, model: str, seed: str) -> dict:
    """Return the columns that identify a run in every table, and its learning rate.

    A run on single images says which, those that are trained on together joined by a plus.
    """
    recipe = _declaration(config, experiment, model).recipe_in(_trained_in(experiment))
    training = recipe.training(training_section(config, experiment, model))
    columns = {
        "experiment": experiment,
        "dataset": images,
        "image_size": config["image_sets"][images]["image_size"],
        "model": model,
        "seed": int(seed),
        "learning_rate": training["learning_rate"],
    }
    if base_experiment(experiment) == "single_image":
        columns["image"] = "+".join(map(str, config["training"]["single_image"]["images"]))
    return columns


def stop_multiples(config: Mapping, experiment: str, images: str, model: str) -> list[list[float]]:
    """Return the multiples of the method's time at which a baseline's run may stop, by target.

    They are ``stop_at_ratio`` times the published ratios, of the targets that have one.
    """
    section = config["training"]["single_image"]
    stop = section["stop_at_ratio"]
    if (
        experiment != "single_image"
        or stop is None
        or ablated_model(False) not in section["models"]
    ):
        return []
    size = config["image_sets"][images]["image_size"]
    ratios = claimed_ratios(model, size, len(section["images"]))
    return [[target, stop * ratios[target]] for target in section["targets"] if target in ratios]


def method_result(
    config: Mapping, experiment: str, images: str, model: str, seed: str
) -> dict[str, str]:
    """Return the result that a bounded run is compared with, as named input; none for most runs."""
    if not stop_multiples(config, experiment, images, model):
        return {}
    folder = RUN.format(experiment=experiment, images=images, model=ablated_model(False), seed=seed)
    return {"method": f"{folder}result.json"}


# --- calibration ----------------------------------------------------------------------------------


def calibrations(config: Mapping) -> list[str]:
    """Return the files of the calibrated image sets."""
    sets = config["training"]["single_image"]["image_sets"]
    return [CALIBRATION.format(images=images) for images in sets]


def calibration_images(config: Mapping, images: str) -> str:
    """Return the images that steps are timed with: those of the first random seed."""
    ((_, seed), *_) = runs(config, [images])
    return f"results/{images}/seed{seed}/images.npz"


def calibration_params(config: Mapping, images: str) -> dict[str, Any]:
    """Return the parameters of a calibration, but for the equation."""
    training = config["training"]
    ((_, seed), *_) = runs(config, [images])
    reduced = {key: value for key, value in training.items() if not isinstance(value, Mapping)}
    single = {key: training["single_image"][key] for key in STEP_KEYS}
    return {
        "run": {
            "experiment": "single_image",
            "dataset": images,
            "image_size": config["image_sets"][images]["image_size"],
        },
        "models": list(training["single_image"]["models"]),
        "embedded_steps": config["embedding"]["steps"],
        "unet": config["unet"],
        "training": reduced | {"single_image": single, "calibration": training["calibration"]},
        "seed": seed,
    }


def calibration_files(config: Mapping) -> list[Path]:
    """Return the modules of the models that are calibrated: a library input of the job."""
    models = config["training"]["single_image"]["models"]
    return [_declaration(config, "single_image", model).file for model in models]


# --- files that a run needs -----------------------------------------------------------------------


def embedding_section(config: Mapping, variant: Mapping) -> dict:
    """Return the section ``embedding``, with the changes of an ablation's variant."""
    changes = {key: value for key, value in variant.items() if value is not None}
    return {key: changes.get(key, value) for key, value in config["embedding"].items()}


def embedded_steps(config: Mapping, experiment: str, model: str) -> int:
    """Return the number of embedded steps of a run."""
    return embedding_section(config, variant_of(config, experiment, model))["steps"]


def embedding_for(config: Mapping, embedded: str) -> dict:
    """Return the section ``embedding`` for the file ``embedded``, or ``embedded/{variant}``."""
    _, _, name = embedded.partition("/")
    return embedding_section(
        config, config["training"]["ablation"]["variants"][name] if name else {}
    )


def scores_for(config: Mapping, embedded: str) -> dict[str, str]:
    """Return where scores and their timing come from: the exact solution, or a solver's march."""
    name = embedding_for(config, embedded)["scores"]
    folder = "results/{images}/seed{seed}/"
    stem = "exact_scores" if name == "exact" else f"trajectories/{name}"
    return {"scores": f"{folder}{stem}.npz", "summary": f"{folder}{stem}.json"}


def embedded_images(
    config: Mapping, experiment: str, images: str, model: str, seed: str
) -> dict[str, str]:
    """Return the embedded images that a run needs, as named input; none for most models."""
    if not _declaration(config, experiment, model).scores:
        return {}
    name = f"embedded/{model}.npz" if is_ablation(experiment) else "embedded.npz"
    return {"embedded": f"results/{images}/seed{seed}/{name}"}


def denoised_images(
    config: Mapping, experiment: str, images: str, model: str, seed: str
) -> dict[str, str]:
    """Return the denoised images of a run, as named input; an ablation shows none."""
    if is_ablation(experiment):
        return {}
    folder = RUN.format(experiment=experiment, images=images, model=model, seed=seed)
    return {"denoised": f"{folder}denoised.npz"}


# --- all runs -------------------------------------------------------------------------------------


def results_of(config: Mapping, experiment: str) -> list[str]:
    """Return the results of all runs of an experiment."""
    training = config["training"]
    if is_ablation(experiment):
        base = base_experiment(experiment)
        section, variants = training["ablation"][base], training["ablation"]["variants"]
        wanted = variants if section["variants"] is None else section["variants"]
        models = [
            name for name, variant in variants.items() if name in wanted and _applies(variant, base)
        ]
    else:
        section = training[experiment]
        models = section["models"]
    pattern = f"{RUN}result.json".replace("{experiment}", experiment)
    return expand_runs(config, pattern, section["image_sets"], model=models)


def _applies(variant: Mapping, experiment: str) -> bool:
    """Return whether a variant changes anything in an experiment.

    lambda and what it scales belong to the single-image loss: a schedule of levels has neither.
    """
    return experiment == "single_image" or not (variant["noise"] or variant["scaled"])


def of_first_seed(config: Mapping, experiment: str) -> list[str]:
    """Return the results of an experiment's runs, of the first random seed of each image set."""
    first: dict[str, int] = {}
    for name, seed in runs(config, config["training"][experiment]["image_sets"]):
        first.setdefault(name, seed)
    return [
        path
        for path in results_of(config, experiment)
        if _part(path, "seed") == f"seed{first[_part(path, 'images')]}"
    ]


def ablation_results(config: Mapping) -> list[str]:
    """Return the results that the ablation compares.

    Those of its variants, and those of the main experiments on the same image sets that are
    variants too (embedding as published, and none): nothing is trained twice.
    """
    ablation = config["training"]["ablation"]
    variants = [p for name in EXPERIMENTS if is_ablation(name) for p in results_of(config, name)]
    return variants + [
        path
        for name in ("single_image", "budget")
        for path in results_of(config, name)
        if _part(path, "images") in ablation[name]["image_sets"]
        and _part(path, "model") in main_variants()
    ]


def main_variants() -> dict[str, str]:
    """Return the models whose main experiments are variants of the ablation, and which."""
    return {name: m.ablation for name, m in registered_models().items() if m.ablation}


def _part(path: str, name: str) -> str:
    """Return the folder of a result's path that stands for ``name``."""
    where = [part.strip("{}") for part in Path(RUN).parts]
    where[-1] = "seed"
    return Path(path).parts[where.index(name)]


# --- tables and figures ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A table or figure of the training experiments.

    Attributes
    ----------
    inputs : mapping
        Named input files of its job.
    options : mapping
        Arguments of the function that makes it.
    targets : tuple of str
        The named targets that it belongs to.
    category : str
        Where the report shows it.
    publish : bool
        False: it shows pixels of image sets that are not published, and stays out of the report.
    """

    inputs: Mapping[str, list[str]]
    options: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ("single_image",)
    category: str = "Training"
    publish: bool = True


#: What belongs to generation.
_GENERATION = {"targets": ("budget",), "category": "Generation"}


def name_pattern(shown: Mapping[str, Shown], publish: bool = True) -> str:
    """Return a regular expression for the names of the tables or figures that are (un)published."""
    names = [re.escape(name) for name, entry in shown.items() if entry.publish == publish]
    return "|".join(names) or "(?!)"  # an empty expression would match any name


def tables(config: Mapping) -> dict[str, Shown]:
    """Return the tables of the training experiments, by name; only those with something in them."""
    single, budget = results_of(config, "single_image"), results_of(config, "budget")
    found = {}
    if single + budget:
        targets = tuple(name for name in ("single_image", "budget") if results_of(config, name))
        inputs = {"results": single + budget}
        if single:
            inputs["calibrations"] = calibrations(config)
            found["seconds_per_step"] = Shown({"calibrations": calibrations(config)})
        found["training"] = Shown(inputs, {"baselines": baseline_models()}, targets)
    if budget:
        results = budget + results_of(config, "samplers")
        found["quality"] = Shown({"results": results}, **_GENERATION)
    if has_ablation(config):
        found["ablation"] = Shown({"results": ablation_results(config)}, ablation_options(config))
    return found


def has_ablation(config: Mapping) -> bool:
    """Return whether any variant of the ablation is run."""
    return any(results_of(config, name) for name in EXPERIMENTS if is_ablation(name))


def ablation_options(config: Mapping) -> dict[str, Any]:
    """Return what the table of the ablation is told."""
    return {"target": config["training"]["ablation"]["target"], "main_variants": main_variants()}


def figures(config: Mapping) -> dict[str, Shown]:
    """Return the figures of the training experiments that show numbers, by name."""
    single, budget = results_of(config, "single_image"), results_of(config, "budget")
    found = {}
    if single:
        options = {"targets": config["training"]["single_image"]["targets"]}
        found["ssim_against_seconds"] = Shown(_with(single, "curves", "curve.tsv"), options)
        found["time_to_ssim"] = Shown({"table": ["results/tables/training.tsv"]})
    if budget:
        inputs = _with(budget, "curves", "curve.tsv")
        found["frechet_against_seconds"] = Shown(inputs, **_GENERATION)
    if results_of(config, "samplers"):
        inputs = {"table": ["results/tables/quality.tsv"]}
        found["quality_against_evaluations"] = Shown(inputs, **_GENERATION)
    if has_ablation(config):
        found["ablation"] = Shown({"table": ["results/tables/ablation.tsv"]})
    return found


def image_figures(config: Mapping) -> dict[str, Shown]:
    """Return the figures of the training experiments that show images, by name."""
    found = {}
    strip = of_first_seed(config, "single_image")
    for publish, name in ((True, "denoising_strip"), (False, "denoising_strip-unpublished")):
        chosen = [p for p in strip if is_published(config, _part(p, "images")) == publish]
        if chosen:
            found[name] = Shown(_with(chosen, "denoised", "denoised.npz"), publish=publish)
    budget = config["training"]["budget"]
    for images, seed in runs(config, budget["image_sets"]):
        folder = RUN.format(experiment="budget", images=images, model="{model}", seed=seed)
        found[f"sample_grids-{images}-seed{seed}"] = Shown(
            {
                "images": [f"results/{images}/seed{seed}/images.npz"],
                "samples": [f"{folder}samples.npz".format(model=m) for m in budget["models"]],
            },
            {"models": budget["models"]},
            **_GENERATION,
            publish=is_published(config, images),
        )
    return found


def _with(results: Iterable[str], key: str, file: str) -> dict[str, list[str]]:
    """Return results as named input, with another file of the same runs under ``key``."""
    results = list(results)
    return {key: [str(Path(path).with_name(file)) for path in results], "results": results}
