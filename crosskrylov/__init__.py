"""Score pre-computation for diffusion models by cross-matrix Krylov projection."""

from importlib import import_module

__version__ = "0.1.0"

#: What the package offers by itself, and the room it comes from (imported at first use).
_OFFERED = {"precompute_scores": "crosskrylov.engine", "ScoreStore": "crosskrylov.engine"}


def __getattr__(name: str):
    """Import `precompute_scores` and `ScoreStore` when they are asked for."""
    if name in _OFFERED:
        return getattr(import_module(_OFFERED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
