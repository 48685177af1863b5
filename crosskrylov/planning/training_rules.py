"""Rules that connect several keys of the training sections; needs no torch."""

from collections.abc import Mapping

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.index import learning_families, model_entry
from crosskrylov.learning.unet_options import check_unet_options
from crosskrylov.planning.training import ON_THE_FLY, SWEEP, image_groups, image_indices
from crosskrylov.runtime.declared import did_you_mean

#: Sections with a list of models, and the experiment that these are trained in.
EXPERIMENT_OF_MODELS = {
    "single_image": "single_image",
    "budget": "budget",
    "samplers": "budget",
    SWEEP: "single_image",
}


def check_training(config: Mapping) -> None:
    """Raise if the training sections cannot be run with the rest of the configuration.

    Parameters
    ----------
    config : mapping
        The whole configuration, valid by the schema and with defaults.

    Raises
    ------
    ConfigError
        For the first problem: unknown models and those of another experiment, U-Net and image
        sizes, image indices, samplers without a trained model, scores of an unknown solver, unknown
        variants of the ablation, a target of it that is never measured.
    """
    training = config["training"]
    for key, experiment in EXPERIMENT_OF_MODELS.items():
        for name in training[key]["models"]:
            model_entry(name, experiment, f"training.{key}.models")
    families = learning_families()
    for name in training["single_image"]["learning_rates"]:
        if name not in families:
            raise ConfigError(
                f"training.single_image.learning_rates names {name!r}, which is the family of no "
                f"model{did_you_mean(name, families)}: allowed are {', '.join(families)}."
            )
    trained = trained_image_sets(training)
    for name in sorted(trained):
        try:
            check_unet_options(config["unet"], config["image_sets"][name]["image_size"])
        except ConfigError as error:
            raise ConfigError(f"image_sets.{name}.image_size does not fit: {error}") from None
    if trained:
        _check_scores(config)
    main = (
        training["single_image"]["image_sets"] + training["ablation"]["single_image"]["image_sets"]
    )
    for key, sets in (("single_image", main), (SWEEP, training[SWEEP]["image_sets"])):
        _check_images(config, key, sets)
    for key in ("image_sets", "models"):
        missing = sorted(set(training["samplers"][key]) - set(training["budget"][key]))
        if missing and training["samplers"]["image_sets"]:
            raise ConfigError(
                f"training.samplers.{key} names {missing[0]!r}, which training.budget.{key} does "
                "not train: add it there or remove it here."
            )
    missing = sorted(set(training["quality"]["image_sets"]) - set(training["budget"]["image_sets"]))
    if missing:
        raise ConfigError(
            f"training.quality.image_sets names {missing[0]!r}, which training.budget.image_sets "
            "does not train: add it there or remove it here."
        )
    ablation = training["ablation"]
    for part in ("single_image", "budget"):
        unknown = sorted(set(ablation[part]["variants"] or ()) - set(ablation["variants"]))
        if unknown:
            raise ConfigError(
                f"training.ablation.{part}.variants names {unknown[0]!r}, which is none of "
                f"training.ablation.variants ({', '.join(ablation['variants'])}): add it there or "
                "remove it here."
            )
    targets = training["single_image"]["targets"]
    for name, variant in ablation["variants"].items():
        if variant["model"] is not None:
            model_entry(
                variant["model"], "single_image", f"training.ablation.variants.{name}.model"
            )
        if variant["model"] is not None and variant["scaled"]:
            raise ConfigError(
                f"training.ablation.variants.{name} names a model and says scaled, which the model "
                "says itself: remove scaled."
            )
        for other in variant["against"]:
            if other not in ablation["variants"]:
                raise ConfigError(
                    f"training.ablation.variants.{name}.against names {other!r}, which is no "
                    f"variant{did_you_mean(other, ablation['variants'])}: correct it."
                )
    own = ablation["single_image"]["targets"]
    if own and ablation["target"] not in own:
        raise ConfigError(
            f"training.ablation.target is {ablation['target']}, which is none of "
            f"training.ablation.single_image.targets ({', '.join(map(str, own))}): choose one of "
            "them."
        )
    if ablation["single_image"]["image_sets"] and not own and ablation["target"] not in targets:
        raise ConfigError(
            f"training.ablation.target is {ablation['target']}, which is none of "
            f"training.single_image.targets ({', '.join(map(str, targets))}): choose one of them."
        )
    if training["sigma_min"] >= training["sigma_max"]:
        raise ConfigError(
            f"training.sigma_min is {training['sigma_min']:g}, which is not below sigma_max "
            f"{training['sigma_max']:g}: exchange them."
        )


def _check_images(config: Mapping, key: str, image_sets: list[str]) -> None:
    groups = image_groups(config, key)
    if len(set(groups)) < len(groups):
        twice = next(group for group in groups if groups.count(group) > 1)
        raise ConfigError(
            f"training.{key}.images names the run on {twice.replace('+', ' and ')} twice: remove "
            "one of them."
        )
    largest = max(index for group in groups for index in image_indices(group))
    for name in image_sets:
        available = config["image_sets"][name]["n_images"]
        if available is not None and largest >= available:
            raise ConfigError(
                f"training.{key}.images asks for image {largest}, but image_sets.{name}.n_images "
                f"is {available}: lower the one or raise the other."
            )


def trained_image_sets(training: Mapping) -> set[str]:
    """Return the image sets that some experiment trains on."""
    sections = [training["single_image"], training["budget"], training[SWEEP]]
    sections += [training["ablation"]["single_image"], training["ablation"]["budget"]]
    return {name for section in sections for name in section["image_sets"]}


def _check_scores(config: Mapping) -> None:
    named = {"embedding.scores": config["embedding"]["scores"]}
    for name, variant in config["training"]["ablation"]["variants"].items():
        named[f"training.ablation.variants.{name}.scores"] = variant["scores"]
    for key, scores in named.items():
        exact = scores in ("exact", ON_THE_FLY)
        if scores is not None and not exact and scores not in config["solvers"]:
            raise ConfigError(
                f"{key} is {scores!r}, which is neither 'exact', {ON_THE_FLY!r} nor an entry of "
                f"solvers ({', '.join(config['solvers'])}): correct the name or define it."
            )
        if exact and config["equation"]["drift"]["kind"] != "zero":
            raise ConfigError(
                f"{key} is {scores!r}, which needs equation.drift.kind zero: name an entry of "
                "solvers instead."
            )
        if scores == ON_THE_FLY and config["density"]["method"] != "smoothed":
            raise ConfigError(
                f"{key} is {ON_THE_FLY!r}, but density.method is {config['density']['method']!r}, "
                "which draws samples anew at every call: use 'smoothed', or scores 'exact'."
            )
