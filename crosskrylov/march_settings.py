"""Options of the march from the config section ``march``, with ``tolerance: balanced``."""

from collections.abc import Mapping

from crosskrylov.errors import ConfigError
from crosskrylov.fokker_planck import MarchOptions

#: Loosest power of ten that leaves the score error against the exact solution unchanged (by less
#: than 1 %), as the error budget study measures it: at 1e-3 the error moves by at most 0.6 % at
#: 32, 64 and 128 pixels under both boundary conditions (100 steps), at 1e-2 by up to 19 %.
BALANCED_TOLERANCE = 1e-3


def resolve_tolerance(tolerance: float | str) -> float:
    """Return the number behind a configured tolerance: itself, or what "balanced" stands for."""
    if tolerance == "balanced":
        return BALANCED_TOLERANCE
    if isinstance(tolerance, str):
        raise ConfigError(
            f"march.tolerance is {tolerance!r}; give a number between 0 and 1 or 'balanced'."
        )
    return float(tolerance)


def march_options(section: Mapping | None = None, **changes) -> MarchOptions:
    """Return the options that a config section describes.

    Parameters
    ----------
    section : mapping, optional
        Keys of `crosskrylov.fokker_planck.MarchOptions`; ``tolerance`` may be "balanced".
    **changes
        Keys that replace those of the section.

    Raises
    ------
    ConfigError
        If a key is unknown or a value impossible.
    """
    values = {**(section or {}), **changes}
    if "tolerance" in values:
        values["tolerance"] = resolve_tolerance(values["tolerance"])
    try:
        return MarchOptions(**values)
    except TypeError as error:
        raise ConfigError(f"The section march does not fit: {error}.") from error
