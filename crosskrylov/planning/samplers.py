"""What the workflow has to know of the configured samplers: whether they exist, and their files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.registry import (
    DENOISING_SAMPLER,
    SamplerChoice,
    declared_samplers,
    sampler_choice,
    sampler_modules,
)


def check_samplers(config: Mapping) -> None:
    """Raise if a configured sampler cannot be used as configured, or two share a name.

    Unknown names and options, and fewer evaluations than a sampler needs with its own options.

    Raises
    ------
    ConfigError
        One sentence with the key and the nearest known name.
    """
    training = config["training"]
    budget, compared = training["budget"], training["samplers"]
    key = "training.budget.sampler"
    _check_fewest(_choice(budget["sampler"], key), [budget["function_evaluations"]], key)
    final = training["quality"]
    _check_list(compared["samplers"], compared["function_evaluations"], "training.samplers")
    _check_list(final["samplers"], [final["function_evaluations"]], "training.quality")


def _check_list(samplers: Iterable[str | Mapping], evaluations: Iterable[int], section: str):
    """Raise if a section's sampler cannot be used, or if two have one name."""
    labels = set()
    for i, given in enumerate(samplers):
        key = f"{section}.samplers[{i}]"
        choice = _choice(given, key)
        _check_fewest(choice, evaluations, key)
        label = choice.label
        if label in labels:
            raise ConfigError(
                f"{key} is called {label!r} like an entry before it: give it another name."
            )
        labels.add(label)


def _choice(given: str | Mapping, key: str) -> SamplerChoice:
    try:
        return sampler_choice(given)
    except ConfigError as error:
        raise ConfigError(f"{key} cannot be used: {error}") from None


def _check_fewest(choice: SamplerChoice, evaluations: Iterable[int], key: str) -> None:
    """Raise if a sampler cannot do with so few evaluations; options decide when it is run."""
    fewest = declared_samplers()[choice.method].facts.get("fewest", 1)
    if not choice.options and min(evaluations) < fewest:
        raise ConfigError(
            f"{key} is {choice.method!r}, which needs at least {fewest} network evaluations, but "
            f"function_evaluations has {min(evaluations)}: raise it or take another sampler."
        )


def samplers_of(config: Mapping, script: str) -> list[str | Mapping]:
    """Return the samplers that a script of a training run draws with.

    Parameters
    ----------
    config : mapping
        The configuration.
    script : str
        Its name without ending.
    """
    training = config["training"]
    if script in ("train_single_image", "denoise"):
        return [DENOISING_SAMPLER]
    if script in ("train_budget", "sample"):
        return [training["budget"]["sampler"]]
    compared = {"compare_samplers": "samplers", "judge_quality": "quality"}
    return training[compared[script]]["samplers"] if script in compared else []


def sampler_files(names: Iterable[str | Mapping]) -> list[Path]:
    """Return the modules behind samplers, given as in ``training.samplers.samplers``.

    A rule that samples has them among its inputs, beside what its script imports.
    """
    return sampler_modules(names)
