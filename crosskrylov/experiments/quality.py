"""How good samples and scores of a trained model are: every metric of the table of quality."""

from collections.abc import Mapping

import numpy as np
import torch

from crosskrylov.experiments.budget import model_levels
from crosskrylov.metrics.distances import frechet_distance, kernel_distance
from crosskrylov.metrics.features import extract_features
from crosskrylov.metrics.inception import InceptionFeatures
from crosskrylov.metrics.neighbours import nearest_training_images
from crosskrylov.metrics.score_error import score_matching_error


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
        means copies), and fid, kid where asked for.

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
        values["fid"] = frechet_distance(found, reference, minimum)
        values["kid"] = kernel_distance(found, reference)
    return values


def measure_score_error(
    network: torch.nn.Module, model: str, images: np.ndarray, training: Mapping, metrics: Mapping
) -> dict[float, float]:
    """Return the score-matching error by noise level; see `score_matching_error`."""
    options = metrics["score_error"]
    return score_matching_error(
        network,
        torch.as_tensor(images) * 2 - 1,
        model_levels(model, training),
        n_levels=options["levels"],
        n_draws=options["draws"],
    )
