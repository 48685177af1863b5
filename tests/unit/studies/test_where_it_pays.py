"""The map of where sharing pays, and the engines' speed: what their tables say of themselves."""

import numpy as np
import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.solvers.many import METHODS
from crosskrylov.studies import where_it_pays as study
from crosskrylov.studies.engine_speed import engine_speed
from crosskrylov.studies.where_it_pays import where_it_pays

DARCY = {"darcy": {"sizes": [8], "parameters": [0.05, 1.0]}}
OPTIONS = {"n_systems": 3, "tolerance": 1e-6, "repeats": 2, "seed": 1}


@pytest.fixture(scope="module")
def table():
    return where_it_pays(DARCY, max_products=500, **OPTIONS)


def test_every_method_has_a_row_with_what_it_took(table):
    assert len(table) == 2 * len(METHODS)
    assert table.columns[:4].tolist() == ["family", "size", "similarity", "condition"]
    solved = table[table.unsolved == 0]
    assert solved[["products", "seconds", "gain_vs_baseline"]].notna().all().all()
    assert (solved.low <= solved.seconds).all() and (solved.seconds <= solved.high).all()
    for _, place in solved.groupby("parameter"):
        place = place.set_index("solver")
        best = place.baseline.iloc[0]
        assert not place.shares[best] and place.gain_vs_baseline[best] == 1
        alone = place[~place.shares.astype(bool)]
        assert alone.seconds.idxmin() == best
        fastest = place.loc[["spsolve", "superlu"]].seconds.idxmin()
        assert place.gain_vs_best_direct[fastest] == 1
        assert place.gain_vs_warm_bicgstab["warm_bicgstab"] == 1


def test_likeness_and_products_of_the_shared_factors_follow_the_perturbation(table):
    near, far = (group.set_index("solver") for _, group in table.groupby("parameter"))
    assert near.similarity.iloc[0] > far.similarity.iloc[0]
    assert near.products["lu_of_mean"] < far.products["lu_of_mean"]


def test_what_does_not_converge_has_no_time_and_is_counted():
    methods = ["superlu", "bicgstab", "lu_of_mean"]
    table = where_it_pays(DARCY, max_products=8, methods=methods, **OPTIONS)
    missed = table[table.solver == "bicgstab"]
    assert (missed.unsolved == 3).all()
    for name in ("products", "seconds", "low", "high", "gain_vs_baseline", "gain_vs_best_direct"):
        assert missed[name].isna().all()
    assert table.gain_vs_warm_bicgstab.isna().all()  # it was not run
    assert table[table.solver == "superlu"].seconds.notna().all()


def test_a_method_that_misses_is_not_run_again(monkeypatch):
    calls = []

    def counted(*arguments, method, **options):
        calls.append(method)
        return solve(*arguments, method=method, **options)

    solve = study.solve_many
    monkeypatch.setattr(study, "solve_many", counted)
    family = {"darcy": {"sizes": [8], "parameters": [0.05]}}
    options = OPTIONS | {"repeats": 4}
    where_it_pays(family, max_products=8, methods=["superlu", "bicgstab"], **options)
    assert calls.count("superlu") == 5 and calls.count("bicgstab") == 2


@pytest.mark.parametrize(
    ("families", "methods", "message"),
    [
        ({"darzy": {"sizes": [8], "parameters": [1.0]}}, None, "did you mean 'darcy'"),
        (DARCY, ["lu_of_mena"], "did you mean 'lu_of_mean'"),
    ],
)
def test_unknown_names_are_config_errors(families, methods, message):
    with pytest.raises(ConfigError, match=message):
        where_it_pays(families, max_products=8, methods=methods, **OPTIONS)


# --- the engines ---


def test_engines_are_measured_beside_spsolve(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    streamed = {"size": 8, "n_images": 5, "engines": ["auto"]}
    sizes = [{"size": 8, "n_images": 3, "n_direct": 2}]
    table = engine_speed(sizes, ["exact", "batched"], [1], repeats=2, seed=2, streamed=streamed)
    assert table.engine.tolist() == ["spsolve", "exact", "batched", "auto"]
    assert table.n_images.tolist() == [2, 3, 3, 5] and table.repeats.tolist() == [2, 2, 2, 1]
    assert (table.ms_per_image > 0).all()
    direct, exact, batched, auto = table.itertuples()
    assert direct.speedup_vs_spsolve == 1 and direct.score_difference == 0
    assert batched.max_residual <= 1e-8 and batched.score_difference < 1e-4
    assert np.isnan(exact.max_residual) and exact.score_difference > 1e-3  # it has no time steps
    assert auto.score_difference == pytest.approx(exact.score_difference, rel=1e-2)
    assert np.isnan(auto.speedup_low) and not np.isnan(exact.speedup_low)
    assert list(tmp_path.iterdir()) == []  # scores are deleted


@pytest.mark.parametrize(
    ("size", "streamed", "message"),
    [
        ({"size": 8, "n_images": 1, "n_direct": 2}, None, "n_direct 2 and n_images 1"),
        ({"size": 8, "n_images": 1, "n_direct": 1}, 16, "streamed has size 16"),
    ],
)
def test_sizes_that_do_not_fit_are_config_errors(size, streamed, message):
    if streamed:
        streamed = {"size": streamed, "n_images": 1, "engines": ["auto"]}
    with pytest.raises(ConfigError, match=message):
        engine_speed([size], ["exact"], [1], repeats=1, seed=0, streamed=streamed)
