import numpy as np
import pandas as pd
import pytest

from crosskrylov.reporting.tables.marches import trajectory_row
from crosskrylov.reporting.tables.solvers import COLUMNS, frozen_rows, solver_table

SUMMARY = {
    "method": "spsolve",
    "family": "direct",
    "tolerance": 1e-8,
    "n_images": 2,
    "height": 4,
    "width": 4,
    "time_steps": 3,
    "seconds": {"assembly": 9.0, "conversion": 9.0, "check": 9.0, "setup": 1.0, "solve": 3.0},
    "peak_memory_mb": 100.0,
}
HISTORY = pd.DataFrame(
    {
        "picard": [2, 4],
        "iterations": [6, 20],
        "fallbacks": [0, 1],
        "max_relative_residual": [1e-9, 2e-9],
    }
)


def measurement(solver="spsolve", seed=0, exact=None, **changes):
    log_density = np.random.default_rng(0).normal(size=(2, 3, 4, 4))
    row = trajectory_row(SUMMARY | changes, HISTORY, log_density, 1 / 3, log_density, exact)
    return row | {"dataset": "toy", "image_size": 4, "seed": seed, "solver": solver}


def test_columns_are_the_contract():
    seconds = "assembly conversion setup solve check"
    intervals = "{0} {0}_low {0}_high"
    expected = " ".join(
        [
            "dataset image_size n_images n_unknowns time_steps study solver family tolerance",
            "repeats",
            *(f"{phase}_seconds" for phase in seconds.split()),
            intervals.format("seconds_per_image"),
            "solve_seconds_per_image",
            *map(intervals.format, ("time_reduction_vs_spsolve", "speedup_vs_spsolve")),
            "best_direct",
            *map(intervals.format, ("time_reduction_vs_best_direct", "speedup_vs_best_direct")),
            "mean_iterations max_iterations mean_picard fallbacks max_relative_residual",
            "score_error_vs_spsolve score_error_vs_exact peak_memory_mb",
            "march_images march_time_steps march_seconds_per_image march_time_reduction_vs_spsolve",
        ]
    )
    table = solver_table(pd.DataFrame([measurement()]))
    assert list(table.columns) == list(COLUMNS) == expected.split()
    assert list(solver_table(pd.DataFrame()).columns) == list(COLUMNS)


def test_every_phase_counts_and_the_solve_alone_stands_beside_it():
    row = measurement()
    assert row["seconds_per_image"] == (9 + 9 + 9 + 1 + 3) / 2
    assert row["solve_seconds_per_image"] == (1 + 3) / 2
    assert row["repeats"] == 1
    assert row["mean_iterations"] == pytest.approx(26 / 6)  # per system
    assert row["max_iterations"] == 5
    assert row["mean_picard"] == 3


def test_reduction_and_speedup_against_spsolve():
    faster = measurement(
        "fast", method="gmres", family="krylov", seconds={"check": 6, "solve": 1.75}
    )
    table = solver_table(pd.DataFrame([measurement(), faster])).set_index("solver")
    assert table.time_reduction_vs_spsolve["fast"] == pytest.approx(0.75)
    assert table.speedup_vs_spsolve["fast"] == pytest.approx(4)
    assert table.time_reduction_vs_spsolve["spsolve"] == 0
    # timed once: no interval
    assert table[["seconds_per_image_low", "speedup_vs_spsolve_high"]].isna().all(axis=None)


def test_the_whole_march_stands_beside_itself():
    table = solver_table(pd.DataFrame([measurement()]))
    row = table.iloc[0]
    assert (row.march_images, row.march_time_steps) == (2, 3)
    assert row.march_seconds_per_image == row.seconds_per_image


def test_best_direct_solver_is_the_fastest_of_its_family():
    rows = [
        measurement(),
        measurement("banded", method="banded", seconds={"solve": 8.0}),
        measurement("pardiso", method="pardiso", seconds={"solve": 9.0}),
        measurement("fast", method="gmres", family="krylov", seconds={"solve": 2.0}),
    ]
    table = solver_table(pd.DataFrame(rows)).set_index("solver")
    assert set(table.best_direct) == {"banded"}
    assert table.speedup_vs_best_direct["fast"] == pytest.approx(4)
    assert table.time_reduction_vs_best_direct["fast"] == pytest.approx(0.75)
    assert table.speedup_vs_best_direct["banded"] == 1
    assert table.speedup_vs_best_direct["spsolve"] == pytest.approx(8 / 31)


def test_of_two_entries_with_the_published_method_the_first_is_the_baseline():
    first = measurement() | {"machine": "a"}
    other = measurement("other", seconds={"solve": 1.0}) | {"machine": "b"}
    far = measurement("far", method="gmres", family="krylov") | {"machine": "b"}
    table = solver_table(pd.DataFrame([first, other, far])).set_index("solver")
    assert table.speedup_vs_spsolve[["other", "far"]].isna().all()


def ratios(*rows):
    table = solver_table(pd.DataFrame(rows)).set_index("solver")
    assert np.allclose(
        table.time_reduction_vs_spsolve, 1 - 1 / table.speedup_vs_spsolve, equal_nan=True
    )
    return table.speedup_vs_spsolve


def on(machine, solver, seed, solve_seconds):
    method = "spsolve" if solver == "spsolve" else "gmres"
    row = measurement(solver, seed, method=method, seconds={"solve": solve_seconds})
    return row | {"machine": machine}


def test_ratios_pair_runs_of_one_machine_only():
    found = ratios(on("a", "spsolve", 0, 4.0), on("a", "near", 0, 1.0), on("b", "far", 0, 1.0))
    assert found["near"] == 4
    assert np.isnan(found["far"])


def test_ratio_comes_from_the_seeds_that_one_machine_ran_with_both():
    found = ratios(
        *(on("a", "spsolve", 0, 4.0), on("a", "spsolve", 1, 8.0)),
        *(on("a", "fast", 0, 1.0), on("b", "fast", 1, 100.0)),
    )
    assert found["fast"] == 4


def test_an_unknown_machine_pairs_with_nothing():
    found = ratios(on("", "spsolve", 0, 4.0), on("", "fast", 0, 1.0))
    assert found.isna().all()


def test_what_was_not_measured_is_missing():
    alone = measurement("fast", method="gmres", peak_memory_mb=None)
    table = solver_table(pd.DataFrame([alone]))
    for column in (
        "time_reduction_vs_spsolve",
        "speedup_vs_spsolve",
        "score_error_vs_exact",
        "peak_memory_mb",
    ):
        assert table[column].isna().all()


def test_random_seeds_are_averaged_and_the_worst_error_kept():
    slow = measurement(seed=1, seconds={"setup": 1.0, "solve": 5.0})
    slow["max_relative_residual"] = 1e-3
    table = solver_table(pd.DataFrame([measurement(), slow]))
    assert len(table) == 1
    row = table.iloc[0]
    assert (row.setup_seconds, row.solve_seconds, row.fallbacks) == (1.0, 4.0, 2)
    assert row.max_relative_residual == 1e-3


def test_score_error_is_that_of_the_worst_image():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(2, 1, 4, 4))
    wrong = reference.copy()
    wrong[1] *= 1.5
    row = trajectory_row(SUMMARY, HISTORY, wrong, 1 / 3, None, reference)
    assert row["score_error_vs_exact"] == pytest.approx(0.5)
    assert row["score_error_vs_spsolve"] is None


def test_frozen_rows_take_one_tolerance_and_sum_the_steps():
    part = {
        "solver": "a",
        "method": "gmres",
        "family": "krylov",
        "n_images": 4,
        "conversion_seconds": 2.0,
        "setup_seconds": 1.0,
        "solve_seconds": 1.0,
        "mean_iterations": 3.0,
        "max_iterations": 5,
        "fallbacks": 0,
        "max_relative_residual": 1e-7,
        "score_error_vs_spsolve": np.nan,
        "score_error_vs_exact": 0.1,
        "peak_memory_mb": 10.0,
    }
    table = pd.DataFrame([part | {"step": s, "tolerance": t} for s in (1, 2) for t in (1e-6, 1e-8)])
    rows = frozen_rows(table, 1e-6, n_unknowns=16, time_steps=2, repeats=3)
    assert len(rows) == 1
    assert rows.iloc[0].seconds_per_image == 2.0
    assert rows.iloc[0].solve_seconds_per_image == 1.0
    assert rows.iloc[0].repeats == 3
    # neither is part of the frozen study
    assert "assembly_seconds" not in rows
    assert solver_table(rows.assign(dataset="toy", image_size=4)).check_seconds.isna().all()
    assert rows.iloc[0].study == "frozen"
    assert np.isnan(rows.iloc[0].score_error_vs_spsolve)
