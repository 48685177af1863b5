import pandas as pd
import pytest

from crosskrylov.experiments.targets import times_to_targets
from crosskrylov.reporting.tables.ablation import ablation_sentence, ablation_table
from crosskrylov.reporting.tables.quality import COLUMNS as QUALITY_COLUMNS
from crosskrylov.reporting.tables.quality import quality_table
from crosskrylov.reporting.tables.training import COLUMNS, training_curves, training_table

MAIN = {"score_embedding": "published", "dsm": "no_embedding"}


def curve(ssims, seconds_per_row=10.0):
    return pd.DataFrame(
        {
            "step": range(1, len(ssims) + 1),
            "train_seconds": [seconds_per_row * (k + 1) for k in range(len(ssims))],
            "seconds_with_evaluation": [(seconds_per_row + 1) * (k + 1) for k in range(len(ssims))],
            "loss": 1.0,
            "ssim": ssims,
            "ssim_global": ssims,
            "psnr_db": 20.0,
            "mse": 0.01,
        }
    )


def run(model, ssims, seed=3, precompute=0.0, seconds_per_row=10.0, targets=(0.9, 0.95)):
    return {
        "experiment": "single_image",
        "dataset": "photos32",
        "image_size": 32,
        "model": model,
        "seed": seed,
        "parameters": 1000,
        "precompute_seconds": precompute,
        "targets": times_to_targets(curve(ssims, seconds_per_row), targets),
    }


def test_first_row_that_reaches_a_target_counts():
    at = times_to_targets(curve([0.5, 0.91, 0.89, 0.96]), [0.9, 0.95, 0.99])
    assert [row["step"] for row in at] == [2, 4, 4]
    assert [row["reached"] for row in at] == [True, True, False]


def test_speedups_count_precomputation_and_mark_lower_bounds():
    table = training_table(
        [
            run("score_embedding", [0.92, 0.96], precompute=5.0),
            run("ddpm", [0.5, 0.6, 0.93]),
            run("dsm", [0.1, 0.2]),
        ],
        "ddpm",
    )
    assert list(table.columns) == [name.format(baseline="ddpm") for name in COLUMNS]
    cell = table.set_index(["model", "target_ssim"])
    first, second = cell.loc[("score_embedding", 0.9)], cell.loc[("score_embedding", 0.95)]
    assert first["total_seconds"] == 15.0 and first["total_seconds_with_evaluation"] == 16.0
    assert (
        first["speedup_vs_ddpm"] == pytest.approx(30 / 15) and not first["speedup_is_lower_bound"]
    )
    assert second["speedup_vs_ddpm"] == pytest.approx(30 / 25) and second["speedup_is_lower_bound"]
    # no speed-up for the baseline itself, nor for a run that missed its target
    others = cell.loc[["ddpm", "dsm"]]
    assert others[["speedup_vs_ddpm", "speedup_is_lower_bound"]].isna().all(axis=None)


def test_seeds_are_compared_with_their_own_baseline():
    table = training_table(
        [
            run("score_embedding", [0.96], seed=1),
            run("score_embedding", [0.96], seed=2),
            run("ddpm", [0.96], seed=1, seconds_per_row=20.0),
            run("ddpm", [0.96], seed=2, seconds_per_row=50.0),
        ],
        "ddpm",
    )
    chosen = table[(table["model"] == "score_embedding") & (table["target_ssim"] == 0.9)]
    assert list(chosen["speedup_vs_ddpm"]) == [2.0, 5.0]


def test_speedups_are_against_the_declared_baseline():
    runs = [run("dsm", [0.5, 0.96]), run("ddpm", [0.96])]
    table = training_table(runs, "dsm").set_index(["model", "target_ssim"])
    assert table.loc[("ddpm", 0.9), "speedup_vs_dsm"] == 2.0
    assert pd.isna(table.loc[("dsm", 0.9), "speedup_vs_dsm"])


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
    row = training_table([budget, run("ddpm", [0.96])], "ddpm").iloc[0]
    assert row["steps"] == 70 and row["total_seconds"] == 120.0
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


def test_one_seed_judges_nothing():
    results = [ablation("published", 10, 0), ablation("slower", 90, 0)]
    table = ablation_table(results, 0.95, MAIN)
    assert table["beyond_seed_spread"].isna().all()
    assert "too few seeds" in ablation_sentence(table)
