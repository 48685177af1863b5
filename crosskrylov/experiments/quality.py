"""How good samples and scores of a trained model are: every metric of the table of quality."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from crosskrylov.experiments.budget import model_levels
from crosskrylov.metrics.distances import frechet_distance, kernel_distance
from crosskrylov.metrics.features import extract_features
from crosskrylov.metrics.inception import InceptionFeatures, metric_names
from crosskrylov.metrics.neighbours import nearest_training_images
from crosskrylov.metrics.score_error import ERRORS, score_matching_error, sigma_grid


def measure_samples(
    samples: np.ndarray,
    images: np.ndarray,
    features: str,
    metrics: Mapping,
    device: str = "cpu",
) -> dict[str, float]:
    """Return every metric of a set of samples against the training images.

    Parameters
    ----------
    samples, images : ndarray, shape (N, C, H, W) and (M, C, H, W)
        In [0, 1].
    features : str
        Features of the Fréchet distance that needs no download.
    metrics : mapping
        Config section; Inception metrics only where ``inception.weights`` names a file.
    device : str
        Where Inception is computed.

    Returns
    -------
    dict
        frechet_<features>, kernel_<features>, nearest_rms (median RMS difference to the nearest
        training image), nearest_ratio (that over the same between training images; far below 1
        means copies), and where asked for fid, kid; of other weights than the published ones
        frechet_inception_<digest>, kernel_inception_<digest>.

    Raises
    ------
    DataError
        If there are fewer samples than a metric needs, or the weights are missing or wrong.
    """
    found, reference = extract_features(features, samples), extract_features(features, images)
    neighbours = nearest_training_images(samples, images)
    nearest = float(np.median(neighbours.distance))
    values = {
        f"frechet_{features}": frechet_distance(found, reference),
        f"kernel_{features}": kernel_distance(found, reference),
        "nearest_rms": nearest,
        "nearest_ratio": nearest / neighbours.data_distance,
    }
    inception = metrics["inception"]
    if inception["weights"]:
        extract = InceptionFeatures(
            inception["weights"],
            download=inception["download"],
            sha256=inception["sha256"],
            device=device,
        )
        found, reference = extract(samples), extract(images)
        minimum = metrics["fid_minimum_images"]
        frechet, kernel = metric_names(inception["sha256"])
        values[frechet] = frechet_distance(found, reference, minimum)
        values[kernel] = kernel_distance(found, reference)
    return values


def measure_score_error(
    network: torch.nn.Module,
    model: str,
    images: np.ndarray,
    training: Mapping,
    metrics: Mapping,
    embedded: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the error of a network's score on the grid of noise levels that all models share.

    Parameters
    ----------
    network : Module
        Trained network.
    model : str
        Its model, which declares the noise schedule.
    images : ndarray, shape (N, C, H, W)
        Training images in [0, 1]; their noised mixture has the exact score.
    training, metrics : mapping
        Config sections; ``metrics.score_error`` has the grid.
    embedded : ndarray, shape (N, S, C, H, W), optional
        Embedded images in [0, 1], of a model that was trained on these.

    Returns
    -------
    dict
        ``errors``, see `score_matching_error`; ``n_draws``, noised images per level; and
        ``trained_sigma``, the first and the last noise of the model's schedule.
    """
    options = metrics["score_error"]
    levels = model_levels(model, training)
    errors = score_matching_error(
        network,
        torch.as_tensor(images) * 2 - 1,
        levels,
        sigma_grid(options["sigma_min"], options["sigma_max"], options["levels"]),
        n_draws=options["draws"],
        embedded=None if embedded is None else torch.as_tensor(embedded) * 2 - 1,
    )
    return {
        "errors": errors,
        "n_draws": options["draws"],
        "trained_sigma": [float(sigma) for sigma in levels.sigmas[[0, -1]]],
    }


def mean_score_errors(errors: Iterable[Mapping[str, float | None]]) -> dict[str, float]:
    """Return the means of `score_matching_error` over the grid, by what they are means of.

    There are none for a schedule that lacks a level of the grid: means over different levels
    could not be compared.
    """
    errors = list(errors)
    if any(row["error"] is None for row in errors):
        return {}
    return {
        f"score_{key}_mean_over_sigma": float(np.mean([row[key] for row in errors]))
        for key in ERRORS
    }
