"""The cost model: what it recovers, and what it says of sets and parts."""

import math

import numpy as np
import pandas as pd
import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.studies.scaling import extrapolated, fitted, measured_costs, streamed_memory

PART = {"start_seconds": 60.0, "deaths_per_hour": 0.01}


def made_up(per_image=1e-3, per_pixel_step=1e-7, start=0.5):
    """Costs that follow the model exactly."""
    rows = [
        {"engine": "exact", "size": size, "n_images": n, "stored_steps": steps}
        for size in (16, 32, 64)
        for n in (10, 100)
        for steps in (5, 10)
    ]
    table = pd.DataFrame(rows)
    work = table.n_images * table["size"] ** 2 * table.stored_steps
    table["seconds"] = start + per_image * table.n_images + per_pixel_step * work
    table["bytes"] = 700 + 4 * work
    return table


def test_the_fit_recovers_a_cost_that_follows_the_model():
    costs, model = fitted(made_up())
    assert costs.residual.abs().max() < 1e-9
    (row,) = model.itertuples()
    assert row.seconds_per_run == pytest.approx(0.5)
    assert row.seconds_per_image == pytest.approx(1e-3)
    assert row.seconds_per_pixel_step == pytest.approx(1e-7)
    assert row.bytes_per_pixel_step == pytest.approx(4)
    assert row.bytes_per_run == pytest.approx(700)


def test_residuals_tell_what_the_model_cannot_say():
    costs = made_up()
    costs.loc[0, "seconds"] *= 3
    found, model = fitted(costs)
    assert model.residual_largest[0] == found.residual.abs().max() > 0.3


def test_a_set_costs_what_its_images_cost_and_a_part_is_as_long_as_deaths_allow():
    model = fitted(made_up())[1]
    sets = [
        {"name": "few", "size": 32, "n_images": 3},
        {"name": "many", "size": 32, "n_images": 10**9},
    ]
    few, many = extrapolated(model, sets, stored_steps=10, part=PART).itertuples()
    per_image = 1e-3 + 1e-7 * 32**2 * 10
    assert few.core_hours == pytest.approx(3 * per_image / 3600)
    assert (few.jobs, few.images_per_part) == (1, 3)
    assert many.bytes == pytest.approx(1e9 * 4 * 32**2 * 10)
    assert math.isnan(many.gpu_hours)
    # neither half nor twice as many images a part costs less
    rate, n = PART["deaths_per_hour"] / 3600, 10**9

    def cost(images):
        seconds = images * per_image
        return n / images * (PART["start_seconds"] + seconds * (1 + rate * seconds / 2))

    best = cost(many.images_per_part)
    assert many.core_hours_with_jobs == pytest.approx(best / 3600, rel=1e-3)
    assert best < min(cost(many.images_per_part / 2), cost(many.images_per_part * 2))


def test_runs_that_show_no_cost_per_image_say_nothing_about_a_set():
    model = fitted(made_up(start=1.0, per_image=0.0, per_pixel_step=0.0))[1]
    sets = [{"name": "some", "size": 32, "n_images": 100}]
    (row,) = extrapolated(model, sets, stored_steps=10, part=PART).itertuples()
    for value in (row.core_hours, row.core_hours_with_jobs, row.seconds_per_part, row.jobs):
        assert math.isnan(value)
    assert row.bytes == pytest.approx(100 * 4 * 32**2 * 10)


def test_runs_are_measured_and_more_images_take_more_bytes():
    runs = [{"engine": "exact", "size": 8, "n_images": [1, 4]}]
    table = measured_costs(runs, [2], repeats=1, seed=0)
    assert (table.seconds > 0).all()
    first, second = table.bytes
    assert second - first >= 3 * 2 * 2 * 2 * 64


def test_streaming_tells_memory_and_counts_every_image():
    rows = list(streamed_memory(8, 25, 10, 2, seed=0))
    assert [row["images"] for row in rows] == [20, 25]
    assert np.isfinite([row["resident_mb"] for row in rows]).all()
    with pytest.raises(ConfigError, match="batch 10 and n_images 5"):
        list(streamed_memory(8, 5, 10, 2, seed=0))
