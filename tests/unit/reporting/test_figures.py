import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crosskrylov.planning.studies import FIGURES_FOLDER
from crosskrylov.reporting.figures.studies.engine_speed import finding
from crosskrylov.reporting.figures.studies.where_it_pays import advice
from crosskrylov.reporting.figures.style import palette_for, save_figure
from crosskrylov.runtime.declared import declared_in
from crosskrylov.studies.convergence import convergence
from crosskrylov.studies.diversity import diversity
from crosskrylov.studies.downstream import downstream
from crosskrylov.studies.error_budget import error_budget
from crosskrylov.studies.likeness import likeness_pairs, seed_choice
from crosskrylov.studies.loader import loader_rates
from crosskrylov.studies.projection_residuals import projection_residuals
from crosskrylov.studies.subspace_dimension import subspace_dimension
from crosskrylov.studies.system_summary import system_summary
from crosskrylov.studies.time_to_residual import time_to_residual
from crosskrylov.studies.warm_start import warm_start
from tests.laboratory import EQUATION, bank, seeds, smooth_log_density

SOLVERS = {"spsolve": {"method": "spsolve"}, "fast": {"method": "transform_bicgstab"}}


def seconds_per_image():
    return pd.DataFrame(
        {
            "study": "trajectory",
            "solver": ["a", "b", "a", "b"],
            "family": ["direct", "krylov"] * 2,
            "seconds_per_image": [1.0, 0.1, 1.1, 0.2],
            "time_steps": 8,
        }
    )


def downstream_table():
    stored = bank()
    exact = stored.log_density[:, None]
    images = np.random.default_rng(0).random((5, 1, 10, 10), dtype=np.float32)
    moved = exact + 0.1 * np.linspace(0, 1, 10)[:, None]
    trajectories = {"a": exact, "b": moved}
    return downstream(
        images, stored.problem, np.array([4]), exact, trajectories, ["row", "sum"], "a"
    )


def engine_speed_table():
    """Two engines at two sizes, and a streamed run."""
    rows = [
        ("spsolve", 16, 400.0, 1.0, 2),
        ("spsolve", 32, 2000.0, 1.0, 2),
        ("exact", 16, 2.0, 200.0, 8),
        ("exact", 32, 1.0, 2000.0, 8),
        ("exact", 32, 0.5, 4000.0, 500),
    ]
    names = ["engine", "size", "ms_per_image", "speedup_vs_spsolve", "n_images"]
    table = pd.DataFrame(rows, columns=names).assign(workers=1)
    for name, of in (("low", "ms_per_image"), ("speedup_low", "speedup_vs_spsolve")):
        table[name] = 0.9 * table[of]
    for name, of in (("high", "ms_per_image"), ("speedup_high", "speedup_vs_spsolve")):
        table[name] = 1.1 * table[of]
    return table


def map_table(gains=((4.0, 0.5), (2.0, 0.6), (0.5, 0.7)), spread=1.1):
    """Gains of a factorisation and of recycling at three distances, with a place left unsolved."""
    rows = []
    for number, (factor, recycled) in enumerate(gains):
        place = {"family": "darcy", "size": 8, "parameter": number, "condition": 10.0**number}
        place |= {"similarity": 1 / (1 + 10.0**number / 10), "n_systems": 3, "tolerance": 1e-6}
        for solver, gain, shares in (
            ("superlu", 1.0, False),
            ("lu_of_mean", factor, True),
            ("recycled_gcrot", recycled, True),
            ("pod", np.nan, True),
        ):
            interval = {"gain_low": gain / spread, "gain_high": gain * spread}
            rows.append(
                place | interval | {"solver": solver, "gain_vs_baseline": gain, "shares": shares}
            )
    return pd.DataFrame(rows)


TABLES = {
    "seconds_per_image": seconds_per_image,
    "projection_residuals": lambda: projection_residuals(
        EQUATION, smooth_log_density(), seeds(), 4, method="transform_bicgstab"
    ),
    "time_to_residual": lambda: time_to_residual(bank(), SOLVERS, [1e-4, 1e-8], seeds(), 1),
    "subspace_dimension": lambda: subspace_dimension(bank(), seeds(), [2, 4]),
    "likeness": lambda: likeness_pairs(bank(), 4),
    "seed_choice": lambda: seed_choice(bank(), 4, [1, 2], random_draws=2),
    "diversity": lambda: diversity(bank(), seeds(), 4),
    "warm_start": lambda: warm_start(
        bank(), seeds(), {"b": {"method": "bicgstab"}}, ["previous"], [1e-6], 4
    ),
    "error_budget": lambda: error_budget(
        EQUATION,
        smooth_log_density()[:1],
        {"method": "splu"},
        {},
        [1e-2, 1e-6],
        [1e-6],
        [4, 8],
        [1, 2],
    ),
    "loader": lambda: loader_rates([8, 12], 8, **LOADER),
    "system_summary": lambda: system_summary(bank(), 1),
    "downstream": downstream_table,
    "engine_speed": engine_speed_table,
    "where_it_pays": map_table,
    "convergence": lambda: convergence([2, 4], [9, 17], fine_size=17, method="transform_bicgstab"),
}


LOADER = {
    "workers": [1, 2],
    "repeats": 1,
    "batch_size": 4,
    "store_mb": 10,
    "source": "photos",
    "file_size": 16,
    "seed": 0,
}


def labelled(name):
    table = TABLES[name]()
    origin = {"dataset": "toy", "image_size": 10, "seed": 0}
    second = {"dataset": "toy", "image_size": 10, "seed": 1}
    return pd.concat([table.assign(**origin), table.assign(**second)], ignore_index=True)


def test_every_figure_is_tested():
    assert set(TABLES) == set(declared_in(FIGURES_FOLDER))


@pytest.mark.parametrize("name", TABLES)
def test_figure_is_drawn_the_same_twice(name, tmp_path):
    table = labelled(name)
    plot = declared_in(FIGURES_FOLDER)[name].load("crosskrylov.reporting.figures.studies")
    for copy in ("first", "second"):
        save_figure(plot(table), tmp_path / f"{copy}.svg", tmp_path / f"{copy}.png")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
    pixels = np.asarray(Image.open(tmp_path / "first.png").convert("L"))
    assert (pixels < 128).mean() > 0.001  # something is drawn
    assert (pixels == 255).mean() > 0.5


def test_colours_differ_however_many_there_are():
    for count in (3, 10, 17):
        colours = palette_for(map(str, range(count)))
        assert len(set(colours.values())) == count


def test_the_advice_says_what_the_table_holds():
    assert advice(map_table()) == (
        "Sharing pays in 2 of 3 cases (median gain 3; best by a factorisation in 2), in all 2 with "
        "δ ≤ 1 and condition ≥ 1; it loses in 1, in all with δ ≥ 10."
    )
    # intervals that hold 1 are no gain and no loss
    assert advice(map_table(spread=5.0)) == "Sharing pays in 0 of 3 cases; 3 undecided."
    # the first case loses, at the smallest distance and condition
    mixed = advice(map_table(gains=((0.5, 0.5), (2.0, 0.6), (0.5, 3.0))))
    assert "in 2 of 3 cases" in mixed and "in all 2 with δ ≤ 10 and condition ≥ 10" in mixed
    assert "loses in 1" in mixed and "δ ≥" not in mixed
    nothing = map_table().assign(gain_vs_baseline=np.nan)
    assert advice(nothing) == "No method that shares solved every system of a family."


def test_the_speeds_of_a_title_are_those_of_the_table():
    assert (
        finding(engine_speed_table()) == "Times as fast as assembly + SpSolve: exact 200 to 2,000"
    )
