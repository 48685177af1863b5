"""Residuals of seeds and targets along a whole march: start, after projection, after refinement."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from crosskrylov.equation.problem import problem_from_config
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.solvers.base import LinearSystems
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.kernels.subspace import arnoldi, galerkin_project
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.common import quantiles
from crosskrylov.studies.register import register


def projection_residuals(
    equation: Mapping,
    log_density: np.ndarray,
    seeds: SeedAssignment,
    dimension: int,
    march_section: Mapping | None = None,
    method: str = "transform_bicgstab",
) -> pd.DataFrame:
    """Project the first system of every time step and image onto its seed's Krylov space.

    Parameters
    ----------
    equation, march_section : mapping
        Config sections.
    log_density : ndarray, shape (N, H, W)
        Initial log-densities in nats.
    seeds : SeedAssignment
    dimension : int
        Subspace dimension m.
    method : str
        Solver of the march; it yields the refined residuals.

    Returns
    -------
    DataFrame
        A row per step, role (seed | target) and stage (start | projected | refined): median,
        quartiles and maximum of the true relative residuals.
    """
    problem = problem_from_config(equation, *log_density.shape[1:])
    is_seed = np.isin(np.arange(len(log_density)), seeds.seeds)
    rows = []

    def observe(systems: LinearSystems, x: np.ndarray) -> None:
        if systems.picard != 1:
            return
        stages = {
            "start": relative_residuals(systems.matrix, systems.rhs, systems.start),
            "projected": _projected(systems, seeds, dimension),
            "refined": relative_residuals(systems.matrix, systems.rhs, x),
        }
        for stage, residuals in stages.items():
            for role, chosen in (("seed", is_seed), ("target", ~is_seed)):
                if chosen.any():
                    rows.append(
                        {
                            "step": systems.step,
                            "role": role,
                            "stage": stage,
                            "dimension": dimension,
                            "n_images": int(chosen.sum()),
                            **quantiles(residuals[chosen], "residual"),
                        }
                    )

    march(
        problem,
        log_density,
        make_solver(method),
        march_options(march_section),
        seeds=seeds,
        stored_steps=[problem.time_steps],
        observe=observe,
    )
    return pd.DataFrame(rows)


def _projected(systems: LinearSystems, seeds: SeedAssignment, dimension: int) -> np.ndarray:
    """Return the residuals of all images after Galerkin projection on their seeds' spaces."""
    matrix = systems.matrix.take(seeds.seeds)
    start = systems.start[seeds.seeds]
    bases = arnoldi(matrix.apply, systems.rhs[seeds.seeds] - matrix.apply(start), dimension)
    residuals = np.empty(len(systems))
    for position in range(len(seeds.seeds)):
        members = np.flatnonzero(seeds.assigned == position)
        result = galerkin_project(
            systems.matrix.take(members),
            systems.rhs[members],
            systems.start[members],
            bases.basis(position),
        )
        residuals[members] = result.relative_residuals
    return residuals


@register(
    "projection_residuals",
    needs=["log_density", "seeds", "equation", "march"],
    solvers=["transform_bicgstab"],
    tables={"projection_residuals": "Residuals of seeds and targets along a march."},
    figures={
        "projection_residuals": {
            "table": "projection_residuals",
            "caption": "True relative residuals of the first system of every time step: the "
            "previous step as start, after Galerkin projection onto the Krylov space of the "
            "image's seed, and after refinement. Lines are medians over images, bands the "
            "quartiles.",
        }
    },
)
def study_projection_residuals(data, dimension):
    """Follow the residuals of seeds and targets along a march: start, projected, refined."""
    table = projection_residuals(data.equation, data.log_density, data.seeds, dimension, data.march)
    return {"projection_residuals": table}
