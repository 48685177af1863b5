"""The forward process: diffusion coefficient g(t), drift f(x, t), grid, boundary, time steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from scipy.integrate import quad

from crosskrylov.equation.density import unit_spacing
from crosskrylov.equation.stencil import BOUNDARIES, BorderGradient, Boundary, gradient
from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import did_you_mean

#: What the section ``equation`` of a configuration leaves out; the authors' setting.
DEFAULTS = {
    "final_time": 1.0,
    "time_steps": 100,
    "boundary": "zero_padding",
    "border_gradient": "one_sided",
    "stored_steps": 10,
    "diffusion": {
        "kind": "constant",
        "g": 0.5,
        "sigma": 5.0,
        "beta_min": 0.1,
        "beta_max": 20.0,
    },
    "drift": {"kind": "zero", "rate": 1.0, "center": 0.5, "beta_min": 0.1, "beta_max": 20.0},
}

DriftField = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Diffusion:
    """The diffusion coefficient g(t) and the integral that the exact solution needs.

    Attributes
    ----------
    coefficient : callable
        g(t), positive.
    integral : callable or None
        tau(t) = 1/2 of the integral of g^2 from 0 to t in closed form; None: numerical quadrature.
    constant : bool
        Whether g does not depend on time (solvers then reuse factorisations between steps).
    """

    coefficient: Callable[[float], float]
    integral: Callable[[float], float] | None = None
    constant: bool = False

    def half_g2(self, t: float) -> float:
        """Return g(t)^2 / 2."""
        return 0.5 * float(self.coefficient(t)) ** 2

    def tau(self, t: float) -> float:
        """Return 1/2 of the integral of g^2 from 0 to ``t`` (Eq. 11)."""
        if self.integral is not None:
            return float(self.integral(t))
        return quad(self.half_g2, 0.0, t, epsabs=1e-13, epsrel=1e-12, limit=200)[0]


@dataclass(frozen=True)
class FokkerPlanckProblem:
    """The log-density Fokker-Planck equation on a grid of pixels, discretised in time.

    Attributes
    ----------
    height, width : int
        Image size in pixels.
    spacing : float
        Grid spacing h (1 / (H - 1) for square images on the unit square).
    final_time : float
        T.
    time_steps : int
        Number N of backward-Euler steps, dt = T / N.
    diffusion : Diffusion
        g(t).
    drift : callable or None
        f(rows, cols, t) -> (f_row, f_col), with coordinates of shape (H, W); None is f = 0.
    boundary : {"zero_padding", "reflecting"}
        Log-density 0 outside the image (published), or no flux through its border.
    border_gradient : {"one_sided", "ghost"}
        How the frozen gradient in the coefficients is taken at the border (published: one-sided).
    """

    height: int
    width: int
    spacing: float
    final_time: float
    time_steps: int
    diffusion: Diffusion
    drift: DriftField | None = None
    boundary: Boundary = DEFAULTS["boundary"]
    border_gradient: BorderGradient = DEFAULTS["border_gradient"]

    def __post_init__(self):
        if self.boundary not in BOUNDARIES:
            raise ConfigError(
                f"equation.boundary is {self.boundary!r}; allowed are {', '.join(BOUNDARIES)}."
            )
        if self.border_gradient not in ("one_sided", "ghost"):
            raise ConfigError(
                f"equation.border_gradient is {self.border_gradient!r}; allowed are 'one_sided' "
                "and 'ghost'."
            )
        if not (self.final_time > 0 and self.time_steps >= 1 and self.spacing > 0):
            raise ConfigError(
                "equation needs final_time > 0, time_steps >= 1 and a positive spacing; found "
                f"{self.final_time}, {self.time_steps} and {self.spacing}."
            )

    @property
    def time_step(self) -> float:
        """Time step dt."""
        return self.final_time / self.time_steps

    def time(self, step: int) -> float:
        """Time t_n of step ``step`` (0 is the initial state)."""
        return step * self.time_step

    def half_g2(self, step: int) -> float:
        """g(t_n)^2 / 2 at step ``step``."""
        return self.diffusion.half_g2(self.time(step))

    def drift_field(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return (f_row, f_col, divergence) at step ``step``, each (H, W); None where f = 0."""
        if self.drift is None:
            return None
        rows, cols = np.meshgrid(
            np.arange(self.height) * self.spacing,
            np.arange(self.width) * self.spacing,
            indexing="ij",
        )
        f_row, f_col = (
            np.broadcast_to(np.asarray(f, dtype=np.float64), rows.shape).copy()
            for f in self.drift(rows, cols, self.time(step))
        )
        if not (np.isfinite(f_row).all() and np.isfinite(f_col).all()):
            raise ConfigError(
                f"equation.drift gives values that are not finite at time {self.time(step):.6g}."
            )
        divergence = gradient(f_row, self.spacing)[0] + gradient(f_col, self.spacing)[1]
        return f_row, f_col, divergence


def constant_diffusion(g: float) -> Diffusion:
    """Return g(t) = g (published: 0.5)."""
    return Diffusion(lambda t: g, lambda t: 0.5 * g**2 * t, constant=True)


def exponential_diffusion(sigma: float) -> Diffusion:
    """Return g(t) = sigma^t, the predecessor's schedule (sigma = 5)."""
    log_sigma = np.log(sigma)
    if abs(log_sigma) < 1e-12:
        return constant_diffusion(1.0)
    return Diffusion(lambda t: sigma**t, lambda t: 0.5 * (sigma ** (2 * t) - 1) / (2 * log_sigma))


def _beta(t, beta_min, beta_max, final_time):
    return beta_min + (beta_max - beta_min) * t / final_time


def vp_diffusion(beta_min: float, beta_max: float, final_time: float) -> Diffusion:
    """Return g(t) = sqrt(beta(t)) with beta linear from beta_min to beta_max over [0, T]."""
    return Diffusion(
        lambda t: np.sqrt(_beta(t, beta_min, beta_max, final_time)),
        lambda t: 0.5 * (beta_min * t + 0.5 * (beta_max - beta_min) * t**2 / final_time),
        constant=beta_min == beta_max,
    )


def linear_drift(rate: float, center: float) -> DriftField:
    """Return the Ornstein-Uhlenbeck drift f(x) = -rate (x - center)."""
    return lambda rows, cols, t: (-rate * (rows - center), -rate * (cols - center))


def vp_drift(beta_min: float, beta_max: float, final_time: float, center: float) -> DriftField:
    """Return the variance-preserving drift f(x, t) = -beta(t) / 2 (x - center)."""

    def field(rows, cols, t):
        rate = 0.5 * _beta(t, beta_min, beta_max, final_time)
        return -rate * (rows - center), -rate * (cols - center)

    return field


def _imported(path: str, key: str) -> Callable:
    """Return the function named by ``package.module:function``."""
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{key} is {path!r}, which cannot be imported ({error}); give package.module:function "
            "of a module on PYTHONPATH."
        ) from error
    if not callable(found):
        raise ConfigError(f"{key} is {path!r}, which is not a function.")
    return found


def _diffusion_from_config(entry: Mapping, final_time: float) -> Diffusion:
    entry = {**DEFAULTS["diffusion"], **entry}
    kind = entry["kind"]
    if kind == "constant":
        return constant_diffusion(float(entry["g"]))
    if kind == "exponential":
        return exponential_diffusion(float(entry["sigma"]))
    if kind == "vp":
        return vp_diffusion(float(entry["beta_min"]), float(entry["beta_max"]), final_time)
    if kind == "path":
        return Diffusion(_imported(entry["path"], "equation.diffusion.path"))
    raise ConfigError(
        f"equation.diffusion.kind is {kind!r}; allowed are constant, exponential, vp and path."
    )


def _drift_from_config(entry: Mapping, final_time: float) -> DriftField | None:
    entry = {**DEFAULTS["drift"], **entry}
    kind = entry["kind"]
    if kind == "zero":
        return None
    center = float(entry["center"])
    if kind == "linear":
        return linear_drift(float(entry["rate"]), center)
    if kind == "vp":
        beta = float(entry["beta_min"]), float(entry["beta_max"])
        return vp_drift(*beta, final_time, center)
    if kind == "path":
        return _imported(entry["path"], "equation.drift.path")
    raise ConfigError(f"equation.drift.kind is {kind!r}; allowed are zero, linear, vp and path.")


def problem_from_config(equation: Mapping, height: int, width: int) -> FokkerPlanckProblem:
    """Return the problem that the config section ``equation`` describes for one image size.

    Parameters
    ----------
    equation : mapping
        Keys final_time, time_steps, diffusion {kind, ...}, drift {kind, ...}, boundary,
        border_gradient, as crosskrylov/planning/config.schema.yaml describes them; what is left out
        is taken from `DEFAULTS`.
    height, width : int
        Image size in pixels.

    Raises
    ------
    ConfigError
        If a kind is unknown or an import path cannot be loaded.
    """
    equation = {**DEFAULTS, **equation}
    final_time = float(equation["final_time"])
    return FokkerPlanckProblem(
        height=height,
        width=width,
        spacing=unit_spacing(height, width),
        final_time=final_time,
        time_steps=int(equation["time_steps"]),
        diffusion=_diffusion_from_config(equation["diffusion"], final_time),
        drift=_drift_from_config(equation["drift"], final_time),
        boundary=equation["boundary"],
        border_gradient=equation["border_gradient"],
    )


#: Keys of the config section, and of the sections inside it.
_KEYS = {
    "equation": (
        *("final_time", "time_steps", "stored_steps", "boundary", "border_gradient"),
        *("diffusion", "drift"),
    ),
    "equation.diffusion": ("kind", "g", "sigma", "beta_min", "beta_max", "path"),
    "equation.drift": ("kind", "rate", "center", "beta_min", "beta_max", "path"),
}
_TEXTS = ("kind", "path", "boundary", "border_gradient")
_WHOLE = ("time_steps", "stored_steps")
#: Beyond it no number means anything here, and its square may be no number at all.
_LARGEST = 1e100
_ANY_SIGN = ("rate", "center")


def check_equation(equation: Mapping, name: str = "equation") -> None:
    """Check a section ``equation`` that did not go through the config's schema.

    Raises
    ------
    ConfigError
        If a key is unknown, a number is not finite or not positive, or more steps are to be stored
        than there are.
    """
    for key, value in equation.items():
        if key not in _KEYS[name]:
            hint = did_you_mean(key, _KEYS[name])
            raise ConfigError(f"{name}.{key} is unknown{hint}; known are {', '.join(_KEYS[name])}.")
        if key in ("diffusion", "drift"):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{name}.{key} is {value!r}; it must be a section with a kind.")
            check_equation(value, f"{name}.{key}")
        elif key not in _TEXTS:
            _check_number(f"{name}.{key}", key, value)
    stored, steps = equation.get("stored_steps"), {**DEFAULTS, **equation}["time_steps"]
    if stored is not None and stored > steps:
        raise ConfigError(
            f"equation.stored_steps is {stored}, but equation.time_steps is only {steps}: lower "
            "the one or raise the other."
        )


def _check_number(name: str, key: str, value) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not abs(value) < _LARGEST or (value <= 0 and key not in _ANY_SIGN):
        kind = "a number" if key in _ANY_SIGN else "a number above 0"
        raise ConfigError(f"{name} is {value!r}; it must be {kind}, below {_LARGEST:g}.")
    if key in _WHOLE and value != int(value):
        raise ConfigError(f"{name} is {value!r}; it must be a whole number.")


def evenly_spaced_steps(time_steps: int, count: int) -> np.ndarray:
    """Return ``count`` time steps spread evenly over 1..time_steps, both ends included.

    The authors keep ``linspace(1, N, 10)``; where there are fewer steps than asked for, all are
    returned.
    """
    if count < 1 or time_steps < 1:
        raise ConfigError(
            f"Evenly spaced steps need at least 1 step and 1 time step, found {count} of "
            f"{time_steps}; raise equation.stored_steps or equation.time_steps."
        )
    if count == 1:
        return np.array([time_steps])
    spread = np.linspace(1, time_steps, min(count, time_steps))
    return np.unique(np.round(spread).astype(int))
