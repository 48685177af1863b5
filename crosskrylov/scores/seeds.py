"""Choose the seed images and assign every image to its nearest seed (Eq. 22).

The distance of a target t to a seed s is the relative 2-norm of the difference of their features,
taken mean-free (a constant shift of a log-density changes no score, hence no matrix)::

    d(s, t) = ||u_s - u_t|| / ||u_t||,   u = feature - mean(feature).

A constant target (u_t = 0) has distance 0 to a constant seed and 1 to every other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crosskrylov.equation.likeness import feature_distances, mean_free
from crosskrylov.errors import ConfigError, DataError, ShapeError

#: Seed images where nobody says how many.
N_SEEDS = 3
SELECTIONS = ("first", "random", "k_medoids", "farthest_point", "greedy_residual")
MAX_K_MEDOIDS_IMAGES = 10_000  # its distance matrix has N^2 entries: 0.8 GB


@dataclass(frozen=True)
class SeedAssignment:
    """Seed images and the seed that serves each image.

    Attributes
    ----------
    seeds : ndarray of int, shape (S,)
        Indices of the seed images, without repetition.
    assigned : ndarray of int, shape (N,)
        Position in ``seeds`` of each image's seed; a seed image is assigned to itself.
    distances : ndarray, shape (N,)
        Distance of each image to its seed, dimensionless (0 for the seeds).
    """

    seeds: np.ndarray
    assigned: np.ndarray
    distances: np.ndarray

    def __post_init__(self):
        seeds, assigned = np.asarray(self.seeds), np.asarray(self.assigned)
        n_seeds, n_images = len(seeds), len(assigned)
        if n_seeds == 0 or len(np.unique(seeds)) != n_seeds:
            raise DataError(
                f"A seed assignment needs distinct seeds, found {seeds.tolist()[:20]}; select the "
                "seeds again."
            )
        if seeds.min() < 0 or seeds.max() >= n_images:
            raise DataError(
                f"Seed indices must lie in 0..{n_images - 1}, found {seeds.tolist()[:20]}; select "
                "the seeds again for this image set."
            )
        if assigned.min() < 0 or assigned.max() >= n_seeds:
            raise DataError(
                f"Assigned positions must lie in 0..{n_seeds - 1}, found up to {assigned.max()}; "
                "select the seeds again."
            )
        if len(self.distances) != n_images:
            raise ShapeError(
                f"A seed assignment of {n_images} images has {len(self.distances)} distances; "
                "select the seeds again."
            )

    def as_dict(self) -> dict:
        """Return plain lists, as the file seeds.json holds them."""
        return {
            "seeds": np.asarray(self.seeds).tolist(),
            "assigned": np.asarray(self.assigned).tolist(),
            "distances": np.asarray(self.distances).tolist(),
        }

    @classmethod
    def from_dict(cls, entry: Mapping) -> "SeedAssignment":
        """Return the assignment that `as_dict` wrote."""
        try:
            return cls(
                np.asarray(entry["seeds"], dtype=int),
                np.asarray(entry["assigned"], dtype=int),
                np.asarray(entry["distances"], dtype=np.float64),
            )
        except KeyError as error:
            raise DataError(
                f"A seed assignment lacks the key {error}; select the seeds again."
            ) from error


def select_seeds(
    features: np.ndarray, n_seeds: int, selection: str = "k_medoids", seed: int = 0
) -> SeedAssignment:
    """Choose seed images and assign every image to the nearest one.

    Parameters
    ----------
    features : ndarray, shape (N, ...)
        One array per image: its initial log-density (default of the workflow) or its pixels.
    n_seeds : int
        Number S of seeds; less than N, except that a single image is its own seed.
    selection : {"first", "random", "k_medoids", "farthest_point", "greedy_residual"}
        "first" the first S images; "random" S images drawn without replacement; "k_medoids" the
        images that minimise the sum of distances to the nearest one (build and swap, O(S N^2) per
        sweep); "farthest_point" starts at the image nearest to the mean and adds the one farthest
        from all seeds (O(S N)); "greedy_residual" adds the image whose feature has the largest
        residual after orthogonal projection on the span of the seeds' features (O(S N)), the
        greedy choice of reduced-basis methods.
    seed : int
        Seed of the draw of "random"; the others are deterministic.

    Returns
    -------
    SeedAssignment

    Raises
    ------
    ConfigError
        If the selection is unknown or ``n_seeds`` does not fit the number of images.
    DataError
        If a feature is not finite.
    """
    rows = mean_free(features)
    n_images = len(rows)
    if selection not in SELECTIONS:
        raise ConfigError(f"seeds.selection is {selection!r}; allowed are {', '.join(SELECTIONS)}.")
    if n_seeds < 1 or n_seeds >= max(n_images, 2):
        allowed = "exactly 1" if n_images == 1 else f"between 1 and {n_images - 1}"
        raise ConfigError(
            f"seeds.n_seeds is {n_seeds}, but for {n_images} image(s) it must be {allowed}, so "
            "that a target is left; lower it or use more images."
        )
    if selection == "first":
        seeds = np.arange(n_seeds)
    elif selection == "random":
        draw = np.random.default_rng(seed).choice(n_images, size=n_seeds, replace=False)
        seeds = np.sort(draw)
    elif selection == "k_medoids":
        seeds = _k_medoids(rows, n_seeds)
    elif selection == "farthest_point":
        seeds = _farthest_point(rows, n_seeds)
    else:
        seeds = _greedy_residual(rows, n_seeds)
    return assign(rows, seeds)


def assign(rows: np.ndarray, seeds: np.ndarray) -> SeedAssignment:
    """Assign every image to the nearest of the given seeds (Eq. 22); ``rows`` from `mean_free`."""
    distances = feature_distances(rows, rows[seeds])
    assigned = distances.argmin(axis=1)
    assigned[seeds] = np.arange(len(seeds))
    nearest = distances[np.arange(len(rows)), assigned]
    nearest[seeds] = 0.0
    return SeedAssignment(np.asarray(seeds), assigned, nearest)


def _k_medoids(rows: np.ndarray, n_seeds: int) -> np.ndarray:
    """Partitioning around medoids: greedy build, then the best swaps until none lowers the cost."""
    n_images = len(rows)
    if n_images > MAX_K_MEDOIDS_IMAGES:
        raise ConfigError(
            f"seeds.selection 'k_medoids' compares all pairs of images, {n_images} are too many "
            f"(at most {MAX_K_MEDOIDS_IMAGES}); use 'farthest_point' or 'random'."
        )
    distance = feature_distances(rows, rows).T  # [medoid, image]
    np.fill_diagonal(distance, 0.0)
    medoids: list[int] = []
    nearest = np.full(n_images, np.inf)
    for _ in range(n_seeds):
        cost = np.minimum(distance, nearest).sum(axis=1)
        cost[medoids] = np.inf
        medoids.append(int(cost.argmin()))
        nearest = np.minimum(nearest, distance[medoids[-1]])
    best = nearest.sum()
    improved = True
    while improved:
        improved = False
        for slot in range(n_seeds):
            others = [m for i, m in enumerate(medoids) if i != slot]
            without = distance[others].min(axis=0) if others else np.full(n_images, np.inf)
            cost = np.minimum(distance, without).sum(axis=1)
            cost[others] = np.inf
            candidate = int(cost.argmin())
            # the margin keeps rounding from swapping equal medoids for ever
            if cost[candidate] < best * (1.0 - 1e-12):
                medoids[slot], best, improved = candidate, cost[candidate], True
    return np.sort(np.array(medoids))


def _farthest_point(rows: np.ndarray, n_seeds: int) -> np.ndarray:
    seeds = [int(feature_distances(rows, rows.mean(axis=0, keepdims=True))[:, 0].argmin())]
    nearest = feature_distances(rows, rows[seeds])[:, 0]
    while len(seeds) < n_seeds:
        nearest[seeds] = -1.0
        seeds.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, feature_distances(rows, rows[seeds[-1:]])[:, 0])
    return np.array(seeds)


def _greedy_residual(rows: np.ndarray, n_seeds: int) -> np.ndarray:
    residual = rows.copy()
    seeds: list[int] = []
    for _ in range(n_seeds):
        size = np.linalg.norm(residual, axis=1)
        size[seeds] = -1.0
        seeds.append(int(size.argmax()))
        if size[seeds[-1]] > 0.0:
            direction = residual[seeds[-1]] / size[seeds[-1]]
            for _ in range(2):  # twice is enough to stay orthogonal
                residual -= np.outer(residual @ direction, direction)
    return np.array(seeds)
