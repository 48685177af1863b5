"""The final judgement: which sampler is chosen by what, the floor, and every distance at its n."""

import numpy as np
import pytest
import torch

from crosskrylov.errors import DataError
from crosskrylov.experiments.final_quality import (
    SELECTION,
    Distances,
    choose_sampler,
    judge_model,
    judge_real,
    judged_sizes,
)
from crosskrylov.learning.sampling.generate import Samples
from crosskrylov.metrics.distances import frechet_distance
from crosskrylov.metrics.features import extract_features

RNG = np.random.default_rng(3)
OPTIONS = {
    "samplers": ["ddpm", "ddim"],
    "function_evaluations": 4,
    "selection_samples": 60,
    "n_samples": 100,
    "sizes": [10, 60],
    "features": ["digit_classifier"],
}
METRICS = {"inception": {"weights": None}}


def images(n, mean=0.5):
    return np.clip(mean + 0.2 * RNG.standard_normal((n, 1, 8, 8)), 0, 1).astype(np.float32)


TRAINING, HELD_OUT = images(70), images(80)


class Draws:
    """Draws good images with one sampler and bright ones with all others, and keeps the calls."""

    def __init__(self, good):
        self.good, self.calls = good, []

    def __call__(self, sampler, n_samples, stream):
        self.calls.append((sampler, n_samples, stream))
        drawn = images(n_samples, 0.5 if sampler == self.good else 0.9)
        return Samples(torch.as_tensor(drawn), 4, 0.1)


@pytest.mark.parametrize("good", ["ddpm", "ddim"])
def test_the_better_sampler_is_chosen_with_random_numbers_of_its_own(good):
    draw = Draws(good)
    entries = judge_model(draw, OPTIONS, TRAINING, HELD_OUT, METRICS)
    assert draw.calls == [
        ("ddpm", 60, "selection"),
        ("ddim", 60, "selection"),
        (good, 100, "sampling"),
    ]
    selection = [entry for entry in entries if entry.get("experiment") == SELECTION]
    assert [entry["sampler"] for entry in selection] == ["ddpm", "ddim"]
    assert min(selection, key=lambda entry: entry["value"])["sampler"] == good
    assert {entry["sampler"] for entry in entries if "experiment" not in entry} == {good}


def test_the_held_out_images_take_no_part_in_the_choice():
    _, entries = choose_sampler(Draws("ddim"), OPTIONS, TRAINING)
    assert {entry["reference"] for entry in entries} == {"training"}


def test_distances_are_given_at_the_numbers_of_real_images():
    entries = judge_model(Draws("ddim"), OPTIONS, TRAINING, HELD_OUT, METRICS)
    final = [entry for entry in entries if "experiment" not in entry]
    frechet = {
        (entry["reference"], entry["n_samples"]): entry["value"]
        for entry in final
        if entry["metric"] == "frechet_digit_classifier"
    }
    # ten are fewer than there are features: no Fréchet distance, but the others
    assert sorted(frechet) == sorted(
        (reference, n) for reference in ("held_out", "training") for n in (60, 70, 80, 100)
    )
    ratios = [entry for entry in final if entry["metric"] == "nearest_ratio"]
    assert {(entry["reference"], entry["n_samples"]) for entry in ratios} == {
        ("training", n) for n in (10, 60, 70, 80, 100)
    }


def test_the_floor_is_the_distance_between_the_real_images():
    entries = judge_real(OPTIONS, TRAINING, HELD_OUT)
    found = {
        (entry["reference"], entry["n_samples"]): entry["value"]
        for entry in entries
        if entry["metric"] == "frechet_digit_classifier"
    }
    assert sorted(found) == [("held_out", 60), ("held_out", 70)] + [
        ("training", n) for n in (60, 70, 80)
    ]
    whole = [extract_features("digit_classifier", images) for images in (TRAINING, HELD_OUT)]
    assert found["held_out", 70] == pytest.approx(frechet_distance(*whole))
    assert found["training", 80] == pytest.approx(found["held_out", 70])  # it is symmetric
    assert all(entry["sampler"] is None for entry in entries)
    # a model finds the floor at its own numbers
    numbers = judged_sizes(OPTIONS, 100, Distances(TRAINING, HELD_OUT, OPTIONS["features"]))
    assert {n for _, n in found} <= set(numbers)


def test_copies_of_training_images_are_seen():
    distances = Distances(TRAINING, HELD_OUT, OPTIONS["features"])
    (copies,) = (
        entry["value"]
        for entry in distances.of(TRAINING[:60], [60], ["training"])
        if entry["metric"] == "nearest_ratio"
    )
    (new,) = (
        entry["value"]
        for entry in distances.of(HELD_OUT[:60], [60], ["training"])
        if entry["metric"] == "nearest_ratio"
    )
    assert copies < 0.01 and new > 0.8


def test_too_few_real_images_are_one_sentence():
    with pytest.raises(DataError, match="70 training and 30 held-out images are too few"):
        judge_real(OPTIONS, TRAINING, HELD_OUT[:30])
