"""What the workflow has to know of the configured samplers: whether they exist, and their files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.registry import sampler_choice, sampler_modules


def check_samplers(config: Mapping) -> None:
    """Raise if a configured sampler or an option of one is unknown, or two share a name.

    Raises
    ------
    ConfigError
        One sentence with the key and the nearest known name.
    """
    training = config["training"]
    _choice(training["budget"]["sampler"], "training.budget.sampler")
    labels = set()
    for i, given in enumerate(training["samplers"]["samplers"]):
        key = f"training.samplers.samplers[{i}]"
        label = _choice(given, key).label
        if label in labels:
            raise ConfigError(
                f"{key} is called {label!r} like an entry before it: give it another name."
            )
        labels.add(label)


def _choice(given: str | Mapping, key: str):
    try:
        return sampler_choice(given)
    except ConfigError as error:
        raise ConfigError(f"{key} cannot be used: {error}") from None


def sampler_files(names: Iterable[str | Mapping]) -> list[Path]:
    """Return the modules behind samplers, given as in ``training.samplers.samplers``.

    A rule that samples has them among its inputs, beside what its script imports.
    """
    return sampler_modules(names)
