"""Image similarity, distances between image distributions, memorisation and score error."""

from crosskrylov.metrics.distances import frechet_distance, kernel_distance
from crosskrylov.metrics.features import FEATURES, extract_features
from crosskrylov.metrics.inception import InceptionFeatures
from crosskrylov.metrics.neighbours import nearest_training_images
from crosskrylov.metrics.score_error import score_matching_error
from crosskrylov.metrics.similarity import compare_images, mse, psnr_db, ssim, ssim_global

__all__ = [
    "FEATURES",
    "InceptionFeatures",
    "compare_images",
    "extract_features",
    "frechet_distance",
    "kernel_distance",
    "mse",
    "nearest_training_images",
    "psnr_db",
    "score_matching_error",
    "ssim",
    "ssim_global",
]
