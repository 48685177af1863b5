"""Score pre-computation for diffusion models by cross-matrix Krylov projection."""

from importlib import import_module

__version__ = "0.1.0"

#: The public names, and the room that each comes from.  Imported at first use, so that a name that
#: needs torch costs nobody else the time of importing it.
_OFFERED = {
    "ExactScores": "scores.on_the_fly",
    "ScoreCollate": "scores.on_the_fly",
    "ScoreStore": "scores.store",
    "exact_log_density": "equation.exact",
    "initial_log_density": "equation.density",
    "load_images": "datasets.loading",
    "make_solver": "solvers.registry",
    "march": "scores.march",
    "precompute_scores": "scores.stream",
    "problem_from_config": "equation.problem",
    "score": "equation.stencil",
    "select_seeds": "scores.seeds",
    "solve_many": "solvers.many",
}

__all__ = ["__version__", *_OFFERED]


def __getattr__(name: str):
    """Import a public name when it is asked for."""
    if name in _OFFERED:
        return getattr(import_module(f"crosskrylov.{_OFFERED[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_OFFERED})
