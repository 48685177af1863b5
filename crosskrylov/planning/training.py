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
from crosskrylov.metrics.names import REAL
from crosskrylov.planning.publishing import is_published
from crosskrylov.planning.runs import expand_runs, runs
from crosskrylov.reporting.tables.first_steps import first_steps
from crosskrylov.reporting.tables.published import METHODS, claimed_ratios

#: Folder of one training run: on a whole image set, and on some of its images.
RUN = "results/training/{experiment}/{images}/{model}/seed{seed}/"
RUN_ON_IMAGES = "results/training/{experiment}/{images}/{model}/image{image}/seed{seed}/"

#: Seconds per step of the single-image models, measured apart from training, for batches of the
#: embedded steps of {together} images.
CALIBRATION = "results/training/calibration/{images}/together{together}.tsv"

#: What trains or judges networks; an ablation uses the settings of the experiment that it names.
EXPERIMENTS = (
    *("single_image", "budget", "ablation_single_image", "ablation_budget"),
    *("learning_rates", "samplers", "quality", "ablation_quality"),
)

#: The value of ``embedding.scores`` with which no score is stored.
ON_THE_FLY = "on_the_fly"

#: The ablations that train, and are compared in the ablation's table.
ABLATIONS = ("ablation_single_image", "ablation_budget")

#: What judges the networks of the budget experiment, and trains none.
JUDGING = ("samplers", "quality")

#: The sweep of learning rates; its models are those of the single images, each with a rate.
SWEEP = "learning_rates"

#: Keys of an experiment's section that say which runs there are, not what a run does; of
#: ``stop_at_ratio`` and ``learning_rates`` a run gets what follows for it, see `stop_multiples` and
#: `learning_rate`.
LISTING_KEYS = (
    *("image_sets", "images", "models", "variants"),
    *("stop_at_ratio", "learning_rates"),
)

#: Keys of ``training.single_image`` that a step depends on, beside the images.
STEP_KEYS = (
    *("images_per_batch", "noise", "threads"),
    *("start_noise", "denoising_steps"),  # which levels a restricted model is trained on
)

_ABLATION = "ablation_"
_FOLDER = re.compile(
    r"results/training/(?P<experiment>[^/]+)/(?P<images>[^/]+)/(?P<model>[^/]+)"
    r"(/image(?P<image>[^/]+))?/seed(?P<seed>[^/]+)/"
)


# --- one run --------------------------------------------------------------------------------------


def is_ablation(experiment: str) -> bool:
    """Return whether the models of an experiment are variants of the ablation."""
    return experiment.startswith(_ABLATION)


def base_experiment(experiment: str) -> str:
    """Return the experiment whose settings a run uses: that without ``ablation_`` before it."""
    return "single_image" if experiment == SWEEP else experiment.removeprefix(_ABLATION)


def is_shown(experiment: str) -> bool:
    """Return whether the pictures of an experiment's runs are shown, not only their numbers."""
    return experiment in ("single_image", "budget")


def run_folder(experiment: str) -> str:
    """Return the pattern of the folders of an experiment's runs."""
    return RUN_ON_IMAGES if base_experiment(experiment) == "single_image" else RUN


def run_of(path: str) -> dict[str, str]:
    """Return what the path of a run's file says of it: experiment, images, model, seed, image.

    Runs on a whole image set have no ``image``.
    """
    return {key: value for key, value in _FOLDER.match(path).groupdict().items() if value}


def image_groups(config: Mapping, experiment: str = "single_image") -> list[str]:
    """Return the images of every single-image run; those trained on together joined by a plus.

    An ablation is run on those of the main experiment, the sweep of learning rates on its own.
    """
    section = SWEEP if experiment == SWEEP else "single_image"
    entries = config["training"][section]["images"]
    return ["+".join(map(str, [entry] if isinstance(entry, int) else entry)) for entry in entries]


def image_indices(image: str) -> list[int]:
    """Return the indices of a run's images from their name, see `image_groups`."""
    return [int(index) for index in image.split("+")]


def images_in_batch(config: Mapping, image: str) -> int:
    """Return how many of a run's images have their embedded steps in one batch."""
    most = config["training"]["single_image"]["images_per_batch"]
    return min(most, len(image_indices(image)))


def variant_of(config: Mapping, experiment: str, model: str) -> Mapping:
    """Return what an ablation changes: its entry, or nothing for the other experiments."""
    return config["training"]["ablation"]["variants"][model] if is_ablation(experiment) else {}


def ablated_model(scaled: bool) -> str:
    """Return the model that the ablation varies: the published one, or its scaled form."""
    models = registered_models().values()
    published = next(model for model in models if model.ablation == PUBLISHED)
    return next(m.name for m in models if m.is_same_training_as(published) and m.scaled == scaled)


def trained_model(config: Mapping, experiment: str, model: str) -> str:
    """Return the model that is trained under the name ``model``.

    That may be a variant of the ablation, or a model with a learning rate of the sweep.
    """
    if experiment == SWEEP:
        return _swept(model)[0]
    if not is_ablation(experiment):
        return model
    variant = variant_of(config, experiment, model)
    return variant["model"] or ablated_model(variant["scaled"])


def _swept(model: str) -> tuple[str, float]:
    """Return the model and the learning rate of a run of the sweep: of "ddpm-0.001"."""
    name, _, rate = model.partition("-")
    return name, float(rate)


def model_file(config: Mapping, experiment: str, model: str) -> Path:
    """Return the module of the model that is trained: a library input of its jobs."""
    return _declaration(config, experiment, model).file


def _declaration(config: Mapping, experiment: str, model: str) -> Model:
    """Return what the model that is trained under the name ``model`` says of itself."""
    name = trained_model(config, experiment, model)
    return model_entry(name, _trained_in(experiment), key="The target")


def _trained_in(experiment: str) -> str:
    """Return the experiment that a model is trained in: what judges takes those of the budget."""
    base = base_experiment(experiment)
    return "budget" if base in JUDGING else base


def judges(experiment: str) -> bool:
    """Return whether an experiment judges networks and trains none."""
    return base_experiment(experiment) in JUDGING


def training_of(experiment: str) -> str:
    """Return the experiment that trains the networks which ``experiment`` judges."""
    return "ablation_budget" if is_ablation(experiment) else "budget"


def training_section(
    config: Mapping, experiment: str, model: str, image: str | None = None
) -> dict:
    """Return the section ``training``, reduced to what a run uses, with an ablation's changes.

    ``single_image.images`` are then the indices of the images of this run, which are trained on
    together.
    """
    section = config["training"]
    nested = ("single_image", "budget", "ablation", "samplers", "calibration", "quality", SWEEP)
    reduced = {key: value for key, value in section.items() if key not in nested}
    name = base_experiment(experiment)
    parts = (name,)
    if name in ("budget", *JUDGING):
        parts = ("budget", "samplers", *(("quality",) if name == "quality" else ()))
    for part in parts:
        reduced[part] = {k: v for k, v in section[part].items() if k not in LISTING_KEYS}
    if name in ("budget", "quality"):  # of samplers they need the settings, not what is compared
        for key in ("samplers", "function_evaluations"):
            del reduced["samplers"][key]
    reduced["learning_rate"] = learning_rate(config, experiment, model)
    if image is not None:
        reduced[name]["images"] = image_indices(image)
    if is_ablation(experiment) and name == "single_image":
        noise = variant_of(config, experiment, model)["noise"]
        own = section["ablation"][name]
        reduced[name]["targets"] = own["targets"] or [section["ablation"]["target"]]
        reduced[name]["metrics"] = own["metrics"]
        reduced[name]["noise"] = noise or reduced[name]["noise"]
    if experiment == SWEEP:
        reduced[name]["targets"] = [section[SWEEP]["target"]]
        reduced[name]["metrics"] = [section[SWEEP]["judged_by"]]
    return reduced


def learning_rate(config: Mapping, experiment: str, model: str) -> float:
    """Return the learning rate of a run: on single images that of the model's family, if any."""
    if experiment == SWEEP:
        return _swept(model)[1]
    rates = {}
    if base_experiment(experiment) == "single_image":
        rates = config["training"]["single_image"]["learning_rates"]
    family = _declaration(config, experiment, model).family
    return rates.get(family, config["training"]["learning_rate"])


def targets_of(config: Mapping, experiment: str, model: str) -> list[float]:
    """Return the SSIM that a single-image run is to reach."""
    return training_section(config, experiment, model)["single_image"]["targets"]


def run_columns(
    config: Mapping, experiment: str, images: str, model: str, seed: str, image: str | None = None
) -> dict:
    """Return the columns that identify a run in every table, and its learning rate.

    A run on single images says which, those that are trained on together joined by a plus, and how
    many of them make a batch, on which the seconds of a step depend.
    """
    recipe = _declaration(config, experiment, model).recipe_in(_trained_in(experiment))
    training = recipe.training(training_section(config, experiment, model))
    columns = {
        "experiment": experiment,
        "dataset": images,
        "image_size": config["image_sets"][images]["image_size"],
        "model": trained_model(config, experiment, model) if experiment == SWEEP else model,
        "seed": int(seed),
        "learning_rate": training["learning_rate"],
    }
    if image is not None:
        columns |= {"image": image, "images_per_batch": images_in_batch(config, image)}
    return columns


def stop_multiples(
    config: Mapping, experiment: str, images: str, model: str, image: str
) -> list[list[float]]:
    """Return the multiples of the method's time at which a baseline's run may stop, by target.

    They are ``stop_at_ratio`` times the published ratios, of the targets that have one.
    """
    section = config["training"]["single_image"]
    stop = section["stop_at_ratio"]
    if experiment != "single_image" or stop is None or _method_beside(config, model) is None:
        return []
    size = config["image_sets"][images]["image_size"]
    ratios = claimed_ratios(model, size, len(image_indices(image)))
    return [[target, stop * ratios[target]] for target in section["targets"] if target in ratios]


def method_result(
    config: Mapping, experiment: str, images: str, model: str, image: str, seed: str
) -> dict[str, str]:
    """Return the result that a bounded run is compared with, as named input; none for most runs."""
    if not stop_multiples(config, experiment, images, model, image):
        return {}
    method = _method_beside(config, model)
    folder = RUN_ON_IMAGES.format(
        experiment=experiment, images=images, model=method, image=image, seed=seed
    )
    return {"method": f"{folder}result.json"}


def _method_beside(config: Mapping, model: str) -> str | None:
    """Return the model that stands for the method beside a baseline; None if none is trained."""
    trained = config["training"]["single_image"]["models"]
    return next((method for method in METHODS.get(model, ()) if method in trained), None)


# --- calibration ----------------------------------------------------------------------------------


def calibrations(config: Mapping) -> list[str]:
    """Return the files of the calibrated image sets: one for every size of a batch."""
    pairs = {
        (name, images_in_batch(config, image))
        for experiment in _TIMED
        for name in _timed_section(config, experiment)["image_sets"]
        if _timed_models(config, experiment)
        for image in image_groups(config, experiment)
    }
    order = list(config["image_sets"])
    return [
        CALIBRATION.format(images=name, together=size)
        for name, size in sorted(pairs, key=lambda pair: (order.index(pair[0]), pair[1]))
    ]


#: Experiments whose times to target are steps times calibrated seconds.
_TIMED = ("single_image", "ablation_single_image", SWEEP)


def _timed_section(config: Mapping, experiment: str) -> Mapping:
    """Return the section that says on which image sets a timed experiment runs."""
    training = config["training"]
    if is_ablation(experiment):
        return training["ablation"][base_experiment(experiment)]
    return training[experiment]


def _timed_models(config: Mapping, experiment: str) -> list[str]:
    """Return the models that a timed experiment trains, each once."""
    section = _timed_section(config, experiment)
    names = variants_run(config, "single_image") if is_ablation(experiment) else section["models"]
    trained = [
        trained_model(config, experiment, name) if is_ablation(experiment) else name
        for name in names
    ]
    return list(dict.fromkeys(trained))


def _calibrated_models(config: Mapping, images: str) -> list[str]:
    """Return the models whose steps are timed on an image set: all that are trained on it."""
    models = [
        model
        for experiment in _TIMED
        if images in _timed_section(config, experiment)["image_sets"]
        for model in _timed_models(config, experiment)
    ]
    return list(dict.fromkeys(models))


def calibration_images(config: Mapping, images: str) -> str:
    """Return the images that steps are timed with: those of the first random seed."""
    ((_, seed), *_) = runs(config, [images])
    return f"results/{images}/seed{seed}/images.npz"


def calibration_params(config: Mapping, images: str, together: int | str) -> dict[str, Any]:
    """Return the parameters of a calibration, but for the equation.

    Steps are timed on the first images of the set, as many as a batch has.
    """
    training = config["training"]
    ((_, seed), *_) = runs(config, [images])
    reduced = {key: value for key, value in training.items() if not isinstance(value, Mapping)}
    single = {key: training["single_image"][key] for key in STEP_KEYS}
    single["images"] = list(range(int(together)))
    return {
        "run": {
            "experiment": "single_image",
            "dataset": images,
            "image_size": config["image_sets"][images]["image_size"],
            "images_per_batch": int(together),
        },
        "models": _calibrated_models(config, images),
        "embedded_steps": config["embedding"]["steps"],
        "unet": config["unet"],
        "training": reduced | {"single_image": single, "calibration": training["calibration"]},
        "seed": seed,
    }


def calibration_files(config: Mapping, images: str) -> list[Path]:
    """Return the modules of the models that are calibrated: a library input of the job."""
    models = _calibrated_models(config, images)
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


def embedded_names(config: Mapping, on_the_fly: bool) -> str:
    """Return a regular expression of the files of embedded images that are made on the fly, or not.

    They are ``embedded``, and ``embedded/{variant}`` of every variant of the ablation.
    """
    names = [
        "embedded",
        *(f"embedded/{name}" for name in config["training"]["ablation"]["variants"]),
    ]
    found = [n for n in names if (embedding_for(config, n)["scores"] == ON_THE_FLY) == on_the_fly]
    return "|".join(map(re.escape, found)) or "(?!)"  # that matches nothing


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
    config: Mapping, experiment: str, images: str, model: str, image: str, seed: str
) -> dict[str, str]:
    """Return the denoised images of a run, as named input; an ablation and a sweep show none."""
    if not is_shown(experiment):
        return {}
    folder = RUN_ON_IMAGES.format(
        experiment=experiment, images=images, model=model, image=image, seed=seed
    )
    return {"denoised": f"{folder}denoised.npz"}


# --- all runs -------------------------------------------------------------------------------------


def results_of(config: Mapping, experiment: str) -> list[str]:
    """Return the results of all runs of an experiment."""
    training = config["training"]
    if base_experiment(experiment) == "quality":
        trained = training_of(experiment)
        return [
            path.replace(f"/{trained}/", f"/{experiment}/")
            for path in results_of(config, trained)
            if run_of(path)["images"] in training["quality"]["image_sets"]
        ]
    if is_ablation(experiment):
        base = base_experiment(experiment)
        section, models = training["ablation"][base], variants_run(config, base)
    else:
        section = training[experiment]
        models = section["models"]
    if experiment == SWEEP:
        models = [f"{model}-{rate:g}" for model in models for rate in section["rates"]]
    pattern = f"{run_folder(experiment)}result.json".replace("{experiment}", experiment)
    some = base_experiment(experiment) == "single_image"
    more = {"image": image_groups(config, experiment)} if some else {}
    return expand_runs(config, pattern, section["image_sets"], model=models, **more)


def floors_of(config: Mapping) -> list[str]:
    """Return the results of real images, beside those of the experiment quality."""
    pattern = f"{RUN}result.json".replace("{experiment}", "quality")
    return expand_runs(config, pattern, config["training"]["quality"]["image_sets"], model=[REAL])


def floor_columns(config: Mapping, images: str, seed: str) -> dict[str, Any]:
    """Return the columns that identify the floor of real images, which nothing is trained for."""
    size = config["image_sets"][images]["image_size"]
    names = ("experiment", "dataset", "image_size", "model", "seed")
    return dict(zip(names, ("quality", images, size, REAL, int(seed)), strict=True))


def floor_options(config: Mapping) -> dict[str, Any]:
    """Return what of the section ``training.quality`` the floor of real images depends on."""
    return {key: config["training"]["quality"][key] for key in ("sizes", "n_samples", "features")}


def variants_run(config: Mapping, experiment: str) -> list[str]:
    """Return the variants of the ablation that are run in an experiment, in their order."""
    ablation = config["training"]["ablation"]
    wanted, variants = ablation[experiment]["variants"], ablation["variants"]
    return [
        name
        for name, variant in variants.items()
        if (wanted is None or name in wanted) and _applies(variant, experiment)
    ]


def _applies(variant: Mapping, experiment: str) -> bool:
    """Return whether a variant changes anything in an experiment.

    lambda and what it scales belong to the single-image loss: a schedule of levels has neither. A
    model of its own may belong to one of the experiments only.
    """
    if variant["model"] and experiment not in registered_models()[variant["model"]].experiments:
        return False
    return experiment == "single_image" or not (variant["noise"] or variant["scaled"])


def shown_results(config: Mapping) -> list[str]:
    """Return the single-image results whose pictures are shown: one for each set and model.

    It is that of the first images and the first random seed.
    """
    first: dict[tuple, str] = {}
    for path in results_of(config, "single_image"):
        run = run_of(path)
        first.setdefault((run["images"], run["model"]), path)
    return list(first.values())


def ablation_results(config: Mapping) -> list[str]:
    """Return the results that the ablation compares.

    Those of its variants, and those of the main experiments on the same image sets that are
    variants too (embedding as published, and none): nothing is trained twice.
    """
    ablation = config["training"]["ablation"]
    variants = [p for name in ABLATIONS for p in results_of(config, name)]
    return variants + [
        path
        for name in ("single_image", "budget")
        for path in results_of(config, name)
        if run_of(path)["images"] in ablation[name]["image_sets"]
        and f"{name}/{run_of(path)['model']}" in _main_controls()
    ]


def main_variants() -> dict[str, str]:
    """Return the models whose main experiments are variants of the ablation, and which."""
    return {name: m.ablation for name, m in registered_models().items() if m.ablation}


# --- controls -------------------------------------------------------------------------------------


def controls(config: Mapping) -> dict[str, dict[str, Any]]:
    """Return what every run of the ablation is a control of, by experiment and name.

    Returns
    -------
    dict
        By "experiment/name": ``control``, a name that a variant shares with the one that differs
        by the scaled output alone; ``scaled``; ``model``, what is trained, None where its steps
        are not those that were timed; ``against``, control and scaled of those that it is compared
        with. Over a schedule every network predicts the noise: such runs are scaled.
    """
    reference = reference_control(config)
    found = _main_controls()
    for entry in found.values():
        entry["against"] = [[reference, entry["scaled"]]]
    steps = config["embedding"]["steps"]
    for name, variant in config["training"]["ablation"]["variants"].items():
        timed = embedding_section(config, variant)["steps"] == steps
        for base in ("single_image", "budget"):
            scaled = _is_scaled(config, name, base)
            others = [
                [_control_of(config, k), _is_scaled(config, k, base)] for k in variant["against"]
            ]
            found[f"{_ABLATION}{base}/{name}"] = {
                "control": _control_of(config, name),
                "scaled": scaled,
                "model": trained_model(config, f"{_ABLATION}{base}", name) if timed else None,
                "against": others or [[reference, scaled]],
            }
    return found


def _is_scaled(config: Mapping, name: str, base: str) -> bool:
    """Return whether the network of a variant has outputs of the size of the noise."""
    model = registered_models()[trained_model(config, f"{_ABLATION}{base}", name)]
    return base == "budget" or model.scaled or model.experiments.get(base) is not None


def _main_controls() -> dict[str, dict[str, Any]]:
    """Return the runs of the main experiments that stand for a variant, as `controls` does."""
    models = registered_models().values()
    stands_for = [
        (model, first.ablation)
        for first in models
        if first.ablation
        for model in models
        if model.is_same_training_as(first) and model.start == first.start
    ]
    return {
        f"{base}/{model.name}": {
            "control": control,
            "scaled": model.scaled or base == "budget",
            "model": model.name,
        }
        for model, control in stands_for
        for base in model.experiments
    }


def _changes(config: Mapping, name: str) -> dict[str, Any]:
    """Return what a variant changes beside the scaling of the output."""
    variant = config["training"]["ablation"]["variants"][name]
    embedding = embedding_section(config, variant)
    changed = {key: value for key, value in embedding.items() if value != config["embedding"][key]}
    return changed | {key: variant[key] for key in ("noise", "model") if variant[key]}


def _control_of(config: Mapping, name: str) -> str:
    """Return the name of a variant's control: that of the first one with the same changes."""
    changes = _changes(config, name)
    variants = config["training"]["ablation"]["variants"]
    plain = (other for other, entry in variants.items() if not entry["scaled"])
    same = next((other for other in plain if _changes(config, other) == changes), None)
    return same or (name if changes else PUBLISHED)


def reference_control(config: Mapping) -> str:
    """Return the control that changes nothing: a variant if there is one, else the main runs."""
    variants = config["training"]["ablation"]["variants"]
    plain = (name for name, entry in variants.items() if not entry["scaled"])
    return next((name for name in plain if not _changes(config, name)), PUBLISHED)


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
    timed = calibrations(config)
    found = {"seconds_per_step": Shown({"calibrations": timed})} if timed else {}
    if single + budget:
        targets = tuple(name for name in ("single_image", "budget") if results_of(config, name))
        inputs = {"results": single + budget}
        if single:
            inputs["calibrations"] = timed
            references = {
                "against": [*baseline_models(), ablated_model(False)],
                "first_steps": first_steps([config]),
            }
            found["paired"] = Shown({"training": ["results/tables/training.tsv"]}, references)
        found["training"] = Shown(inputs, {"baselines": baseline_models()}, targets)
    if budget:
        results = budget + results_of(config, "samplers") + results_of(config, "ablation_budget")
        results += final_results(config)
        found["quality"] = Shown({"results": results}, **_GENERATION)
        scored = budget + results_of(config, "ablation_budget")
        found["score_error"] = Shown({"results": scored}, **_GENERATION)
    if has_ablation(config):
        inputs = {"results": ablation_results(config)}
        found["ablation"] = Shown(inputs, ablation_options(config))
        inputs = inputs | ({"calibrations": timed} if timed else {})
        options = {"controls": controls(config)}
        found["controls"] = found["control_effects"] = Shown(inputs, options)
    if results_of(config, SWEEP):
        inputs = {"results": results_of(config, SWEEP)}
        section = config["training"][SWEEP]
        options = {"families": {m: registered_models()[m].family for m in section["models"]}}
        found["learning_rates"] = Shown(inputs | {"calibrations": timed}, options)
        goal = {"target": section["target"], "metric": section["judged_by"]}
        found["best_rates"] = Shown(inputs, options | goal)
    return found


def final_results(config: Mapping) -> list[str]:
    """Return the results of everything that is judged by many samples, real images among them."""
    judged = results_of(config, "quality") + results_of(config, "ablation_quality")
    return judged + floors_of(config) if judged else []


def has_ablation(config: Mapping) -> bool:
    """Return whether any variant of the ablation is run."""
    return any(results_of(config, name) for name in ABLATIONS)


def ablation_options(config: Mapping) -> dict[str, Any]:
    """Return what the table of the ablation is told."""
    # runs end with the targets of their metrics: another's would be judged too early
    pursued = config["training"]["ablation"]["single_image"]["metrics"]
    return {
        "target": config["training"]["ablation"]["target"],
        "main_variants": main_variants(),
        "metric": "ssim" if "ssim" in pursued else pursued[0],
    }


def figures(config: Mapping) -> dict[str, Shown]:
    """Return the figures of the training experiments that show numbers, by name."""
    single, budget = results_of(config, "single_image"), results_of(config, "budget")
    found = {}
    if single:
        options = {"targets": config["training"]["single_image"]["targets"]}
        found["ssim_against_seconds"] = Shown(_with(single, "curves", "curve.tsv"), options)
        for name in ("time_to_ssim", "survival"):
            found[name] = Shown({"table": ["results/tables/training.tsv"]})
    if budget:
        inputs = _with(budget, "curves", "curve.tsv")
        found["frechet_against_seconds"] = Shown(inputs, **_GENERATION)
        table = {"table": ["results/tables/score_error.tsv"]}
        found["score_error"] = Shown(table, **_GENERATION)
    if final_results(config):
        table = {"table": ["results/tables/quality.tsv"]}
        found["distance_against_samples"] = Shown(table, **_GENERATION)
    if results_of(config, "samplers"):
        inputs = {"table": ["results/tables/quality.tsv"]}
        found["quality_against_evaluations"] = Shown(inputs, **_GENERATION)
    if has_ablation(config):
        for name in ("ablation", "controls", "control_effects"):
            found[name] = Shown({"table": [f"results/tables/{name}.tsv"]})
    if results_of(config, SWEEP):
        found["learning_rates"] = Shown({"table": ["results/tables/best_rates.tsv"]})
    return found


def image_figures(config: Mapping) -> dict[str, Shown]:
    """Return the figures of the training experiments that show images, by name."""
    found = {}
    strip = shown_results(config)
    for publish, name in ((True, "denoising_strip"), (False, "denoising_strip-unpublished")):
        chosen = [p for p in strip if is_published(config, run_of(p)["images"]) == publish]
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
