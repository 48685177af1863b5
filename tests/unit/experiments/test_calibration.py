"""Seconds per step: measured in turns, after a first turn that does not count."""

from pathlib import Path

import numpy as np
import pytest

from crosskrylov.experiments import calibration
from crosskrylov.experiments.calibration import calibrate
from crosskrylov.planning.config import load_config
from crosskrylov.planning.training import calibration_params

PROJECT = Path(__file__).parents[3]
MODELS = ["score_embedding", "dsm", "ddpm"]


class Clock:
    """Steps whose seconds say how many were taken so far, by any model."""

    def __init__(self, name, taken):
        self.name, self.taken = name, taken

    def take(self, number):
        self.taken.append(self.name)
        return 0.0, float(len(self.taken))


@pytest.fixture
def given():
    config = load_config(PROJECT / "config.yaml", PROJECT / "tests" / "config" / "toy.yaml")
    params = calibration_params(config, "toy", 1)
    params["training"]["calibration"] = {"repeats": 6, "steps": 2}
    images = np.random.default_rng(5).random((1, 1, 8, 8), dtype=np.float32)
    times = np.array([0.5, 1.0])
    return images, times, params["unet"], params["training"], 1.0


def clocked(monkeypatch, given, seed=3):
    taken = []
    monkeypatch.setattr(calibration, "_clock", lambda name, *_: Clock(name, taken))
    return calibrate(MODELS, *given, seed), taken


def test_models_take_turns_and_the_first_turn_does_not_count(monkeypatch, given):
    table, taken = clocked(monkeypatch, given)
    turns = taken[::2]
    assert taken == [name for name in turns for _ in range(2)]
    for start in range(0, len(turns), 3):
        assert sorted(turns[start : start + 3]) == sorted(MODELS)
    assert len(turns) == 3 * 7 and len(table) == 3 * 6
    assert list(table["model"]) == turns[3:]
    assert list(table["repeat"]) == [k for k in range(1, 7) for _ in MODELS]
    # a turn's seconds are the mean of its steps
    assert list(table["seconds"]) == [2 * k + 1.5 for k in range(3, 21)]
    assert set(table["steps"]) == {2}


def test_the_order_is_drawn_anew_from_the_seed(monkeypatch, given):
    first, _ = clocked(monkeypatch, given)
    orders = {tuple(turn["model"]) for _, turn in first.groupby("repeat")}
    assert len(orders) > 1
    again, other = (clocked(monkeypatch, given, seed)[0] for seed in (3, 4))
    assert list(again["model"]) == list(first["model"]) != list(other["model"])


def test_real_steps_are_timed_without_scores(given):
    given[3]["calibration"] = {"repeats": 2, "steps": 1}
    table = calibrate(MODELS, *given, seed=3)
    assert sorted(table["model"]) == sorted(MODELS * 2)
    assert (table["seconds"] > 0).all() and (table["threads"] >= 1).all()
