"""Orders of convergence on images in h and in dt, border and interior apart (docs/theory.md, 7).

On a grid r times finer the published boundary puts density 1 at distance h / r outside: the line on
which the solution is held moves with the grid.  The reflecting one mirrors at half of that
distance.  If pixels are read as cells, of which each is divided into r x r, the image's edge stays
where it is, for the mirror as for the line of density 1.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import fft, stats
from scipy.ndimage import map_coordinates

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.problem import (
    FokkerPlanckProblem,
    evenly_spaced_steps,
    problem_from_config,
)
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import march_options
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.common import regions
from crosskrylov.studies.register import register

#: (boundary, what a pixel is): transform, its type, first mode, what the modes are divided by
#: (n + the last), density outside.
GRIDS = {
    ("zero_padding", "node"): (fft.dstn, fft.idstn, 1, 1, 1, 1.0),
    ("density_1_at_edge", "cell"): (fft.dstn, fft.idstn, 2, 1, 0, 1.0),
    ("reflecting", "node"): (fft.dctn, fft.idctn, 2, 0, 0, 0.0),
    ("reflecting", "cell"): (fft.dctn, fft.idctn, 2, 0, 0, 0.0),
}


def refined_log_density(field: np.ndarray, factor: int, pixel: str) -> np.ndarray:
    """Return a log-density (H, W) on a grid ``factor`` times finer, by cubic splines.

    Nodes span the same distance with factor (n - 1) + 1 points; cells are divided into factor x
    factor, and the spline is even about the image's edge.
    """
    if pixel == "node":
        places = [np.linspace(0, n - 1, factor * (n - 1) + 1) for n in field.shape]
        mode = "mirror"
    else:
        places = [(np.arange(factor * n) + 0.5) / factor - 0.5 for n in field.shape]
        mode = "reflect"
    return map_coordinates(field, np.meshgrid(*places, indexing="ij"), order=3, mode=mode)


def semi_discrete(
    field: np.ndarray, spacing: float, taus: Sequence[float], boundary: str, pixel: str
) -> np.ndarray:
    """Return the semi-discrete exact log-density at tau(t), shape (T, H, W) (Eqs. 11-13)."""
    forward, backward, kind, first, extra, outside = GRIDS[boundary, pixel]
    rows, cols = (
        (2 * np.cos(np.pi * (np.arange(n) + first) / (n + extra)) - 2) / spacing**2
        for n in field.shape
    )
    spectrum = forward(np.exp(field) - outside, type=kind, norm="ortho")
    return np.stack(
        [
            np.log(
                outside
                + backward(
                    spectrum * np.exp(tau * rows)[:, None] * np.exp(tau * cols)[None, :],
                    type=kind,
                    norm="ortho",
                )
            )
            for tau in taus
        ]
    )


def grid_scores(
    problem: FokkerPlanckProblem,
    field: np.ndarray,
    taus: Sequence[float],
    factor: int,
    boundary: str,
    pixel: str,
) -> dict[str, np.ndarray]:
    """Return scores at the pixels from a grid ``factor`` times finer, (T, 2, H, W) each.

    "solution" differences the log-density over the pixels' spacing h whatever the grid, so that
    only the solution's error is in it; "score" over the fine grid's own spacing.
    """
    h = problem.spacing / factor
    fine = semi_discrete(refined_log_density(field, factor, pixel), h, taus, boundary, pixel)
    first = 0 if pixel == "node" else factor // 2
    at_pixels = (..., slice(first, None, factor), slice(first, None, factor))
    return {
        "solution": score(fine[at_pixels], problem.spacing),
        "score": score(fine, h)[at_pixels],
    }


def image_orders(
    equation: Mapping,
    log_density: np.ndarray,
    refinements: Sequence[int],
    time_steps: Sequence[int],
    *,
    method: str,
) -> pd.DataFrame:
    """Return how much the score changes from one grid, or time step, to the next finer one.

    Parameters
    ----------
    equation : mapping
        Config section; without drift.  Its boundary and number of steps are replaced.
    log_density : ndarray, shape (N, H, W)
    refinements : sequence of int
        Odd factors r, at least three: a cell's middle is the middle of one of its parts.
    time_steps : sequence of int
        Numbers of time steps, at least three, multiples of the smallest.
    method : str
        Linear solver of the marches.

    Returns
    -------
    DataFrame
        A row per boundary, pixel (node | cell), varied (h | dt), quantity (solution | score),
        region (all | border, the outermost pixels | interior), setting and image: ``change``,
        ``||s - s'|| / ||s'||`` over ten times with s' the next finer setting, ``border_share``, the
        share of the squared change on the border, and the observed ``order`` between this change
        and that of the next finer setting.

    Raises
    ------
    ConfigError
        If settings do not fit, or the equation has a drift.
    """
    refinements, time_steps = sorted(refinements), sorted(time_steps)
    if any(r % 2 == 0 for r in refinements) or min(len(refinements), len(time_steps)) < 3:
        raise ConfigError(
            "studies.image_orders needs at least three refinements, all odd, and three "
            f"time_steps; found {refinements} and {time_steps}."
        )
    if any(n % time_steps[0] for n in time_steps):
        raise ConfigError(
            f"studies.image_orders.time_steps are {time_steps}, but all must be multiples of the "
            "smallest."
        )
    shape = log_density.shape[1:]
    problem = problem_from_config(equation, *shape)
    if problem.drift is not None:
        raise ConfigError("studies.image_orders needs equation.drift.kind zero.")
    times = evenly_spaced_steps(time_steps[0], 10) * problem.final_time / time_steps[0]
    taus = [problem.diffusion.tau(t) for t in times]
    rows = []
    for boundary, pixel in GRIDS:
        for image, field in enumerate(log_density):
            scores = [grid_scores(problem, field, taus, r, boundary, pixel) for r in refinements]
            for quantity in scores[0]:
                rows += _changes(
                    [s[quantity] for s in scores],
                    refinements,
                    {"boundary": boundary, "pixel": pixel, "varied": "h", "quantity": quantity},
                    image,
                )
    tight = march_options({"tolerance": 1e-10, "picard_tolerance": 1e-9, "max_picard": 50})
    for boundary in ("zero_padding", "reflecting"):
        scores = []
        for n in time_steps:
            marched = problem_from_config(
                {**equation, "time_steps": n, "boundary": boundary}, *shape
            )
            stored = np.round(times / marched.time_step).astype(int)
            found = march(marched, log_density, make_solver(method), tight, stored_steps=stored)
            scores.append(found.score(problem.spacing))
        kind = {"boundary": boundary, "pixel": "node", "varied": "dt", "quantity": "score"}
        for image in range(len(log_density)):
            rows += _changes([s[image] for s in scores], time_steps, kind, image)
    return pd.DataFrame(rows)


def _changes(scores, settings, kind, image) -> list[dict]:
    """Return the rows of one image; ``scores`` has an array (T, 2, H, W) per setting."""
    rows = []
    for region, mask in regions(scores[0].shape[-2:]).items():
        changes = [np.linalg.norm((coarse - fine)[..., mask]) for coarse, fine in pairwise(scores)]
        for k, change in enumerate(changes):
            whole = np.linalg.norm(scores[k] - scores[k + 1])
            order = np.nan
            if k + 1 < len(changes):
                order = np.log(change / changes[k + 1]) / np.log(settings[k + 1] / settings[k])
            rows.append(
                {
                    **kind,
                    "region": region,
                    "setting": settings[k],
                    "image": image,
                    "change": change / np.linalg.norm(scores[k + 1][..., mask]),
                    "share": (change / whole) ** 2,
                    "order": order,
                }
            )
    return rows


def observed_orders(table: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the mean order over images with Student's interval, by everything but the image."""
    rows = []
    keys = ["boundary", "pixel", "varied", "quantity", "region", "setting"]
    for values, group in table.groupby(keys, sort=False):
        order = group.order.dropna()
        if order.empty:
            continue
        reach = np.nan
        if len(order) > 1:
            reach = stats.t.ppf(0.5 + level / 2, len(order) - 1) * stats.sem(order)
        rows.append(
            {
                **dict(zip(keys, values)),
                "order": order.mean(),
                "low": order.mean() - reach,
                "high": order.mean() + reach,
                "change_mean": group.change.mean(),
                "share_mean": group.share.mean(),
                "n_images": len(order),
            }
        )
    return pd.DataFrame(rows)


def first_residual(equation: Mapping, log_density: np.ndarray) -> pd.DataFrame:
    """Return the border's share of the first step's squared residual, a row per boundary."""
    rows = []
    for boundary in ("zero_padding", "reflecting"):
        problem = problem_from_config({**equation, "boundary": boundary}, *log_density.shape[1:])
        matrix, rhs = assemble_systems(problem, 1, log_density, log_density)
        squared = (rhs - matrix.apply(log_density)) ** 2
        border = regions(squared.shape[-2:])["border"]
        share = squared[:, border].sum(axis=-1) / squared.sum(axis=(-2, -1))
        size = np.sqrt(squared.sum(axis=(-2, -1))) / np.linalg.norm(rhs, axis=(-2, -1))
        rows.append(
            {
                "boundary": boundary,
                "border_share_mean": share.mean(),
                "border_share_min": share.min(),
                "relative_residual_mean": size.mean(),
                "border_pixels": border.mean(),
                "n_images": len(log_density),
            }
        )
    return pd.DataFrame(rows)


@register(
    "image_orders",
    needs=["log_density", "equation"],
    solvers=["transform_bicgstab"],
    tables={
        "image_orders": "Change of the score on images from one grid or time step to the next "
        "finer one.",
        "image_orders_observed": "Observed orders of convergence on images in h and dt, mean and "
        "95 % interval over images, border and interior apart.",
        "first_residual": "Share of the first time step's squared residual that lies on the "
        "outermost pixels.",
    },
    figures={
        "image_orders": {
            "table": "image_orders_observed",
            "caption": "Observed orders of convergence of the score on images, from successive "
            "differences of the two finest pairs: of the semi-discrete exact solution in h, with "
            "pixels as nodes (the boundary moves with the grid) or as cells (it stays), and of "
            "the implicit scheme in Δt. Border: the outermost pixels. Bars: 95 % over images.",
        }
    },
)
def study_image_orders(data, n_images, refinements, time_steps):
    """Measure the orders of convergence in h and in dt on images."""
    log_density = data.log_density[:n_images]
    table = image_orders(
        data.equation, log_density, refinements, time_steps, method="transform_bicgstab"
    )
    return {
        "image_orders": table,
        "image_orders_observed": observed_orders(table),
        "first_residual": first_residual(data.equation, data.log_density),
    }
