"""Linear solvers, one file per family, behind one small protocol and a registry of names."""

from crosskrylov.solvers.base import (
    FAMILIES,
    LinearSolver,
    LinearSystems,
    Solution,
    available_solvers,
    check_finite,
    make_solver,
    norms,
    register,
    relative_residuals,
)

__all__ = [
    "FAMILIES",
    "LinearSolver",
    "LinearSystems",
    "Solution",
    "available_solvers",
    "check_finite",
    "make_solver",
    "norms",
    "register",
    "relative_residuals",
]
