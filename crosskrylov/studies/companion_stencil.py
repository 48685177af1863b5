"""What two defects of the companion code's assembly do to the scores.

The authors' companion code of [SE] assembled the matrix from the flattened image: its first
off-diagonals couple the last pixel of a row with the first of the next, and an off-diagonal entry
takes the advective coefficient of the neighbour instead of its own row's.  Its authors name both in
their changelog.  Each is run here in Eqs. 3-4, where nothing else is changed.  The file's third
difference from Eq. 4, the sign of the diffusion towards following neighbours, is run too; the
changelog does not name it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from crosskrylov.equation.problem import (
    FokkerPlanckProblem,
    evenly_spaced_steps,
    problem_from_config,
)
from crosskrylov.equation.stencil import coefficient_gradient, score
from crosskrylov.scores.reference import reference_log_density
from crosskrylov.studies.common import regions, relative_errors
from crosskrylov.studies.register import register


@dataclass(frozen=True)
class Variant:
    """Which of the differences an assembly has; none of them is Eq. 4."""

    wrapped_rows: bool = False
    neighbours_drift: bool = False
    forward_sign: bool = False


VARIANTS = {
    "equation_4": Variant(),
    "wrapped_rows": Variant(wrapped_rows=True),
    "neighbours_drift": Variant(neighbours_drift=True),
    "both": Variant(wrapped_rows=True, neighbours_drift=True),
    "both_and_forward_sign": Variant(True, True, True),
}


def assembled(
    problem: FokkerPlanckProblem, step: int, iterate: np.ndarray, variant: Variant
) -> sp.csr_array:
    """Return the matrix of one system, zero padding, as a variant assembles it.

    Parameters
    ----------
    problem : FokkerPlanckProblem
        Without drift.
    step : int
    iterate : ndarray, shape (H, W)
        The frozen iterate m~.
    variant : Variant
    """
    half_g2, h = problem.half_g2(step), problem.spacing
    height, width = iterate.shape
    diffusion = half_g2 / h**2
    column = np.tile(np.arange(width), height)
    diagonals, offsets = [np.full(iterate.size, 1 / problem.time_step + 4 * diffusion)], [0]
    gradients = coefficient_gradient(iterate, h, problem.boundary, problem.border_gradient)
    for stride, gradient in zip((width, 1), gradients):
        advection = -half_g2 * gradient.ravel() / (2 * h)
        for sign in (-1, 1):  # the neighbour before, the neighbour after
            after = sign == 1
            leading = diffusion if after and variant.forward_sign else -diffusion
            values = leading + sign * advection
            # an entry (p, p + sign * stride): of row p, or of the neighbour's row
            rows = values[:-stride] if after else values[stride:]
            columns = values[stride:] if after else values[:-stride]
            entries = (columns if variant.neighbours_drift else rows).copy()
            if stride == 1 and not variant.wrapped_rows:
                entries[column[1:] == 0] = 0.0
            diagonals.append(entries)
            offsets.append(sign * stride)
    return sp.csr_array(sp.diags_array(diagonals, offsets=offsets))


def companion_stencil(
    equation: Mapping,
    log_density: np.ndarray,
    max_picard: int,
    picard_tolerance: float,
    variants: Sequence[str],
) -> pd.DataFrame:
    """March images with the variants and compare the scores with those of Eq. 4.

    Parameters
    ----------
    equation : mapping
        Config section; zero padding, whatever it says, and without drift.
    log_density : ndarray, shape (N, H, W)
    max_picard : int
    picard_tolerance : float
    variants : sequence of str
        Names in `VARIANTS`; Eq. 4 is always run.

    Returns
    -------
    DataFrame
        A row per variant, stored step and region: relative difference of the score from that of
        Eq. 4, and its error against the semi-discrete exact solution (2-norms over the region),
        mean and worst image; ``finite`` is whether all values are.
    """
    problem = problem_from_config({**equation, "boundary": "zero_padding"}, *log_density.shape[1:])
    stored = evenly_spaced_steps(problem.time_steps, 10)
    exact = score(reference_log_density(problem, log_density, stored), problem.spacing)
    scores = {}
    for name in dict.fromkeys(["equation_4", *variants]):
        kept = np.stack(
            [
                _march(problem, field, VARIANTS[name], stored, max_picard, picard_tolerance)
                for field in log_density
            ]
        )
        scores[name] = score(kept, problem.spacing)
    rows = []
    for name, values in scores.items():
        for position, step in enumerate(stored):
            for region, mask in regions(log_density.shape[1:]).items():
                own, base, right = (
                    a[:, position][..., mask] for a in (values, scores["equation_4"], exact)
                )
                finite = bool(np.isfinite(own).all())
                difference, error = relative_errors(own, base), relative_errors(own, right)
                rows.append(
                    {
                        "variant": name,
                        "step": int(step),
                        "region": region,
                        "difference_mean": difference.mean() if finite else np.nan,
                        "difference_max": difference.max() if finite else np.nan,
                        "error_mean": error.mean() if finite else np.nan,
                        "finite": finite,
                        "n_images": len(log_density),
                    }
                )
    return pd.DataFrame(rows)


def _march(problem, initial, variant, stored, max_picard, picard_tolerance) -> np.ndarray:
    """Return log-densities (S, H, W) at the stored steps; not finite once the march breaks down."""
    m, kept = initial, []
    for step in range(1, problem.time_steps + 1):
        rhs, iterate = m.ravel() / problem.time_step, m
        for _ in range(max_picard):
            if not np.isfinite(iterate).all():
                break
            matrix = assembled(problem, step, iterate, variant).tocsc()
            new = spsolve(matrix, rhs, permc_spec="MMD_AT_PLUS_A").reshape(m.shape)
            change = np.linalg.norm(new - iterate)
            iterate, old = new, iterate
            if change < picard_tolerance * np.linalg.norm(old):
                break
        m = iterate
        if step in stored:
            kept.append(m)
    return np.stack(kept)


@register(
    "companion_stencil",
    needs=["log_density", "equation", "march"],
    tables={
        "companion_stencil": "Scores of the companion code's assembly, run as marked variants, "
        "against those of Eq. 4."
    },
    figures={
        "companion_stencil": {
            "table": "companion_stencil",
            "caption": "Relative difference of the scores from those of Eq. 4 where the matrix is "
            "assembled as in the authors' companion code: the end of a row coupled with the start "
            "of the next, the neighbours' advective coefficients, both, and both with that file's "
            "sign of the diffusion towards following neighbours. Means over images.",
        }
    },
)
def study_companion_stencil(data, n_images, variants):
    """March images with the companion code's assembly."""
    table = companion_stencil(
        data.equation,
        data.log_density[:n_images],
        data.march["max_picard"],
        data.march["picard_tolerance"],
        variants,
    )
    return {"companion_stencil": table}
