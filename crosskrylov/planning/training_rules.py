"""Rules that connect several keys of the training sections; needs no torch."""

from collections.abc import Mapping

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.index import learning_families, model_entry
from crosskrylov.learning.unet_options import check_unet_options
from crosskrylov.runtime.declared import did_you_mean

#: Sections with a list of models, and the experiment that these are trained in.
EXPERIMENT_OF_MODELS = {"single_image": "single_image", "budget": "budget", "samplers": "budget"}


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
    images = training["single_image"]["images"]
    for name in training["single_image"]["image_sets"]:
        available = config["image_sets"][name]["n_images"]
        if available is not None and max(images) >= available:
            raise ConfigError(
                f"training.single_image.images asks for image {max(images)}, but "
                f"image_sets.{name}.n_images is {available}: lower the one or raise the other."
            )
    for key in ("image_sets", "models"):
        missing = sorted(set(training["samplers"][key]) - set(training["budget"][key]))
        if missing and training["samplers"]["image_sets"]:
            raise ConfigError(
                f"training.samplers.{key} names {missing[0]!r}, which training.budget.{key} does "
                "not train: add it there or remove it here."
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
    if ablation["single_image"]["image_sets"] and ablation["target"] not in targets:
        raise ConfigError(
            f"training.ablation.target is {ablation['target']}, which is none of "
            f"training.single_image.targets ({', '.join(map(str, targets))}): choose one of them."
        )
    if training["sigma_min"] >= training["sigma_max"]:
        raise ConfigError(
            f"training.sigma_min is {training['sigma_min']:g}, which is not below sigma_max "
            f"{training['sigma_max']:g}: exchange them."
        )


def trained_image_sets(training: Mapping) -> set[str]:
    """Return the image sets that some experiment trains on."""
    sections = [training["single_image"], training["budget"]]
    sections += [training["ablation"]["single_image"], training["ablation"]["budget"]]
    return {name for section in sections for name in section["image_sets"]}


def _check_scores(config: Mapping) -> None:
    named = {"embedding.scores": config["embedding"]["scores"]}
    for name, variant in config["training"]["ablation"]["variants"].items():
        named[f"training.ablation.variants.{name}.scores"] = variant["scores"]
    for key, scores in named.items():
        if scores is not None and scores != "exact" and scores not in config["solvers"]:
            raise ConfigError(
                f"{key} is {scores!r}, which is neither 'exact' nor an entry of solvers "
                f"({', '.join(config['solvers'])}): correct the name or define it."
            )
    if config["equation"]["drift"]["kind"] != "zero" and "exact" in named.values():
        raise ConfigError(
            "embedding.scores is 'exact', which needs equation.drift.kind zero: name an entry of "
            "solvers instead."
        )
