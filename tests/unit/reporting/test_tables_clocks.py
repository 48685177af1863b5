"""From timed repeats to medians, intervals and paired ratios, against hand computation."""

import numpy as np
import pandas as pd
import pytest

from crosskrylov.metrics.intervals import median_interval, ratio_interval
from crosskrylov.reporting.tables.clocks import SECONDS, clocked_rows
from crosskrylov.reporting.tables.marches import trajectory_row
from crosskrylov.reporting.tables.solvers import COLUMNS, solver_table

FAMILIES = {"spsolve": "direct", "banded": "direct", "fast": "krylov"}
#: Seconds of the solve in each repeat.
SOLVE = {"spsolve": [9.0, 12.0, 10.0], "banded": [5.0, 4.0, 6.0], "fast": [1.0, 1.0, 2.0]}
OTHER = {"assembly_seconds": 0.5, "conversion_seconds": 0.25, "setup_seconds": 0.125}
CHECK = {"spsolve": 40.0, "banded": 30.0, "fast": 4.0}


def run(solver, repeat, seconds, **changes):
    """One solver's row of a window of three steps on two images."""
    return {
        "solver": solver,
        "method": solver,
        "family": FAMILIES[solver],
        "baseline": solver == "spsolve",
        "tolerance": 1e-6,
        "part": "window",
        "first_step": 1,
        "n_steps": 3,
        "n_images": 2,
        "repeat": repeat,
        **OTHER,
        "solve_seconds": seconds,
        "check_seconds": 0.125,
        "systems": 12,
        "iterations": 0 if FAMILIES[solver] == "direct" else 36,
        "max_iterations": 5,
        "mean_picard": 2.0,
        "fallbacks": 1,
        "max_relative_residual": 1e-7,
        "score_error_vs_spsolve": 1e-6,
        "score_error_vs_exact": 0.1,
        "dataset": "toy",
        "image_size": 4,
        "seed": 7,
    } | changes


def clocks(**changes):
    """Two windows that take the same; the rows come in the order of random turns."""
    return pd.DataFrame(
        run(solver, repeat, SOLVE[solver][repeat] / 2, first_step=step, **changes)
        for repeat in range(3)
        for step in (1, 11)
        for solver in ("fast", "banded", "spsolve")
    )


def rows_of(table):
    return clocked_rows(table).set_index("solver")


def totals(solver):
    # two windows with a second each beside the solve
    return np.array(SOLVE[solver]) + 2.0


def test_end_to_end_is_the_sum_of_all_phases_over_the_windows():
    rows = rows_of(clocks())
    for solver in FAMILIES:
        row = rows.loc[solver]
        assert row.seconds_per_image == pytest.approx(np.median(totals(solver)) / 2)
        assert row[SECONDS].sum() / row.n_images == pytest.approx(row.seconds_per_image)
    assert rows.solve_seconds["spsolve"] == 10.0
    assert rows.solve_seconds_per_image["spsolve"] == (10.0 + 0.25) / 2
    assert set(rows.repeats) == {3}
    assert set(rows.time_steps) == {6}


def test_of_an_even_number_of_repeats_the_phases_add_up_too():
    table = clocks()
    row = rows_of(table[table.repeat < 2]).loc["spsolve"]
    assert row.seconds_per_image == pytest.approx(np.mean(totals("spsolve")[:2]) / 2)
    assert row[SECONDS].sum() / 2 == pytest.approx(row.seconds_per_image)


def test_intervals_and_ratios_are_those_of_paired_repeats():
    rows = rows_of(clocks())
    row = rows.loc["fast"]
    expected = median_interval(totals("fast") / 2)
    assert row.seconds_per_image_low == pytest.approx(expected.low)
    assert row.seconds_per_image_high == pytest.approx(expected.high)
    for name, reference in (("vs_spsolve", "spsolve"), ("vs_best_direct", "banded")):
        expected = ratio_interval(totals(reference), totals("fast"))
        found = [row[f"speedup_{name}{end}"] for end in ("", "_low", "_high")]
        assert found == pytest.approx(list(expected))
    # by hand: 11/3, 14/3 and 12/4
    assert row.speedup_vs_spsolve == pytest.approx(11 / 3)
    assert rows.speedup_vs_spsolve["spsolve"] == 1


def test_best_direct_solver_is_chosen_by_the_table():
    assert set(rows_of(clocks()).best_direct) == {"banded"}
    slow = clocks()
    slow.loc[slow.solver == "banded", "solve_seconds"] *= 10
    assert set(rows_of(slow).best_direct) == {"spsolve"}


def test_without_the_published_baseline_nothing_is_compared_with_it():
    table = clocks()
    rows = rows_of(table[table.solver != "spsolve"])
    assert rows.speedup_vs_spsolve.isna().all()
    assert (rows.speedup_vs_best_direct["fast"]) > 1


def test_one_repeat_has_no_interval():
    table = clocks()
    row = rows_of(table[table.repeat == 0]).loc["fast"]
    assert np.isnan([row.seconds_per_image_low, row.speedup_vs_spsolve_high]).all()
    assert row.speedup_vs_spsolve == pytest.approx(11 / 3)


def test_random_seeds_are_averaged_inside_a_repeat():
    other = clocks(seed=8)
    other["solve_seconds"] *= 3
    row = rows_of(pd.concat([clocks(), other])).loc["spsolve"]
    assert row.seconds_per_image == pytest.approx((20.0 + 2.0) / 2)
    assert row.repeats == 3
    assert row.time_steps == 6


def test_counts_are_not_multiplied_by_the_repeats():
    row = rows_of(clocks()).loc["fast"]
    assert (row.mean_iterations, row.mean_picard, row.fallbacks) == (3.0, 2.0, 2)
    assert row.n_unknowns == 16


def with_check():
    rows = [
        run(name, 1, seconds, part="march", n_images=1, n_steps=9, **dict.fromkeys(OTHER, 0.0))
        for name, seconds in CHECK.items()
    ]
    return pd.concat([clocks(), pd.DataFrame(rows).assign(check_seconds=0.0)], ignore_index=True)


def test_the_check_stands_beside_the_windows_and_not_among_them():
    rows = rows_of(with_check())
    assert rows.seconds_per_image["fast"] == rows_of(clocks()).seconds_per_image["fast"]
    row = rows.loc["fast"]
    assert (row.march_images, row.march_time_steps, row.march_seconds_per_image) == (1, 9, 4.0)
    assert row.march_time_reduction_vs_spsolve == pytest.approx(0.9)


# --- beside whole marches, which are jobs of their own -------------------------------------------


def march(solver, seconds):
    summary = {
        "method": solver,
        "family": FAMILIES[solver],
        "tolerance": 1e-6,
        "n_images": 2,
        "height": 4,
        "width": 4,
        "time_steps": 9,
        "seconds": {"assembly": 1.0, "solve": seconds},
        "peak_memory_mb": 100.0,
    }
    history = pd.DataFrame(
        {"picard": [2], "iterations": [8], "fallbacks": [0], "max_relative_residual": [1e-8]}
    )
    log_density = np.random.default_rng(0).normal(size=(2, 1, 4, 4))
    row = trajectory_row(summary, history, log_density, 1 / 3, log_density, None)
    return row | {"dataset": "toy", "image_size": 4, "seed": 7, "solver": solver}


def test_times_come_from_the_clocks_and_the_rest_from_the_whole_march():
    marches = pd.DataFrame([march("spsolve", 29.0), march("fast", 5.0)])
    table = solver_table(marches, clocks())
    assert list(table.columns) == list(COLUMNS)
    assert table.solver.tolist() == ["spsolve", "banded", "fast"]
    row = table.set_index("solver").loc["fast"]
    assert row.speedup_vs_spsolve == pytest.approx(11 / 3)
    assert row.time_reduction_vs_spsolve == pytest.approx(1 - 3 / 11)
    assert row.time_reduction_vs_spsolve_low == pytest.approx(1 - 1 / row.speedup_vs_spsolve_low)
    assert (row.time_steps, row.repeats) == (6, 3)
    assert (row.mean_iterations, row.peak_memory_mb, row.march_time_steps) == (4.0, 100.0, 9)
    assert row.march_seconds_per_image == 3.0
    assert row.march_time_reduction_vs_spsolve == pytest.approx(0.8)
    # banded was not marched whole
    row = table.set_index("solver").loc["banded"]
    assert row.mean_iterations == 0
    assert pd.isna(row.peak_memory_mb)
    assert pd.isna(row.march_seconds_per_image)


def test_a_march_without_a_clock_keeps_its_own_row():
    marches = pd.DataFrame([march("spsolve", 29.0), march("fast", 5.0)])
    timed = clocks()
    table = solver_table(marches, timed[timed.solver != "fast"]).set_index("solver")
    assert table.repeats["fast"] == 1
    assert table.time_steps["fast"] == 9
    assert table.speedup_vs_spsolve["fast"] == pytest.approx(5.0)


def test_clocks_alone_make_the_table():
    table = solver_table(pd.DataFrame(), clocks())
    assert list(table.columns) == list(COLUMNS)
    assert set(table.study) == {"trajectory"}
