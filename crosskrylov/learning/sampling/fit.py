"""Which samplers fit what a model has learned."""

from collections.abc import Mapping

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.index import Model
from crosskrylov.learning.sampling.registry import SamplerChoice, declared_samplers, sampler_choice

#: What a model declares that has learned the velocity of a flow, and no score.
FLOW = "flow"


def fits(model: Model, sampler: str | Mapping | SamplerChoice) -> bool:
    """Return whether a sampler can draw from networks of a model.

    A sampler that draws noise on the way needs a score, and a network that was distilled into the
    steps of one sampler knows no other.
    """
    method = sampler_choice(sampler).method
    if model.fits == FLOW:
        return not declared_samplers()[method].facts["stochastic"]
    return model.fits in ("", method)


def require_fit(model: Model, sampler: str | Mapping | SamplerChoice) -> None:
    """Raise unless a sampler `fits` a model.

    Raises
    ------
    ConfigError
        One sentence with both names and what would fit.
    """
    if not fits(model, sampler):
        method = sampler_choice(sampler).method
        allowed = (
            "has learned the velocity of a flow and no score: take a sampler that draws no noise"
            if model.fits == FLOW
            else f"was made for the steps of {model.fits!r}: take that"
        )
        raise ConfigError(f"Sampler {method!r} does not fit model {model.name!r}, which {allowed}.")
