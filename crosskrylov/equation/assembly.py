"""Assembly of the linear systems of one time step and nonlinear iteration (Eqs. 3, 4 and 7)."""

from typing import Any, Literal

from array_api_compat import array_namespace, device

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.stencil import (
    FivePointStencil,
    coefficient_gradient,
    five_point_stencil,
    ghost_gradient,
)

Array = Any
Linearisation = Literal["picard", "newton"]
#: The published one.
LINEARISATION: Linearisation = "picard"


def assemble_systems(
    problem: FokkerPlanckProblem,
    step: int,
    previous: Array,
    iterate: Array,
    linearisation: Linearisation = LINEARISATION,
) -> tuple[FivePointStencil, Array]:
    """Return the matrices and right-hand sides of one time step and iteration (Eqs. 3, 4, 7).

    Parameters
    ----------
    problem : FokkerPlanckProblem
    step : int
        Time step n, from 1.
    previous, iterate : arrays, shape (B, H, W)
        Log-density m^(n-1) of the previous step and the nonlinear iterate m~.
    linearisation : {"picard", "newton"}

    Returns
    -------
    matrix : FivePointStencil
        Coefficients of shape (B, H, W).
    rhs : array, shape (B, H, W)
    """
    half_g2, h = problem.half_g2(step), problem.spacing
    g_row, g_col = coefficient_gradient(iterate, h, problem.boundary, problem.border_gradient)
    v_row, v_col = -half_g2 * g_row, -half_g2 * g_col
    rhs = previous / problem.time_step
    drift = problem.drift_field(step)
    if drift is not None:
        xp = array_namespace(previous)
        f_row, f_col, divergence = (
            xp.asarray(a, dtype=previous.dtype, device=device(previous)) for a in drift
        )
        v_row, v_col = v_row + f_row, v_col + f_col
        rhs = rhs - divergence
    matrix = five_point_stencil(1.0 / problem.time_step, v_row, v_col, half_g2, h, problem.boundary)
    if linearisation == "newton":
        # d(G1 m . G0 m) = G1 m~ . G0 d + G0 m~ . G1 d: the second half goes into the matrix, and
        # what both halves count twice at d = m~ goes to the right-hand side.
        a_row, a_col = ghost_gradient(iterate, h, problem.boundary)
        _add_advection(matrix, -half_g2 * a_row, -half_g2 * a_col, h, problem)
        rhs = rhs - half_g2 * (g_row * a_row + g_col * a_col)
    return matrix, rhs


def _add_advection(matrix, v_row, v_col, h, problem) -> None:
    """Add ``v . gradient`` to the stencil in place, with the gradient of the coefficients."""
    half = 0.5 / h
    reflecting = problem.boundary == "reflecting"
    for v, axis, lower, upper in (
        (v_row, -2, matrix.north, matrix.south),
        (v_col, -1, matrix.west, matrix.east),
    ):
        first, last, start, stop = (
            (..., part, slice(None)) if axis == -2 else (..., part)
            for part in (slice(0, 1), slice(-1, None), slice(None, -1), slice(1, None))
        )
        lower[stop] -= half * v[stop]
        upper[start] += half * v[start]
        if problem.border_gradient == "one_sided":
            # (x1 - x0) / h at the first node, (x_end - x_end-1) / h at the last
            upper[first] += half * v[first]
            matrix.center[first] -= 2 * half * v[first]
            lower[last] -= half * v[last]
            matrix.center[last] += 2 * half * v[last]
        elif reflecting:
            matrix.center[first] -= half * v[first]
            matrix.center[last] += half * v[last]
