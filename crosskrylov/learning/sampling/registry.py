"""Samplers by name: found in the folder ``samplers`` without importing them, made with options.

A sampler is a function, or a class whose instances are called, in a file of its own:

    @register("name", about="...", order=2, evaluations_per_step=1, stochastic=False, ends="zero")
    def name(model, start, evaluations, generator, *, option=1.0): ...

It gets a `NoiseModel`, unit normal noise ``start`` (B, C, H, W) of the precision to work in, the
number of network evaluations to spend, and the generator of whatever noise it draws besides.  It
returns images on the scale of [-1, 1].
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import isclass
from pathlib import Path
from typing import Any

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import Declared, declared_in, did_you_mean

SAMPLERS_FOLDER = Path(__file__).resolve().with_name("samplers")
SAMPLERS_PACKAGE = "crosskrylov.learning.sampling.samplers"

#: What a declaration says; `declared_samplers` refuses one that lacks any of the first four.
#:
#: about : what it is, in one line
#: order : order of its error in the number of steps (docs/method.md, Eq. 29f); None if stochastic
#: evaluations_per_step : network calls per step
#: stochastic : whether it draws noise on the way
#: ends : where it stops: "zero" at the posterior mean of the lowest level, "scaled" at that level
#:     itself, in the variance-preserving scale, "unscaled" the same in the other scale
#: needs : what it takes besides, of "filters" (PDS), "images" (training images in [-1, 1])
#: fewest : fewest evaluations that its default options need
#: adaptive : whether it chooses its number of evaluations itself
_FACTS = ("about", "order", "evaluations_per_step", "stochastic")
NEEDS = ("filters", "images")
ENDS = ("zero", "scaled", "unscaled")

#: What every sampler gets and no configuration gives.
_GIVEN = ("model", "start", "evaluations", "generator", *NEEDS)

#: The sampler that denoises a given image from the level that its noise has.
DENOISING_SAMPLER = "ddim"


def register(name: str, **facts) -> Callable:
    """Declare a sampler; the declaration is read from the source, so that this returns it as is."""
    return lambda sampler: sampler


@dataclass(frozen=True)
class SamplerChoice:
    """What the configuration says of a sampler.

    Attributes
    ----------
    label : str
        What tables and figures call it.
    method : str
        Registered name.
    options : mapping
        Its options.
    """

    label: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)


def declared_samplers(folder: Path | None = None) -> dict[str, Declared]:
    """Return what the modules of the folder of samplers declare, by name, without importing them.

    Raises
    ------
    ConfigError
        If a declaration lacks a fact or says one that is none of the allowed.
    """
    found = declared_in(Path(folder or SAMPLERS_FOLDER))
    for name, entry in found.items():
        missing = [fact for fact in _FACTS if fact not in entry.facts]
        if missing:
            raise ConfigError(f"{entry.file}: sampler {name!r} does not declare {missing[0]!r}.")
        wrong = sorted(set(entry.facts.get("needs", ())) - set(NEEDS))
        if wrong or entry.facts.get("ends", "zero") not in ENDS:
            what, allowed = ("needs", NEEDS) if wrong else ("ends", ENDS)
            raise ConfigError(
                f"{entry.file}: sampler {name!r} declares {what}={entry.facts[what]!r}; allowed "
                f"are {', '.join(allowed)}."
            )
    return found


def sampler_options(entry: Declared) -> tuple[str, ...]:
    """Return the names of a sampler's options."""
    return tuple(name for name in entry.parameters if name not in _GIVEN)


def sampler_choice(given: str | Mapping | SamplerChoice) -> SamplerChoice:
    """Return a configured sampler, given as a name or as ``{method, options, name}``.

    Raises
    ------
    ConfigError
        If the method or an option is unknown; one sentence that names the nearest known one.
    """
    if isinstance(given, SamplerChoice):
        return given
    parts = {"method": given} if isinstance(given, str) else dict(given)
    method, options = parts.get("method"), dict(parts.get("options") or {})
    known = declared_samplers()
    if method not in known:
        raise ConfigError(
            f"Sampler {method!r} is unknown{did_you_mean(method, known)}; allowed are "
            f"{', '.join(sorted(known))}."
        )
    allowed = sampler_options(known[method])
    for name in options:
        if name not in allowed:
            raise ConfigError(
                f"Sampler {method!r} has no option {name!r}{did_you_mean(name, allowed)}; it has "
                f"{', '.join(allowed) or 'none'}."
            )
    label = parts.get("name") or ", ".join([method, *(f"{k} {v}" for k, v in options.items())])
    return SamplerChoice(label, method, options)


def make_sampler(given: str | Mapping | SamplerChoice) -> Callable:
    """Return ``sampler(model, start, evaluations, generator, **needs)`` with its options set."""
    choice = sampler_choice(given)
    sampler = declared_samplers()[choice.method].load(SAMPLERS_PACKAGE)
    return sampler(**choice.options) if isclass(sampler) else partial(sampler, **choice.options)


def require_evaluations(name: str, evaluations: int, fewest: int, why: str) -> None:
    """Raise if fewer network evaluations are to be spent than a sampler can do with.

    Raises
    ------
    ConfigError
        One sentence with the sampler, both numbers and the reason.
    """
    if evaluations < fewest:
        raise ConfigError(
            f"Sampler {name!r} got {evaluations} network evaluations but needs at least {fewest} "
            f"({why}): raise function_evaluations or lower the option."
        )


def require_option(name: str, option: str, value: Any, holds: bool, allowed: str) -> None:
    """Raise a sentence about an option's value unless it ``holds``.

    Raises
    ------
    ConfigError
        Naming the sampler, the option, its value and what is ``allowed``.
    """
    if not holds:
        raise ConfigError(f"Sampler {name!r}: option {option} is {value!r}; it must be {allowed}.")


def sampler_names(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of all samplers, sorted."""
    return tuple(sorted(declared_samplers(folder)))


def sampler_modules(choices: Iterable[str | Mapping | SamplerChoice]) -> list[Path]:
    """Return the files of the modules behind configured samplers, sorted."""
    known = declared_samplers()
    return sorted({known[sampler_choice(given).method].file for given in choices})
