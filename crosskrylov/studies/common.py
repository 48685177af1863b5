"""Small quantities that several studies report."""

import numpy as np


def relative_errors(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return ``||values - reference||_2 / ||reference||_2`` of every image, shape (N,).

    A reference that vanishes (the score of a constant image) counts absolutely.
    """
    difference = np.linalg.norm((values - reference).reshape(len(values), -1), axis=1)
    scale = np.linalg.norm(reference.reshape(len(reference), -1), axis=1)
    return difference / np.where(scale > 0, scale, 1.0)


def quantiles(values: np.ndarray, prefix: str) -> dict[str, float]:
    """Return median, quartiles and extremes as ``{prefix}_median`` etc."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return {
        f"{prefix}_median": float(median),
        f"{prefix}_q25": float(low),
        f"{prefix}_q75": float(high),
        f"{prefix}_max": float(np.max(values)),
    }


def regions(shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return masks (H, W) of the whole image, its outermost pixels and the interior."""
    border = np.ones(shape, dtype=bool)
    border[1:-1, 1:-1] = False
    return {"all": np.ones(shape, dtype=bool), "border": border, "interior": ~border}
