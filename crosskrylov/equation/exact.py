"""The exact solution by the Cole-Hopf transform (Eqs. 10-13): the reference for every error.

p = exp(m) obeys the linear equation p_t = -div(f p) + g^2/2 Laplacian p.  Without drift its
five-point semi-discretisation is diagonal in sine (zero padding: u = p - 1) or cosine (reflection)
modes, so every time is available at once, without any error in time.
"""

from collections.abc import Sequence

import numpy as np
from scipy import fft

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.transforms import laplacian_symbol
from crosskrylov.errors import AccuracyError, ConfigError, ShapeError


def exact_log_density(
    problem: FokkerPlanckProblem, log_density: np.ndarray, times: Sequence[float]
) -> np.ndarray:
    """Return the exact log-density of the semi-discrete density equation at ``times``.

    Parameters
    ----------
    problem : FokkerPlanckProblem
        Must have no drift; g may depend on time.
    log_density : ndarray, shape (N, H, W)
        Initial log-density in nats.
    times : sequence of float
        Times in [0, T].

    Returns
    -------
    ndarray, float64, shape (N, S, H, W)

    Raises
    ------
    ConfigError
        If the problem has a drift (use the density form).
    AccuracyError
        If the density is not positive, which the maximum principle excludes up to rounding.
    """
    if problem.drift is not None:
        raise ConfigError(
            "The exact solution by transform needs equation.drift.kind zero; use the density form "
            "for a problem with drift."
        )
    if log_density.ndim != 3 or log_density.shape[1:] != (problem.height, problem.width):
        raise ShapeError(
            f"log_density needs shape (N, {problem.height}, {problem.width}), found "
            f"{log_density.shape}."
        )
    symbol = laplacian_symbol(problem.height, problem.width, problem.spacing, problem.boundary)
    density = np.exp(np.asarray(log_density, dtype=np.float64))
    if problem.boundary == "zero_padding":
        shift, forward, backward, kind = 1.0, fft.dstn, fft.idstn, 1
    else:
        shift, forward, backward, kind = 0.0, fft.dctn, fft.idctn, 2
    spectrum = forward(density - shift, type=kind, axes=(-2, -1), norm="ortho")
    result = np.empty((len(density), len(times), problem.height, problem.width))
    for position, t in enumerate(times):
        decayed = spectrum * np.exp(problem.diffusion.tau(float(t)) * symbol)
        p = shift + backward(decayed, type=kind, axes=(-2, -1), norm="ortho")
        if not (p > 0).all():
            raise AccuracyError(
                f"The exact density reaches {p.min():.3g} at time {t:.6g}, but it must be "
                "positive; raise density.floor."
            )
        result[:, position] = np.log(p)
    return result
