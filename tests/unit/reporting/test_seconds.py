"""Where the seconds went: benchmark files gathered by rule."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from crosskrylov.reporting.figures.seconds import N_SHOWN, plot_seconds
from crosskrylov.reporting.tables.seconds import COLUMNS, seconds_table

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def benchmark(path, seconds, memory):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEADER}{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t0\t0\n")


@pytest.fixture
def table(tmp_path):
    benchmark(tmp_path / "photos" / "solve-spsolve.tsv", 2.5, 100.0)
    benchmark(tmp_path / "photos" / "solve-bicgstab.tsv", 1.25, 300.0)
    benchmark(tmp_path / "photos" / "solve-dropped.tsv", 1000.0, 1000.0)
    benchmark(tmp_path / "table.tsv", 0.1, "-")
    benchmark(tmp_path / "gone.tsv", 1000.0, 1000.0)
    patterns = {
        "table": rf"{tmp_path}/table\.tsv$",
        "solve": rf"{tmp_path}/(?P<images>photos)/solve\-(?P<solver>spsolve|bicgstab)\.tsv$",
        "never_run": rf"{tmp_path}/never_run\.tsv$",
    }
    return seconds_table(tmp_path, patterns)


def test_jobs_of_a_rule_add_up_and_the_largest_memory_counts(table):
    assert tuple(table.columns) == COLUMNS
    solve = table.iloc[0]
    assert (solve.rule, solve.jobs, solve.seconds, solve.max_memory_mb) == ("solve", 2, 3.75, 300.0)


def test_memory_that_was_not_measured_is_empty(table):
    assert np.isnan(table.set_index("rule").max_memory_mb["table"])


def test_files_of_rules_and_solvers_that_are_gone_do_not_count(table):
    assert list(table.rule) == ["solve", "table"]


def test_no_benchmark_files_give_an_empty_table(tmp_path):
    table = seconds_table(tmp_path, {"solve": "solve"})
    assert (tuple(table.columns), len(table)) == (COLUMNS, 0)


@pytest.mark.parametrize("n_rules", [0, 1, N_SHOWN, N_SHOWN + 5])
def test_figure_shows_the_longest_rules_and_all_of_the_time(n_rules):
    seconds = np.arange(n_rules, 0, -1.0)
    table = pd.DataFrame(
        {
            "rule": [f"rule_{k}" for k in range(n_rules)],
            "jobs": 1,
            "seconds": seconds,
            "max_memory_mb": 1.0,
        },
    )
    figure = plot_seconds(table)
    (axes,) = figure.axes
    assert len(axes.patches) == min(n_rules, N_SHOWN + 1)
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(seconds.sum())
    plt.close(figure)
