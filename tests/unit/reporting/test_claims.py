import re

import numpy as np
import pandas as pd
import pytest

from crosskrylov.metrics.intervals import median_interval, ratio_interval
from crosskrylov.reporting.tables.claims import (
    COLUMNS,
    PHASES,
    Declared,
    claims_table,
    declared_in_configs,
)
from crosskrylov.reporting.tables.verdicts import VERDICTS

GALERKIN = "cross_matrix_galerkin"
PAIR = Declared({GALERKIN: GALERKIN, "alone": ""}, {GALERKIN: "alone"}, {"cifar32": "cifar10"})


def solvers(saving=0.5, low=None, high=None, solver=GALERKIN, **more):
    return pd.DataFrame(
        {
            "dataset": ["photos32"],
            "image_size": [32],
            "study": ["trajectory"],
            "solver": [solver],
            "assembly_seconds": [1.0],
            "time_reduction_vs_spsolve": [saving],
            "time_reduction_vs_spsolve_low": [low],
            "time_reduction_vs_spsolve_high": [high],
        }
        | {name: [value] for name, value in more.items()}
    )


def saving_rows(*arguments, declared=None, **options):
    table = claims_table(solvers(*arguments, **options), declared=declared)
    return table[table.claim.str.contains("time that the projection saves")]


def test_columns_and_verdicts_are_those_of_the_contract():
    table = claims_table(solvers())
    assert list(table.columns) == list(COLUMNS)
    assert set(table.verdict) <= set(VERDICTS)


def test_what_was_not_run_is_undecided_and_says_so():
    table = claims_table(solvers(solver="seed_lu"))
    not_run = table[table.evidence == "not run"]
    assert len(not_run) == 1 + 1 + 13 + 1  # saving, projection alone, speed-ups, budget
    assert set(not_run.verdict) == {"undecided"}
    assert not_run[["measured_value", "low", "high"]].isna().all().all()


# --- the saving -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.85, 0.84, 0.86), "beyond"),
        ((0.3, 0.2, 0.4), "reproduced"),
        ((0.5, 0.43, 0.6), "reproduced"),
        ((0.1, 0.05, 0.15), "below"),
        ((0.1, -0.1, 0.15), "undecided"),
        ((-0.3, -0.4, -0.2), "not reproduced"),
        ((0.85, None, None), "undecided"),
    ],
)
def test_saving_against_the_published_range(interval, verdict):
    (row,) = saving_rows(*interval).to_dict("records")
    assert row["verdict"] == verdict
    assert row["paper_value"] == "15.8% to 43.7%"
    assert row["baseline"] == "spsolve"
    np.testing.assert_allclose(row["measured_value"], 100 * interval[0])
    if interval[1] is not None:
        np.testing.assert_allclose((row["low"], row["high"]), 100 * np.array(interval[1:]))
    assert row["metric"] == f"time saved by {GALERKIN}, %, end to end"
    assert row["evidence"] == "results/tables/solvers.tsv"


def test_a_table_from_before_there_were_intervals_decides_nothing():
    names = ["dataset", "image_size", "study", "solver", "time_reduction_vs_spsolve"]
    table = claims_table(solvers(0.85)[names])
    row = table.iloc[0]
    assert (row.measured_value, row.verdict) == (85.0, "undecided")
    assert row.metric == f"time saved by {GALERKIN}, %, setup and solve"


def test_other_solvers_say_nothing_about_the_published_projection():
    assert saving_rows(0.9, 0.8, 0.95, solver="seed_lu").evidence.tolist() == ["not run"]
    mine = Declared({"mine": GALERKIN})
    named = saving_rows(0.9, 0.8, 0.95, solver="mine", declared=mine)
    assert named.verdict.tolist() == ["beyond"]
    control = saving_rows(0.9, 0.8, 0.95, declared=Declared({GALERKIN: ""}))
    assert control.evidence.tolist() == ["not run"]


@pytest.mark.parametrize(
    ("saving", "verdict"),
    [
        ((0.5, 0.2, 0.75), "reproduced"),
        ((0.0, -1.0, 0.5), "undecided"),
        ((-1.0, -1.5, -0.25), "not reproduced"),
    ],
)
def test_saving_against_the_best_direct_solver_stands_beside_it(saving, verdict):
    names = [f"time_reduction_vs_best_direct{end}" for end in ("", "_low", "_high")]
    more = dict(zip(names, saving, strict=True)) | {"best_direct": "pardiso"}
    table = claims_table(solvers(0.5, **more))
    (row,) = table[table.baseline == "pardiso (best direct solver)"].to_dict("records")
    found = [row[name] for name in ("measured_value", "low", "high")]
    np.testing.assert_allclose(found, 100 * np.array(saving))
    assert row["verdict"] == verdict
    assert pd.isna(row["paper_value"])


# --- the projection alone -------------------------------------------------------------------------


def clocks(with_it, without, windows=(1, 90)):
    """Return a table in which a repeat's seconds are spread over phases and windows."""
    rows = []
    for solver, seconds in ((GALERKIN, with_it), ("alone", without)):
        for repeat, total in enumerate(seconds):
            for window in windows:
                share = total / len(windows) / len(PHASES)
                phases = {f"{phase}_seconds": share for phase in PHASES}
                about = {"dataset": "photos32", "image_size": 32, "seed": 17, "solver": solver}
                rows.append(about | {"repeat": repeat, "part": "window"} | phases)
                rows[-1] |= {"first_step": window, "n_steps": 8}
    return pd.DataFrame(rows)


def marginal(table, declared=PAIR, with_it=0.8, without=0.9):
    both = pd.concat([solvers(with_it), solvers(without, solver="alone")])
    claims = claims_table(both, clocks=table, declared=declared)
    (row,) = claims[
        claims.claim.str.startswith("asked here, not published: the projection itself")
    ].to_dict("records")
    return row


@pytest.mark.parametrize(
    ("with_it", "without", "verdict"),
    [
        ([2.0, 4.1, 6.0], [1.0, 2.0, 3.0], "not reproduced"),
        ([1.0, 2.0, 3.1], [2.0, 4.0, 6.0], "reproduced"),
        ([1.0, 2.0, 3.0], [2.0, 1.0, 3.1], "undecided"),
        ([1.0], [2.0], "undecided"),
    ],
)
def test_projection_alone_is_a_ratio_paired_repeat_by_repeat(with_it, without, verdict):
    row = marginal(clocks(with_it, without))
    expected = ratio_interval(with_it, without)
    found = [row[name] for name in ("measured_value", "low", "high")]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert row["verdict"] == verdict
    assert (row["baseline"], row["evidence"]) == ("alone", "results/tables/clocks.tsv")
    assert row["metric"] == f"time of {GALERKIN} over its baseline's, end to end"
    assert pd.isna(row["paper_value"])


@pytest.mark.parametrize("other", [{"first_step": 40}, {"part": "march"}])
def test_projection_alone_counts_shared_windows_only(other):
    table = clocks([2.0, 2.2], [1.0, 1.0])
    extra = table[table.solver == GALERKIN].assign(**other, solve_seconds=1e6)
    assert marginal(pd.concat([table, extra]))["measured_value"] == pytest.approx(2.1, rel=1e-3)


def test_projection_alone_takes_the_mean_over_random_seeds_within_a_repeat():
    table = pd.concat([clocks([2.0, 4.0], [1.0, 1.0]), clocks([4.0, 2.0], [1.0, 1.0])])
    table["seed"] = [17] * 8 + [18] * 8
    row = marginal(table)
    assert (row["measured_value"], row["low"], row["high"]) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("table", [None, clocks([1, 2], [1, 2]).assign(dataset="faces64")])
def test_without_clocks_the_projection_alone_is_undecided(table):
    row = marginal(table)
    assert row["measured_value"] == pytest.approx(0.2 / 0.1)
    assert np.isnan(row["low"]) and np.isnan(row["high"])
    assert (row["verdict"], row["evidence"]) == ("undecided", "results/tables/solvers.tsv")


def test_projection_alone_needs_a_declared_control():
    row = marginal(clocks([1, 2], [1, 2]), declared=Declared({GALERKIN: GALERKIN}))
    assert (row["evidence"], row["verdict"]) == ("not run", "undecided")


def test_names_are_those_of_the_configurations():
    control = {"method": GALERKIN, "options": {"dimension": 0}}
    config = {
        "solvers": {"mine": {"method": GALERKIN, "options": {"dimension": 9}}, "none": control},
        "image_sets": {"here": {"source": "celeba"}},
    }
    other = {"solvers": {"spsolve": {"method": "spsolve", "options": {}}}, "image_sets": {}}
    declared = declared_in_configs([config, other])
    assert declared.methods == {"mine": GALERKIN, "none": "", "spsolve": "spsolve"}
    assert declared.controls == {"mine": "none"}
    assert declared.sources == {"here": "celeba"}


# --- speed-ups ------------------------------------------------------------------------------------

MODELS = ("score_embedding", "ddpm")


def training(dataset="cifar10", speedups=(30.0, 30.5, 31.0), missed=(), stopped=(), **more):
    """Return runs of several seeds; the method misses its target in some, DDPM in others."""
    rows = []
    for seed, speedup in enumerate(speedups):
        shared = {
            "experiment": "single_image",
            "dataset": dataset,
            "image_size": 32,
            "target_ssim": 0.99,
            "seed": seed,
        } | more
        own = seed not in missed
        ours = {"model": "score_embedding", "reached": own}
        rows.append(shared | ours | {"speedup_vs_ddpm": speedup if own else np.nan})
        rows.append(shared | {"model": "ddpm", "reached": seed not in stopped})
    return pd.DataFrame(rows)


def speedups(run, declared=None):
    """Return the rows of the projection paper's first speed-up, 27.13x on CIFAR-10."""
    table = claims_table(solvers(), run, declared=declared)
    return table[table.paper_value == "27.13x"]


@pytest.mark.parametrize(
    ("run", "verdict", "measured"),
    [
        (training(), "reproduced", 30.5),
        (training(speedups=(5.0, 5.1, 5.2)), "below", 5.1),
        (training(speedups=(50.0, 51.0, 52.0)), "beyond", 51.0),
        (training(speedups=(0.5, 0.51, 0.52)), "not reproduced", 0.51),
        (training(speedups=(0.8, 1.1, 1.2)), "undecided", 1.1),
        (training(speedups=(30.0,)), "undecided", 30.0),
        (training(speedups=(5.0, 5.1, 5.2), stopped=[1]), "undecided", "at least 5.1; {3}, {0}"),
        (training(stopped=[0, 1, 2]), "reproduced", "at least 30.5; {3}, {0}"),
        (training(speedups=(50.0, 51.0, 52.0), stopped=[0]), "reproduced", "at least 51; {3}, {0}"),
        # DDPM got there and the method did not, once and twice; neither got there
        (training(missed=[1]), "undecided", "{2}, {0}"),
        (training(missed=[1, 2]), "not reproduced", "{1}, {0}"),
        (training(missed=[1], stopped=[1]), "undecided", "{2}, {0}"),
    ],
)
def test_speedup_on_the_published_data_set(run, verdict, measured):
    (row,) = speedups(run).to_dict("records")
    assert row["verdict"] == verdict
    if isinstance(measured, str):
        faster, slower = "the method faster on {}", "slower on {} of 3 runs"
        said = measured.replace("{0}", slower.format(0))
        said = re.sub(r"\{(\d)\}", lambda found: faster.format(found[1]), said)
        arrivals = [int(run[run.model == name].reached.sum()) for name in MODELS]
        said += f"; it arrived {arrivals[0]}, ddpm {arrivals[1]} times in 3"
        assert row["measured_value"] == said
    else:
        assert row["measured_value"] == pytest.approx(measured, rel=1e-3)
    assert (row["metric"], row["baseline"]) == ("ssim", "ddpm")
    assert row["evidence"] == "results/tables/training.tsv"


def test_speedup_has_the_interval_over_random_seeds():
    (row,) = speedups(training()).to_dict("records")
    expected = median_interval([30.0, 30.5, 31.0])
    np.testing.assert_allclose((row["low"], row["high"]), expected[1:], rtol=1e-3)
    (row,) = speedups(training(stopped=[2])).to_dict("records")
    assert np.isnan(row["high"]) and row["low"] > 0


def test_speedup_on_other_images_leaves_the_published_set_not_run():
    rows = speedups(training("photos32"))
    assert rows.dataset.tolist() == ["cifar10", "photos32 (in place of cifar10)"]
    assert rows.verdict.tolist() == ["undecided", "reproduced"]
    assert rows.evidence.tolist() == ["not run", "results/tables/training.tsv"]


@pytest.mark.parametrize("ran", [True, False])
def test_other_images_stand_in_for_a_set_that_only_some_may_use_and_the_row_says_so(ran):
    stand_in = training("photos64", image_size=64, speedups=(100.0, 110.0, 120.0))
    declared = Declared(sources={"faces": "celeba", "photos64": "photos"})
    both = [stand_in] + [training("faces", image_size=64)] * ran
    table = claims_table(None, pd.concat(both), declared=declared)
    rows = table[table.paper_value == "115.41x"]
    marked = "photos64 (in place of celeba)"
    assert rows.dataset.tolist() == ["faces"] * ran + [marked]
    assert "not run" not in rows.evidence.tolist()


def test_ddim_claims_are_judged_by_the_runs_that_it_draws():
    runs = training(speedups=(6.7, 6.8, 6.9))
    table = claims_table(None, runs)
    (row,) = table[table.paper_value == "6.77x"].to_dict("records")
    assert (row["baseline"], row["verdict"]) == (
        "ddim (which draws ddpm: the same runs)",
        "reproduced",
    )


def test_a_run_that_ended_before_the_baselines_was_not_compared():
    """Its own judged targets were reached: that another was not says nothing yet."""
    clock = {"precompute_seconds": 0.0, "seconds_per_step": 1.0}
    runs = training(missed=[0, 1, 2], **clock)
    runs["steps"] = runs.model.map({"score_embedding": 100, "ddpm": 200})
    assert speedups(runs).verdict.tolist() == ["undecided"]
    runs["steps"] = 200 - (runs.model == "ddpm") * 1
    assert speedups(runs).verdict.tolist() == ["not reproduced"]


def test_an_image_set_belongs_to_its_source_whatever_it_is_called():
    assert speedups(training("cifar32"), PAIR).dataset.tolist() == ["cifar32"]


def test_both_metrics_and_both_baselines_have_rows_of_their_own():
    published = training(metric="ssim_global", speedups=(30.0, 30.5, 31.0))
    windowed = training(metric="ssim", speedups=(2.0, 2.1, 2.2))
    from_noise = published[published.model == "ddpm"].assign(model="ddpm_from_noise", reached=False)
    table = pd.concat([published, windowed, from_noise], ignore_index=True)
    table["speedup_vs_ddpm_from_noise"] = 2 * table.speedup_vs_ddpm
    rows = speedups(table).set_index(["metric", "baseline"])
    assert rows.verdict.to_dict() == {
        ("ssim", "ddpm"): "below",
        ("ssim_global", "ddpm"): "reproduced",
        ("ssim_global", DRAWN): "reproduced",
    }
    # the run from noise was stopped before it got there
    assert np.isnan(rows.high["ssim_global", DRAWN])


DRAWN = "ddpm_from_noise, from pure noise; score_embedding denoises"
CLOCK = {"precompute_seconds": 0.0, "seconds_per_step": 1.0}


def test_a_baseline_that_was_there_at_its_first_evaluation_leaves_a_bound():
    runs = training(speedups=(0.5, 0.6, 0.7), **CLOCK)
    runs["steps"] = runs.model.map({"score_embedding": 100, "ddpm": 50})
    (exact,) = speedups(runs).to_dict("records")
    assert exact["measured_value"] == 0.5 and exact["verdict"] == "not reproduced"
    (row,) = speedups(runs, Declared(first_steps={"cifar10": [50]})).to_dict("records")
    assert row["measured_value"] == "at most 0.5; the method faster on 0, slower on 3 of 3 runs"
    assert np.isnan(row["low"]) and row["verdict"] == "not reproduced"
    # of the method itself it is the other end that is not known
    runs["steps"] = runs.model.map({"score_embedding": 50, "ddpm": 100})
    (row,) = speedups(runs, Declared(first_steps={"cifar10": [50]})).to_dict("records")
    assert row["measured_value"].startswith("at least 2; the method faster on 3")


def test_faster_here_and_slower_there_is_undecided_and_says_so():
    runs = training(missed=[2], stopped=[0], **CLOCK)
    runs["image"] = runs.seed
    # stopped at 99; 50 against 80; stopped at 90
    runs["steps"] = [30, 99, 50, 80, 90, 60]
    (row,) = speedups(runs).to_dict("records")
    assert row["measured_value"] == (
        "the method faster on 2, slower on 1 of 3 images; it arrived 2, ddpm 2 times in 3"
    )
    assert row["verdict"] == "undecided" and np.isnan(row["low"]) and np.isnan(row["high"])


def test_where_steps_were_not_calibrated_the_runs_own_seconds_are_bounds():
    runs = training(missed=[2], stopped=[0, 1, 2]).assign(speedup_vs_ddpm=np.nan)
    runs["wall_seconds"] = [10.0, 40.0, 20.0, 40.0, 40.0, 40.0]
    (row,) = speedups(runs).to_dict("records")
    assert row["measured_value"].startswith("the method faster on 2, slower on 0 of 3 runs")


def test_runs_that_ended_at_another_target_are_said_to_have_ended():
    one_window = training(metric="ssim_global", speedups=(1.0, 1.0, 1.0), **CLOCK)
    windowed = training(metric="ssim", missed=[0, 1, 2], stopped=[0, 1, 2], **CLOCK)
    runs = pd.concat([one_window, windowed], ignore_index=True).assign(steps=70)
    (row,) = speedups(runs)[lambda table: table.metric == "ssim"].to_dict("records")
    assert row["measured_value"].endswith("6 of 6 runs ended before, at targets in another metric")
    runs.loc[runs.metric == "ssim", "steps"] = 90  # they went on, and did not arrive
    (row,) = speedups(runs)[lambda table: table.metric == "ssim"].to_dict("records")
    assert row["measured_value"].endswith("it arrived 0, ddpm 0 times in 3")


def test_the_method_drawn_from_noise_is_held_against_the_baseline_drawn_from_noise():
    denoised = training(metric="ssim", speedups=(2.0, 2.1, 2.2))
    drawn = denoised.assign(model=denoised.model + "_from_noise")
    drawn["speedup_vs_ddpm_from_noise"] = 30 / denoised.speedup_vs_ddpm
    rows = speedups(pd.concat([denoised, drawn], ignore_index=True)).set_index("baseline")
    assert rows.verdict.to_dict() == {
        "ddpm": "below",
        "ddpm_from_noise, against score_embedding_from_noise": "below",
    }
    assert rows.measured_value.iloc[1] == pytest.approx(30 / 2.1, rel=1e-3)


def test_several_seeds_of_an_image_are_no_further_images():
    runs = [
        training(image=0, speedups=(29.0, 30.0, 99.0)),
        training(image=1, speedups=(31.0, 32.0, 33.0)),
    ]
    (row,) = speedups(pd.concat(runs)).to_dict("records")
    expected = median_interval([30.0, 32.0])
    found = [row[name] for name in ("measured_value", "low", "high")]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_claims_of_three_images_are_judged_by_runs_on_three():
    three = training(image="0+1+2", target_ssim=0.95, speedups=(3.2, 3.3, 3.4))
    one = training(image="0", target_ssim=0.95, speedups=(13.0, 13.5, 14.0))
    table = claims_table(solvers(), pd.concat([three, one]))
    rows = table[(table.evidence == "results/tables/training.tsv") & (table.baseline == "ddpm")]
    rows = rows.set_index("paper_value")
    assert rows.measured_value.to_dict() == {"13.45x": 13.5, "3.32x": 3.3}
    assert set(rows.verdict) == {"reproduced"}


def test_runs_are_paired_by_image_too():
    first = training(image="a", missed=[0, 1, 2], stopped=[0, 1, 2])
    second = training(image="b")
    assert speedups(pd.concat([first, second])).verdict.tolist() == ["undecided"]


# --- generation -----------------------------------------------------------------------------------

BUDGET_COLUMNS = [
    *("experiment", "dataset", "model", "sampler", "metric", "value", "image_size", "seed"),
]


def budget_row(ours, ddpm):
    shared = ("budget", "photos32")
    rows = [(*shared, "score_embedding", "euler", "frechet_x", 9.0, 32, 0)]
    for seed, value in enumerate(ours):
        rows.append((*shared, "score_embedding", "heun", "frechet_x", value, 32, seed))
    for seed, value in enumerate(ddpm):
        rows.append((*shared, "ddpm", "ddim", "frechet_x", value, 32, seed))
    rows += [(*shared, "ddpm", "ddim", "precision", 1.0, 32, 0)]
    rows += [("budget", "elsewhere", "ddpm", "ddim", "frechet_x", 0.1, 32, 0)]
    table = claims_table(solvers(), None, pd.DataFrame(rows, columns=BUDGET_COLUMNS))
    (row,) = table[table.claim.str.contains("time budget")].to_dict("records")
    return row


@pytest.mark.parametrize(
    ("ours", "ddpm", "verdict"),
    [
        ([2.0, 2.1, 2.2], [4.0, 4.1, 4.6], "reproduced"),
        ([4.0, 4.1, 4.6], [2.0, 2.1, 2.2], "not reproduced"),
        ([2.0, 4.0, 3.0], [3.0, 3.0, 3.0], "undecided"),
        ([3.0], [5.0], "undecided"),
        ([2.0, 2.1], [4.0, 4.1], "undecided"),  # of two seeds
    ],
)
def test_budget_compares_the_best_samplers_seed_by_seed(ours, ddpm, verdict):
    row = budget_row(ours, ddpm)
    expected = ratio_interval(ddpm, ours)
    found = [row[name] for name in ("measured_value", "low", "high")]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert row["verdict"] == verdict
    assert row["metric"] == "frechet_x of ddpm over the method's"
    assert row["baseline"] == f"ddpm ({np.mean(ddpm):.4g} against {np.mean(ours):.4g})"


def final_rows(model, reference, values, n_samples, sampler="heun", metric="frechet_x"):
    return [
        {
            **dict(experiment="quality", dataset="photos32", image_size=32, model=model, seed=seed),
            **dict(sampler=sampler, reference=reference, n_samples=n_samples),
            **dict(metric=metric, value=value),
        }
        for seed, value in enumerate(values)
    ]


def test_many_samples_of_final_models_decide_over_those_of_the_budget():
    rows = []
    for reference, factor in (("training", 1.0), ("held_out", 0.5)):
        rows += final_rows("score_embedding", reference, [2.0, 2.1, 2.2], 5000)
        rows += final_rows("ddpm", reference, [4.0 * factor, 4.2 * factor, 4.4 * factor], 5000)
        rows += final_rows("ddpm", reference, [90.0, 90.0, 90.0], 9000)  # of one model only
        rows += final_rows("ddpm", reference, [80.0, 80.0, 80.0], 1000)  # fewer
    # the sampler is chosen seed by seed: all of them count, none is preferred after the fact
    for row, sampler in zip(rows[:3], ("heun", "ddim", "dpm"), strict=True):
        row["sampler"] = sampler
    budget = [
        {**row, "experiment": "budget", "n_samples": 300, "value": 100.0}
        for row in rows
        if row["reference"] == "training"
    ]
    table = claims_table(solvers(), None, pd.DataFrame([*rows, *budget]))
    found = table[table.claim.str.contains("time budget")]
    assert found.metric.tolist() == [
        "frechet_x to training images, 5,000 samples, of ddpm over the method's",
        "frechet_x to held-out images, 5,000 samples, of ddpm over the method's",
    ]
    np.testing.assert_allclose(found.measured_value.astype(float), [2.0, 1.0], rtol=1e-3)
    assert found.verdict.tolist() == ["reproduced", "undecided"]


def test_generation_is_judged_by_the_best_features_that_there_are():
    rows = []
    for metric in ("frechet_haar", "frechet_random_conv", "frechet_another"):
        for model in ("score_embedding", "ddpm"):
            rows += final_rows(model, "training", [2.0, 2.1, 2.2], 5000, metric=metric)
    for also, judged_by in (("frechet_a", "random_conv"), ("fid", "fid")):
        both = [row | {"metric": also} for row in rows]
        found = claims_table(solvers(), None, pd.DataFrame([*rows, *both]))
        (metric,) = found[found.claim.str.contains("time budget")].metric
        assert metric.startswith((f"frechet_{judged_by}", judged_by))


def test_the_method_on_the_noise_levels_of_ddpm_has_a_row_of_its_own():
    rows = []
    for reference in ("training", "held_out"):
        rows += final_rows("score_embedding", reference, [4.0, 4.2], 5000)
        rows += final_rows("score_embedding_linear", reference, [2.0, 2.2], 5000)
        rows += final_rows("ddpm", reference, [1.0, 1.0], 5000)
    table = claims_table(solvers(), None, pd.DataFrame(rows))
    found = table[table.claim.str.contains("time budget")]
    of_each = found.metric.str.extract(r"over (.*)'s$")[0]
    assert of_each.tolist() == ["the method"] * 2 + ["score_embedding_linear"] * 2
    assert found.baseline.tolist() == ["ddpm (1 against 4.1)"] * 2 + ["ddpm (1 against 2.1)"] * 2


def test_final_models_of_one_kind_leave_the_claim_to_the_budget():
    rows = final_rows("ddpm", "training", [2.0, 2.1], 5000)
    for model, values in (("score_embedding", [2.0, 2.1]), ("ddpm", [1.0, 1.1])):
        rows += [
            {**row, "experiment": "budget"} for row in final_rows(model, "training", values, 300)
        ]
    table = claims_table(solvers(), None, pd.DataFrame(rows))
    (found,) = table[table.claim.str.contains("time budget")].to_dict("records")
    assert found["metric"] == "frechet_x of ddpm over the method's"
    assert found["baseline"] == "ddpm (1.05 against 2.05)"


# --- withdrawn ------------------------------------------------------------------------------------


def test_only_what_the_authors_took_back_is_withdrawn_and_no_claim_of_a_paper():
    table = claims_table(solvers())
    withdrawn = table[table.verdict == "withdrawn by the authors"]
    assert withdrawn.paper_value.tolist() == ["0.65, 1.53, 4.30", "250x", "187x"]
    assert withdrawn.claim.str.startswith("companion repository, not a claim of either").all()
    assert withdrawn.measured_value.isna().all()
    assert withdrawn.evidence.str.contains("Score-Embedding-Fast-Diffusion").all()
