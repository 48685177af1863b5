"""Scores for any number of images on one machine: exact, batched and density-form engines.

from crosskrylov import precompute_scores
scores = precompute_scores("photographs/", "scores/", size=64)
scores[7]  # float16 [10, 2, 64, 64]
"""

from crosskrylov.engine.batched import BatchedMarch, BlockResult
from crosskrylov.engine.density_form import DensityForm
from crosskrylov.engine.exact import ExactTransform
from crosskrylov.engine.options import EngineOptions
from crosskrylov.engine.store import ScoreStore
from crosskrylov.engine.stream import precompute_scores

__all__ = [
    "BatchedMarch",
    "BlockResult",
    "DensityForm",
    "EngineOptions",
    "ExactTransform",
    "ScoreStore",
    "precompute_scores",
]
