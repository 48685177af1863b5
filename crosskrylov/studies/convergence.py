"""Convergence of the scheme to a closed-form solution: first order in time, second in space.

A uniform background plus Gaussians far from the border,

    p(x, t) = 1 + sum_i a_i s_i^2 / (s_i^2 + 2 tau) exp(-|x - c_i|^2 / (2 (s_i^2 + 2 tau))),

solves p_t = g^2/2 Laplacian p; its logarithm vanishes outside and has no flux there, so that it
satisfies both boundary conditions up to the Gaussians' tails.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import FokkerPlanckProblem, constant_diffusion
from crosskrylov.equation.stencil import score
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import march_options
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.register import register

CENTERS = ((0.45, 0.5), (0.58, 0.46))
AMPLITUDES = (3.0, 1.5)
VARIANCES = (0.07**2, 0.06**2)
FINAL_TIME = 0.02
G = 0.5


def closed_form(n_nodes: int, time: float) -> tuple[np.ndarray, np.ndarray]:
    """Return log-density (H, W) and score (2, H, W) of the closed form on a square grid."""
    nodes = np.linspace(0, 1, n_nodes)
    density = np.ones((n_nodes, n_nodes))
    slope = np.zeros((2, n_nodes, n_nodes))
    tau = 0.5 * G**2 * time
    for (row, col), amplitude, variance in zip(CENTERS, AMPLITUDES, VARIANCES, strict=True):
        spread = variance + 2 * tau
        r, c = nodes[:, None] - row, nodes[None, :] - col
        term = amplitude * variance / spread * np.exp(-(r**2 + c**2) / (2 * spread))
        density += term
        slope -= np.stack(np.broadcast_arrays(r * term, c * term)) / spread
    return np.log(density), slope / density


def convergence(
    time_steps: Sequence[int],
    sizes: Sequence[int],
    *,
    fine_size: int,
    method: str,
    boundaries: Sequence[str] = ("zero_padding", "reflecting"),
) -> pd.DataFrame:
    """Measure the score's relative error at the final time while one step size varies.

    Parameters
    ----------
    time_steps : sequence of int
        Numbers N of time steps, on a grid of ``fine_size`` nodes per side.
    sizes : sequence of int
        Nodes per side; the march then takes N proportional to 1 / h^2, so that the error in time
        falls as fast as the error in space.
    fine_size : int
    method : str
        Linear solver.
    boundaries : sequence of str

    Returns
    -------
    DataFrame
        Columns boundary, varied (time_step | spacing | spacing_exact), n_nodes, time_steps,
        step_size, score_error, order (against the next coarser row of the group).
        "spacing_exact" is the transform solution, without any error in time.
    """
    rows = []
    for boundary in boundaries:
        rows += [
            _row(boundary, "time_step", fine_size, n, FINAL_TIME / n, method) for n in time_steps
        ]
        smallest = min(sizes)
        for size in sizes:
            n = max(round(8 * ((size - 1) / (smallest - 1)) ** 2), 1)
            h = 1 / (size - 1)
            rows.append(_row(boundary, "spacing", size, n, h, method))
            rows.append(_row(boundary, "spacing_exact", size, n, h, None))
    table = pd.DataFrame(rows)
    table["order"] = np.nan
    for _, group in table.groupby(["boundary", "varied"]):
        ordered = group.sort_values("step_size", ascending=False)
        ratio = np.log(ordered.step_size).diff()
        table.loc[ordered.index, "order"] = np.log(ordered.score_error).diff() / ratio
    return table


def _row(boundary, varied, n_nodes, n_steps, step_size, method) -> dict:
    problem = FokkerPlanckProblem(
        n_nodes,
        n_nodes,
        1 / (n_nodes - 1),
        FINAL_TIME,
        n_steps,
        constant_diffusion(G),
        boundary=boundary,
    )
    initial, _ = closed_form(n_nodes, 0.0)
    _, reference = closed_form(n_nodes, FINAL_TIME)
    if method is None:
        log_density = exact_log_density(problem, initial[None], [FINAL_TIME])[0, 0]
    else:
        options = march_options({"tolerance": 1e-10, "picard_tolerance": 1e-9, "max_picard": 30})
        trajectory = march(
            problem, initial[None], make_solver(method), options, stored_steps=[n_steps]
        )
        log_density = trajectory.log_density[0, 0]
    error = np.linalg.norm(score(log_density, problem.spacing) - reference)
    return {
        "boundary": boundary,
        "varied": varied,
        "n_nodes": n_nodes,
        "time_steps": n_steps,
        "step_size": step_size,
        "score_error": error / np.linalg.norm(reference),
    }


@register(
    "convergence",
    solvers=["transform_bicgstab"],
    tables={"convergence": "Convergence of the scheme to a closed-form solution."},
    figures={
        "convergence": {
            "table": "convergence",
            "caption": "Convergence of the score to a smooth closed-form solution that no boundary "
            "touches: first order in time, second order in space, under both boundary conditions. "
            "On images see the study image_orders.",
        }
    },
)
def study_convergence(data, time_steps, sizes, fine_size):
    """Measure the orders of convergence against a closed-form solution."""
    table = convergence(time_steps, sizes, fine_size=fine_size, method="transform_bicgstab")
    return {"convergence": table}
