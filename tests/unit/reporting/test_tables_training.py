import pandas as pd
import pytest

from crosskrylov.experiments.targets import times_to_targets
from crosskrylov.metrics.intervals import median_interval
from crosskrylov.reporting.tables.ablation import ablation_sentence, ablation_table
from crosskrylov.reporting.tables.quality import COLUMNS as QUALITY_COLUMNS
from crosskrylov.reporting.tables.quality import quality_table
from crosskrylov.reporting.tables.training import (
    STEP_COLUMNS,
    columns_of,
    images_together,
    seconds_per_step,
    training_curves,
    training_table,
)

BASELINES = ["ddpm", "ddpm_from_noise"]
MAIN = {"score_embedding": "published", "dsm": "no_embedding"}


def curve(ssims, seconds_per_row=10.0, one_window=None):
    return pd.DataFrame(
        {
            "step": range(1, len(ssims) + 1),
            "train_seconds": [seconds_per_row * (k + 1) for k in range(len(ssims))],
            "seconds_with_evaluation": [(seconds_per_row + 1) * (k + 1) for k in range(len(ssims))],
            "loss": 1.0,
            "ssim": ssims,
            "ssim_global": one_window or ssims,
            "psnr_db": 20.0,
            "mse": 0.01,
        }
    )


def run(model, ssims, seed=3, precompute=0.0, targets=(0.9, 0.95), one_window=None, **more):
    return {
        "experiment": "single_image",
        "dataset": "photos32",
        "image_size": 32,
        "model": model,
        "image": "0",
        "seed": seed,
        "parameters": 1000,
        "learning_rate": 1e-3,
        "precompute_seconds": precompute,
        "targets": times_to_targets(curve(ssims, one_window=one_window), targets),
    } | more


def calibration(dataset="photos32", experiment="single_image", **seconds):
    """Return repeats of the seconds of a step by model."""
    return pd.DataFrame(
        [
            {"experiment": experiment, "dataset": dataset, "image_size": 32, "model": model}
            | {"repeat": k + 1, "position": 0, "steps": 4, "seconds": value, "threads": 1}
            for model, values in seconds.items()
            for k, value in enumerate(values)
        ]
    )


#: The model's step takes 2 s, DDPM's 3 s, whatever their runs' clocks say.
STEPS = calibration(
    score_embedding=[1.9, 2.0, 2.2], ddpm=[3.0, 3.1, 2.9], ddpm_from_noise=[3.0, 3.1, 2.9]
)


def cells(*runs, calibrations=(STEPS,), baselines=BASELINES):
    table = training_table(runs, baselines, calibrations)
    return table.set_index(["model", "metric", "target_ssim"]).sort_index()


def test_columns_are_those_of_the_contract():
    table = training_table([run("ddpm", [0.96])], BASELINES, [STEPS])
    text = "experiment dataset image_size model image seed target_ssim metric reached "
    text += "precompute_seconds steps seconds_per_step seconds wall_seconds parameters "
    text += "learning_rate ssim ssim_global psnr_db mse speedup_vs_ddpm "
    text += "speedup_vs_ddpm_from_noise speedup_is_lower_bound"
    assert list(table.columns) == columns_of(BASELINES) == text.split()


def test_seconds_are_steps_times_calibrated_seconds_whatever_the_clock_said():
    row = cells(run("score_embedding", [0.5, 0.92, 0.96])).loc[("score_embedding", "ssim", 0.95)]
    assert (row["steps"], row["seconds_per_step"], row["seconds"]) == (3, 2.0, 6.0)
    assert row["wall_seconds"] == 30.0


def test_a_run_that_was_stopped_has_steps_but_no_seconds():
    row = cells(run("score_embedding", [0.5, 0.92])).loc[("score_embedding", "ssim", 0.95)]
    assert not row["reached"] and row["steps"] == 2 and row["wall_seconds"] == 20.0
    assert row["seconds_per_step"] == 2.0 and pd.isna(row["seconds"])
    assert row[["speedup_vs_ddpm", "speedup_is_lower_bound"]].isna().all()


def test_a_model_that_was_not_calibrated_has_no_seconds_and_no_speedup():
    found = cells(run("dsm", [0.96]), run("ddpm", [0.96]))
    row = found.loc[("dsm", "ssim", 0.95)]
    assert row["reached"] and row[["seconds_per_step", "seconds", "speedup_vs_ddpm"]].isna().all()
    elsewhere = calibration(dataset="other", dsm=[1.0, 1.1])
    assert cells(run("dsm", [0.96]), calibrations=[elsewhere])["seconds"].isna().all()


def test_seconds_are_those_of_steps_with_as_many_images_in_a_batch():
    twice = STEPS.assign(images_per_batch=2, seconds=2 * STEPS["seconds"])
    both = [STEPS.assign(images_per_batch=1), twice]
    runs = [run("ddpm", [0.96]), run("ddpm", [0.96], image="0+1", images_per_batch=2)]
    found = cells(*runs, calibrations=both).loc[("ddpm", "ssim", 0.95)]
    assert (found["seconds"] * 2).iloc[0] == found["seconds"].iloc[1]
    assert list(seconds_per_step(both)["images_per_batch"].unique()) == [1, 2]


def test_runs_on_several_images_are_told_from_those_on_one():
    images = pd.Series(["0", "0+1+2", 4, None])
    assert list(images_together(images)) == [1, 3, 1, 1]


def test_first_passages_of_both_metrics():
    made = curve([0.5, 0.91, 0.89, 0.96], one_window=[0.91, 0.5, 0.96, 0.9])
    at = times_to_targets(made, [0.9, 0.95, 0.99])
    assert [row["metric"] for row in at] == ["ssim_global"] * 3 + ["ssim"] * 3
    assert [row["step"] for row in at] == [1, 3, 4, 2, 4, 4]
    assert [row["reached"] for row in at] == [True, True, False] * 2


def test_speedups_count_precomputation_and_mark_lower_bounds():
    found = cells(
        run("score_embedding", [0.92, 0.96], precompute=5.0),
        run("ddpm", [0.5, 0.6, 0.93], one_window=[0.5, 0.93, 0.96]),
        run("ddpm_from_noise", [0.1] * 4, one_window=[0.1, 0.1, 0.1, 0.96]),
        run("dsm", [0.1, 0.2]),
    )
    ours = found.loc["score_embedding"]
    first, second = ours.loc[("ssim", 0.9)], ours.loc[("ssim", 0.95)]
    assert first["speedup_vs_ddpm"] == pytest.approx(3 * 3 / (5 + 2))
    assert second["speedup_vs_ddpm"] == pytest.approx(3 * 3 / (5 + 2 * 2))
    # from noise the windowed target was never reached: at least so many times as long
    assert first["speedup_vs_ddpm_from_noise"] == pytest.approx(4 * 3 / (5 + 2))
    assert first["speedup_is_lower_bound"] and second["speedup_is_lower_bound"]
    published = ours.loc[("ssim_global", 0.95)]
    assert published["speedup_vs_ddpm"] == pytest.approx(3 * 3 / (5 + 2 * 2))
    assert not published["speedup_is_lower_bound"]
    # no speed-up for the baselines themselves, nor for a run that missed its target
    others = found.loc[["ddpm", "ddpm_from_noise", "dsm"]]
    assert others[["speedup_vs_ddpm", "speedup_is_lower_bound"]].isna().all(axis=None)


@pytest.mark.parametrize("key", ["seed", "image"])
def test_runs_are_compared_with_their_own_baseline(key):
    found = cells(
        run("score_embedding", [0.96], **{key: 1}),
        run("score_embedding", [0.96], **{key: 2}),
        run("ddpm", [0.1, 0.96], **{key: 1}),
        run("ddpm", [0.1, 0.1, 0.1, 0.96], **{key: 2}),
    ).loc[("score_embedding", "ssim", 0.9)]
    assert list(found["speedup_vs_ddpm"]) == [3.0, 6.0]


def test_speedups_are_against_the_declared_baselines():
    steps = calibration(dsm=[1.0, 1.0], ddpm=[1.0, 1.0])
    runs = [run("dsm", [0.5, 0.96]), run("ddpm", [0.96])]
    found = cells(*runs, calibrations=[steps], baselines=["dsm"])
    assert found.loc[("ddpm", "ssim", 0.9), "speedup_vs_dsm"] == 2.0
    assert pd.isna(found.loc[("dsm", "ssim", 0.9), "speedup_vs_dsm"])


def test_runs_of_old_records_have_windowed_targets():
    old = run("ddpm", [0.96])
    old = {key: value for key, value in old.items() if key not in ("image", "learning_rate")}
    old["targets"] = [
        {key: value for key, value in at.items() if key != "metric"}
        for at in old["targets"]
        if at["metric"] == "ssim"
    ]
    table = training_table([old], BASELINES)
    assert list(table["metric"]) == ["ssim", "ssim"]
    assert table[["image", "learning_rate", "seconds"]].isna().all(axis=None)


def test_seconds_per_step_are_medians_with_intervals():
    table = seconds_per_step([STEPS])
    assert tuple(table.columns) == STEP_COLUMNS
    row = table.set_index("model").loc["score_embedding"]
    expected = median_interval([1.9, 2.0, 2.2])
    assert tuple(row[["seconds_per_step", *STEP_COLUMNS[-2:]]]) == pytest.approx(expected)
    assert (row["repeats"], row["steps_per_repeat"], row["threads"]) == (3, 4, 1)


def test_curves_count_the_precomputation():
    joined = training_curves(
        [run("dsm", [0.1], precompute=5.0), run("ddpm", [0.1], seed=4)],
        [curve([0.1]), curve([0.2, 0.3])],
    )
    assert list(joined["total_seconds"]) == [15.0, 10.0, 20.0]
    assert list(joined["model"]) == ["dsm", "ddpm", "ddpm"]


def test_budget_runs_have_no_target():
    budget = {
        **{k: v for k, v in run("dsm", [0.1]).items() if k != "targets"},
        "experiment": "budget",
        "steps": 70,
        "train_seconds": 120.0,
        "evaluation_seconds": 9.0,
    }
    table = training_table([budget, run("ddpm", [0.96])], BASELINES, [STEPS])
    row = table[table["experiment"] == "budget"].iloc[0]
    assert row["steps"] == 70 and row["wall_seconds"] == 120.0 and pd.isna(row["seconds"])
    assert pd.isna(row["target_ssim"]) and pd.isna(row["ssim"]) and pd.isna(row["reached"])


def test_quality_is_long():
    entry = {"sampler": "ddim", "function_evaluations": 50, "n_samples": 9}
    result = {
        **{k: v for k, v in run("ddpm", [0.1]).items() if k != "targets"},
        "quality": [
            entry | {"metric": "kid", "value": 2.0},
            entry | {"metric": "fid", "value": 1.0},
        ],
    }
    table = quality_table([result])
    assert tuple(table.columns) == QUALITY_COLUMNS
    assert list(table["metric"]) == ["fid", "kid"]


def ablation(variant, steps, seed):
    rows = [0.1] * (steps - 1) + [0.96]
    return {**run(variant, rows, seed=seed), "experiment": "ablation_single_image"}


def test_ablation_tells_an_effect_from_the_spread_over_seeds():
    results = [ablation("published", steps, k) for k, steps in enumerate((10, 12, 14))]
    results += [ablation("same", steps, k) for k, steps in enumerate((13, 14, 15))]
    results += [ablation("slower", steps, k) for k, steps in enumerate((20, 21, 25))]
    table = ablation_table(results, 0.95, MAIN).set_index(["variant", "outcome"])
    assert table.loc[("published", "steps_to_ssim"), "mean"] == 12
    assert table.loc[("same", "steps_to_ssim"), "beyond_seed_spread"] is False
    assert table.loc[("slower", "steps_to_ssim"), "beyond_seed_spread"] is True
    sentence = ablation_sentence(table.reset_index())
    assert "slower" in sentence and "same" not in sentence
    never = run("hopeless", [0.1])
    results += [{**never, "experiment": "ablation_single_image", "seed": k} for k in range(3)]
    sentence = ablation_sentence(ablation_table(results, 0.95, MAIN))
    assert sentence.endswith("No seed reached the target with hopeless.")


def test_main_experiments_serve_as_variants():
    results = [run("score_embedding", [0.96]), run("dsm", [0.1, 0.96]), run("ddpm", [0.96])]
    table = ablation_table([*results, ablation("sum", 3, 3)], 0.95, MAIN)
    steps = table[table["outcome"] == "steps_to_ssim"].set_index("variant")["mean"]
    assert steps.to_dict() == {"published": 1, "no_embedding": 2, "sum": 3}


@pytest.mark.parametrize(("metric", "expected"), [("ssim", 3), ("ssim_global", 1)])
def test_the_ablation_is_judged_on_one_metric(metric, expected):
    late = run("published", [0.1, 0.1, 0.96], one_window=[0.96] * 3)
    late |= {"experiment": "ablation_single_image"}
    table = ablation_table([late], 0.95, MAIN, metric)
    steps = table.set_index("outcome").loc[f"steps_to_{metric}"]
    assert (steps["mean"], steps["n_runs"]) == (expected, 1)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_two_seeds_judge_nothing(n_seeds):
    results = [
        ablation(*run, seed)
        for run in (("published", 10), ("slower", 90))
        for seed in range(n_seeds)
    ]
    table = ablation_table(results, 0.95, MAIN)
    assert table["beyond_seed_spread"].isna().all()
    assert "too few seeds" in ablation_sentence(table)


def test_score_errors_are_a_row_per_level_and_old_records_give_none():
    """Empty cells stay empty, and the schedule's ends stand beside every level."""
    from crosskrylov.reporting.tables.score_error import COLUMNS, score_error_table

    errors = [
        {"sigma": 0.1, "error": None, "error_normalised": None},
        {"sigma": 1.0, "error": 0.2, "error_normalised": 0.4},
    ]
    of_model = {"experiment": "budget", "dataset": "digits16", "image_size": 16, "seed": 1}
    found = {"errors": errors, "n_draws": 8, "trained_sigma": [0.5, 20.0]}
    table = score_error_table(
        [{**of_model, "model": "dsm", "score_error": found}, {**of_model, "model": "ddpm"}]
    )
    assert tuple(table.columns) == COLUMNS
    assert table["model"].tolist() == ["dsm", "dsm"]
    assert table["error"].isna().tolist() == [True, False]
    assert table.iloc[1][["sigma", "error_normalised", "trained_sigma_max"]].tolist() == [
        1,
        0.4,
        20,
    ]


def test_quality_names_the_choice_the_reference_and_the_training():
    run = {"dataset": "digits16", "image_size": 16, "seed": 1}
    entry = {"sampler": "ddim", "function_evaluations": 20, "n_samples": 50, "metric": "m"}
    table = quality_table(
        [
            {**run, "experiment": "budget", "model": "dsm", "steps": 7, "train_seconds": 2.5}
            | {"quality": [entry | {"value": 1.0}]},
            {**run, "experiment": "quality", "model": "dsm"}
            | {
                "quality": [
                    entry | {"experiment": "sampler_selection", "value": 2.0},
                    entry | {"reference": "held_out", "value": 3.0},
                ]
            },
            {**run, "experiment": "quality", "model": "real"}
            | {"quality": [entry | {"sampler": None, "reference": "held_out", "value": 0.5}]},
        ]
    )
    assert tuple(table.columns) == QUALITY_COLUMNS
    rows = table.set_index("value")
    assert rows["experiment"].to_dict() == {
        1.0: "budget",
        2.0: "sampler_selection",
        3.0: "quality",
        0.5: "quality",
    }
    assert rows["reference"].to_dict() == {
        1.0: "training",
        2.0: "training",
        3.0: "held_out",
        0.5: "held_out",
    }
    assert rows.loc[[1.0, 2.0, 3.0], "steps"].tolist() == [7, 7, 7]
    assert rows.loc[[1.0, 2.0, 3.0], "seconds"].tolist() == [2.5, 2.5, 2.5]
    assert rows.loc[[0.5], ["steps", "seconds", "sampler"]].isna().all(axis=None)
