"""Options of the march, and how the config section ``march`` gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from crosskrylov.equation.assembly import LINEARISATION, Linearisation
from crosskrylov.errors import ConfigError

Start = Literal["previous", "zero", "extrapolated"]

#: Loosest power of ten that leaves the score error against the exact solution unchanged (by less
#: than 1 %), as the error budget study measures it: at 1e-3 the error moves by at most 0.6 % at
#: 32, 64 and 128 pixels under both boundary conditions (100 steps), at 1e-2 by up to 19 %.
BALANCED_TOLERANCE = 1e-3


@dataclass(frozen=True)
class MarchOptions:
    """How a march is carried out.

    Attributes
    ----------
    tolerance : float
        Relative residual that every linear system has to reach.
    picard_tolerance : float
        Relative change of the iterate at which the nonlinear iteration stops.
    max_picard : int
        Most nonlinear iterations per time step (published: 5).
    linearisation : {"picard", "newton"}
        Freeze one gradient of the square (published), or linearise it fully.
    start : {"previous", "zero", "extrapolated"}
        Start of the linear solver in the first iteration: the previous step (also the first
        iterate), zero, or 2 m^(n-1) - m^(n-2) (also the first iterate).
    """

    tolerance: float = 1e-8
    picard_tolerance: float = 1e-6
    max_picard: int = 5
    linearisation: Linearisation = LINEARISATION
    start: Start = "previous"

    def __post_init__(self):
        if not (0 < self.tolerance < 1 and 0 < self.picard_tolerance < 1):
            raise ConfigError(
                "march.tolerance and march.picard_tolerance must lie between 0 and 1; found "
                f"{self.tolerance} and {self.picard_tolerance}."
            )
        if self.max_picard < 1:
            raise ConfigError(f"march.max_picard must be at least 1; found {self.max_picard}.")
        for key, allowed in (
            ("linearisation", ("picard", "newton")),
            ("start", ("previous", "zero", "extrapolated")),
        ):
            if getattr(self, key) not in allowed:
                raise ConfigError(
                    f"march.{key} is {getattr(self, key)!r}; allowed are {', '.join(allowed)}."
                )


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
        Keys of `crosskrylov.scores.march_options.MarchOptions`; ``tolerance`` may be "balanced".
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
