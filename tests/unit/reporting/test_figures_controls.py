"""The figures of the controls and of the learning-rate sweep, drawn from small tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from crosskrylov.reporting.figures.controls import FIGURES
from crosskrylov.reporting.tables.controls import effects_of
from crosskrylov.reporting.tables.learning_rates import BEST_COLUMNS


def controls_shown():
    """Return two controls on three images, of which one run was stopped."""
    rows = [
        {
            "experiment": "single_image",
            "dataset": "toy",
            "image_size": 10,
            "control": control,
            "scaled": scaled,
            "image": image,
            "seed": 0,
            "metric": "ssim_global",
            "target": 0.99,
            "reached": (control, image) != ("row", 2),
            "steps": 100 + 30 * image + 50 * (control == "row"),
            "value": None,
        }
        for control in ("row", "quiet")
        for scaled in (False, True)
        for image in range(3)
    ]
    return pd.DataFrame(rows)


def control_effects_shown():
    pair = {"control": "quiet", "against": [["row", False], ["row", True]]}
    controls = {
        f"ablation_single_image/{name}": pair | {"scaled": name == "b"} for name in ("a", "b")
    }
    return effects_of(controls_shown(), controls)


def rates_shown():
    rows = [
        ("toy", 10, family, rate, "ssim_global", 0.99, 3, reached, steps, 0.8 * steps, 1.2 * steps)
        for family in ("score", "noise_levels")
        for rate, reached, steps in ((1e-3, 3, 200.0), (2e-3, 2, 150.0))
    ]
    table = pd.DataFrame(rows, columns=BEST_COLUMNS[:-2])
    return table.assign(best=table["learning_rate"] == 1e-3, at_the_end=False)


TABLES = {
    "controls": controls_shown,
    "control_effects": control_effects_shown,
    "learning_rates": rates_shown,
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_drawn_and_titled_from_its_table_even_an_empty_one(name):
    table = TABLES[name]()
    titles = set()
    for given in (table, table[:0]):
        figure = FIGURES[name](given)
        titles.add(figure.get_suptitle())
        plt.close(figure)
    assert len(titles) == 2


def test_survival_curves_fall_with_every_arrival_and_end_in_a_tick_where_a_run_was_stopped():
    figure = FIGURES["controls"](controls_shown())
    (line, tick) = (entry for entry in figure.axes[0].get_lines() if entry.get_color() != "#0072B2")
    plt.close(figure)
    # two of three arrive, after 150 and 180 steps; the third was stopped at 210
    np.testing.assert_allclose(line.get_xydata()[-1], [210, 1 / 3])
    np.testing.assert_allclose(tick.get_xydata(), [[210, 1 / 3]])


def test_rings_are_about_the_best_rates_and_hollow_points_are_runs_that_were_stopped():
    figure = FIGURES["learning_rates"](rates_shown())
    lines = figure.axes[0].get_lines()
    plt.close(figure)
    rings = [line.get_xdata()[0] for line in lines if line.get_markersize() == 9]
    hollow = [line.get_xdata()[0] for line in lines if line.get_markerfacecolor() == "white"]
    assert rings == [1e-3, 1e-3] and hollow == [2e-3, 2e-3]
