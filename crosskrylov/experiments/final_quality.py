"""Many samples of a trained model under its best sampler, beside the floor of real images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from crosskrylov.errors import DataError
from crosskrylov.experiments.quality import measure_samples
from crosskrylov.learning.sampling.generate import Samples
from crosskrylov.learning.sampling.registry import sampler_choice
from crosskrylov.metrics.distances import frechet_distance, kernel_distance
from crosskrylov.metrics.features import extract_features
from crosskrylov.metrics.neighbours import nearest_training_images

#: The experiment under which the choice of a sampler stands in the table of quality.
SELECTION = "sampler_selection"

#: Draws samples: (sampler, number of samples, stream of random numbers) -> Samples.
Draw = Callable[[Any, int, str], Samples]


class Distances:
    """Every metric of sets of images against the training images and the held-out ones.

    Parameters
    ----------
    training, held_out : ndarray, shape (N, C, H, W)
        In [0, 1].
    features : sequence of str
        Keys of `crosskrylov.metrics.features.FEATURES`.
    """

    def __init__(self, training: np.ndarray, held_out: np.ndarray, features: Sequence[str]):
        self._features = tuple(features)
        self.images = {"training": training, "held_out": held_out}
        self._vectors = {name: self.vectors(images) for name, images in self.images.items()}

    def vectors(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the features of images, by name."""
        return {name: extract_features(name, images) for name in self._features}

    def of(
        self, images: np.ndarray, sizes: Iterable[int], references: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return an entry per reference, metric and number of images.

        Parameters
        ----------
        images : ndarray, shape (N, C, H, W)
            In [0, 1].
        sizes : iterable of int
            Numbers n of images to judge, the first n of them; a Fréchet distance needs more than
            it has features, and is left out below.
        references : sequence of {"training", "held_out"}
            What is compared with; against the training images the nearest neighbours, too.

        Returns
        -------
        list of dict
            n_samples, reference, metric, value.
        """
        vectors = self.vectors(images)
        entries = []
        for reference in references:
            nearest = None
            if reference == "training":
                nearest = nearest_training_images(images, self.images["training"])
            for n in sorted(set(sizes)):
                values = {}
                for name, found in vectors.items():
                    against = self._vectors[reference][name]
                    if min(n, len(against)) > found.shape[1]:
                        values[f"frechet_{name}"] = frechet_distance(found[:n], against)
                    values[f"kernel_{name}"] = kernel_distance(found[:n], against)
                if nearest is not None:
                    values["nearest_rms"] = float(np.median(nearest.distance[:n]))
                    values["nearest_ratio"] = values["nearest_rms"] / nearest.data_distance
                entries += [
                    {"n_samples": n, "reference": reference, "metric": metric, "value": value}
                    for metric, value in values.items()
                ]
        return entries


def judged_sizes(options: Mapping, n_images: int, distances: Distances) -> list[int]:
    """Return the numbers of images at which a set of ``n_images`` is judged.

    Those of the configuration, all of them, and as many as there are training images and held-out
    ones, where the set has so many: there it stands beside the floor of real images.
    """
    floors = [len(images) for images in distances.images.values()]
    wanted = {*options["sizes"], options["n_samples"], *floors, n_images}
    return sorted(n for n in wanted if n <= n_images)


def choose_sampler(
    draw: Draw, options: Mapping, images: np.ndarray
) -> tuple[Any, list[dict[str, Any]]]:
    """Return the sampler of least Fréchet distance to the training images, and what was measured.

    Parameters
    ----------
    draw : callable
        Draws samples; see `Draw`. The choice has random numbers of its own.
    options : mapping
        ``training.quality``: samplers, selection_samples and features, of which the first decides.
    images : ndarray, shape (N, C, H, W)
        Training images in [0, 1]; the held-out ones take no part in the choice.
    """
    metric = f"frechet_{options['features'][0]}"
    reference = extract_features(options["features"][0], images)
    entries, best = [], None
    for sampler in options["samplers"]:
        drawn = draw(sampler, options["selection_samples"], "selection")
        found = extract_features(options["features"][0], drawn.images.numpy())
        value = frechet_distance(found, reference)
        entries.append(
            {
                "experiment": SELECTION,
                "sampler": sampler_choice(sampler).label,
                "function_evaluations": drawn.function_evaluations,
                "n_samples": len(drawn.images),
                "reference": "training",
                "metric": metric,
                "value": value,
            }
        )
        if best is None or value < best[0]:
            best = value, sampler
    return best[1], entries


def judge_model(
    draw: Draw,
    options: Mapping,
    images: np.ndarray,
    held_out: np.ndarray,
    metrics: Mapping,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Return the choice of the sampler and every final metric under it, as entries of the table.

    Parameters
    ----------
    draw : callable
        Draws samples; see `Draw`.
    options : mapping
        ``training.quality``.
    images, held_out : ndarray, shape (N, C, H, W)
        In [0, 1].
    metrics : mapping
        Config section, for the metrics on Inception's features, if its weights are named.
    device : str
        Where Inception is computed.
    """
    sampler, entries = choose_sampler(draw, options, images)
    drawn = draw(sampler, options["n_samples"], "sampling")
    samples = drawn.images.numpy()
    distances = Distances(images, held_out, options["features"])
    shared = {
        "sampler": sampler_choice(sampler).label,
        "function_evaluations": drawn.function_evaluations,
    }
    sizes = judged_sizes(options, len(samples), distances)
    found = distances.of(samples, sizes, ("held_out", "training"))
    if metrics["inception"]["weights"]:
        values = measure_samples(samples, held_out, options["features"][0], metrics, device)
        found += [
            {"n_samples": len(samples), "reference": "held_out", "metric": name, "value": value}
            for name, value in values.items()
            if name not in {entry["metric"] for entry in found}
        ]
    return entries + [shared | entry for entry in found]


def judge_real(options: Mapping, images: np.ndarray, held_out: np.ndarray) -> list[dict[str, Any]]:
    """Return the floor: real images in the place of samples.

    Against the held-out images these are the training images, against the training images the
    held-out ones, each at as many of `judged_sizes` as there are images.

    Raises
    ------
    DataError
        If too few images are held out for a Fréchet distance.
    """
    distances = Distances(images, held_out, options["features"])
    entries = []
    for reference, real in (("held_out", images), ("training", held_out)):
        entries += distances.of(real, judged_sizes(options, len(real), distances), (reference,))
    measured = {(entry["reference"], entry["metric"]) for entry in entries}
    for name in options["features"]:
        if ("held_out", f"frechet_{name}") not in measured:
            raise DataError(
                f"{len(images)} training and {len(held_out)} held-out images are too few for the "
                f"Fréchet distance on {name}: lower image_sets.*.n_images, choose a set with "
                "more, or remove the features from training.quality.features."
            )
    shared = {"sampler": None, "function_evaluations": None}
    return [shared | entry for entry in entries]
