"""Families of samplers, which tables name and figures have a panel for."""

from crosskrylov.learning.sampling.inversion import ReversibleSampler
from crosskrylov.learning.sampling.registry import declared_samplers, make_sampler

#: In the order of a figure's panels: four that draw no noise on the way, two that do.
FAMILIES = (
    "diffusers' schedulers",
    "exactly invertible",
    "fitted to network or data",
    "others",
    "drawing noise",
    "preconditioned (PDS)",
)


def family_of(method: str, setup_evaluations: int = 0) -> str:
    """Return the family of a sampler, by what it declares, is, and had to evaluate before."""
    facts = declared_samplers()[method].facts
    needs = facts.get("needs", ())
    if facts["stochastic"]:
        return FAMILIES[5] if "filters" in needs else FAMILIES[4]
    if "scheduler" in facts:
        return FAMILIES[0]
    if isinstance(make_sampler(method), ReversibleSampler):
        return FAMILIES[1]
    return FAMILIES[2] if setup_evaluations or "images" in needs else FAMILIES[3]
