"""The tables of the controls and of the learning-rate sweep."""

import pandas as pd
import pytest

from crosskrylov.reporting.tables.controls import (
    control_effects,
    controls_table,
    effects_of,
    effects_sentence,
)
from crosskrylov.reporting.tables.learning_rates import (
    best_rates,
    learning_rates_table,
    rates_sentence,
)

CONTROLS = {
    f"ablation_{experiment}/{name}": {
        "control": name.removesuffix("_scaled"),
        "scaled": name.endswith("_scaled"),
        "model": "m_scaled" if name.endswith("_scaled") else "m",
        "against": [["row", name.endswith("_scaled")]],
    }
    for experiment in ("single_image", "budget")
    for name in ("row", "quiet", "noise", "row_scaled", "quiet_scaled")
}


def run(name, steps, image="0", seed=3, stopped=(), experiment="ablation_single_image"):
    """Return the result of a single-image run to two targets in both metrics."""
    targets = [
        {
            "target_ssim": target,
            "metric": metric,
            "reached": target not in stopped,
            "step": steps * factor,
            "train_seconds": 2.0 * steps,
            "ssim": 0.8,
            "ssim_global": 0.9,
        }
        for target, factor in ((0.9, 1), (0.99, 2))
        for metric in ("ssim_global", "ssim")
    ]
    return {
        "experiment": experiment,
        "dataset": "a",
        "image_size": 32,
        "model": name,
        "image": image,
        "images_per_batch": 1,
        "seed": seed,
        "precompute_seconds": 0.5,
        "learning_rate": 1e-3,
        "targets": targets,
    }


def calibration(seconds, models=("m",)):
    return pd.DataFrame(
        [
            {
                "experiment": "single_image",
                "dataset": "a",
                "image_size": 32,
                "images_per_batch": 1,
                "model": model,
                "repeat": repeat,
                "steps": 4,
                "seconds": seconds,
                "threads": 1,
            }
            for model in models
            for repeat in (1, 2)
        ]
    )


def test_a_row_per_run_and_target_with_calibrated_seconds():
    results = [run("row", 100, stopped=(0.99,)), run("quiet_scaled", 50), run("unknown", 1)]
    table = controls_table(results, CONTROLS, [calibration(0.2)])
    assert len(table) == 8 and set(table["control"]) == {"row", "quiet"}
    assert set(table["experiment"]) == {"single_image"}
    row = table[(table["control"] == "row") & (table["metric"] == "ssim_global")]
    assert list(row["steps"]) == [100, 200] and list(row["reached"]) == [True, False]
    assert row["seconds"].iloc[0] == pytest.approx(20.0) and pd.isna(row["seconds"].iloc[1])
    # the scaled model was not calibrated: no seconds rather than another model's
    assert table[table["scaled"]]["seconds"].isna().all()


def results_on_images(factors, name, **more):
    """Return the reference's and a control's runs, ``factors`` times as long, an image for each."""
    return [run("row", 100 + 7 * k, image=str(k)) for k in range(len(factors))] + [
        run(name, round(factor * (100 + 7 * k)), image=str(k), **more)
        for k, factor in enumerate(factors)
    ]


def test_a_consistent_change_is_decided_and_a_mixed_one_says_how_many_images_would_do():
    faster = [0.5, 0.6, 0.4, 0.55, 0.5, 0.45, 0.6, 0.5]
    mixed = [0.9, 1.2, 0.8, 1.1, 1.3, 0.7, 0.9, 0.95]
    results = results_on_images(faster, "quiet") + results_on_images(mixed, "noise")[8:]
    effects = control_effects(results, CONTROLS)
    at = effects[(effects["metric"] == "ssim_global") & (effects["target"] == 0.99)]
    at = at.set_index("control")
    assert set(at.index) == {"quiet", "noise"}  # the reference itself is no row
    assert at.loc["quiet", "verdict"] == "better" and at.loc["quiet", "better"] == 8
    assert at.loc["quiet", "ratio_low"] < 0.5 < at.loc["quiet", "ratio_high"]
    assert at.loc["quiet", "p_value"] == pytest.approx(2 / 2**8)
    assert at.loc["quiet", "p_holm"] == pytest.approx(4 / 2**8)
    assert pd.isna(at.loc["quiet", "images_to_decide"])
    assert at.loc["noise", "verdict"] == "undecided" and at.loc["noise", "images_to_decide"] > 8
    assert effects_sentence(effects) == (
        "quiet is better than row; 4 of 8 comparisons are undecided."
    )


def test_runs_that_were_stopped_stay_in_and_seeds_of_an_image_are_one():
    results = [run("row", 100, image="0", seed=s) for s in (1, 2)]
    results += [run("quiet", 50, image="0", seed=1), run("quiet", 200, image="0", seed=2)]
    results += [run("row", 400, image="1", seed=1, stopped=(0.9, 0.99))]
    results += [run("quiet", 100, image="1", seed=1)]
    table = controls_table(results, CONTROLS)
    (row,) = effects_of(
        table[(table["metric"] == "ssim") & (table["target"] == 0.9)], CONTROLS
    ).to_dict("records")
    assert row["n_pairs"] == 3 and row["n_images"] == 2
    assert row["n_reached"] == 3 and row["n_reference_reached"] == 2
    # image 0: 1/2 and 2 cancel; image 1: at least four times as fast
    assert row["ratio"] == pytest.approx((1 + 0.25) / 2)
    assert (row["better"], row["worse"]) == (1, 0)


def test_scaled_controls_are_compared_with_the_scaled_reference():
    results = [run("row", 100), run("quiet", 50), run("row_scaled", 20), run("quiet_scaled", 40)]
    effects = control_effects(results, CONTROLS)
    assert set(effects[effects["scaled"]]["ratio"]) == {2.0}
    assert set(effects[~effects["scaled"]]["ratio"]) == {0.5}
    assert (effects["verdict"] == "undecided").all()
    assert effects_sentence(effects).startswith("None of 8 comparisons")
    assert control_effects([run("quiet", 5)], CONTROLS).empty


def test_a_control_may_be_compared_with_others_than_the_unmodified_one():
    """The scaled one with the unscaled, and with its own kind: two rows, corrected together."""
    against = {"against": [["row", True], ["quiet", False]]}
    key = "ablation_single_image/quiet_scaled"
    controls = CONTROLS | {key: CONTROLS[key] | against}
    results = [run("row_scaled", 100), run("quiet", 200), run("quiet_scaled", 50)]
    effects = control_effects(results, controls)
    at = effects[(effects["metric"] == "ssim") & (effects["target"] == 0.9)]
    found = {(r["reference"], r["reference_scaled"]): r["ratio"] for r in at.to_dict("records")}
    assert found == {("row", True): 0.5, ("quiet", False): 0.25}


def test_distances_of_the_budget_are_paired_by_seed():
    def budget(name, value, seed):
        return {
            "experiment": "ablation_budget",
            "dataset": "d",
            "image_size": 16,
            "model": name,
            "seed": seed,
            "precompute_seconds": 0.0,
            "learning_rate": 1e-3,
            "steps": 40,
            "train_seconds": 8.0,
            "quality": [{"metric": "frechet_x", "value": value}],
        }

    results = [budget("row", 4.0, s) for s in (1, 2)] + [budget("quiet", 2.0, s) for s in (1, 2)]
    (row,) = control_effects(results, CONTROLS).to_dict("records")
    assert row["experiment"] == "budget" and row["metric"] == "frechet_x" and row["n_pairs"] == 2
    assert row["ratio"] == 0.5 and pd.isna(row["n_images"]) and pd.isna(row["target"])


def sweep(rate, steps, image="0", stopped=(), model="m"):
    result = run(model, steps, image=image, stopped=stopped, experiment="learning_rates")
    return result | {"learning_rate": rate}


def test_best_rate_is_where_most_runs_arrive_and_then_the_fastest():
    results = [
        *(sweep(1e-3, 300, image=k) for k in "012"),
        *(sweep(2e-3, 200, image=k) for k in "012"),
        *(sweep(4e-3, 250, image=k) for k in "012"),
        # the fastest where it arrives, but it does not everywhere
        *(sweep(8e-3, 90, image=k, stopped=(0.99,) if k == "2" else ()) for k in "012"),
    ]
    given = ({"m": "score"}, 0.99, "ssim_global")
    best = best_rates(results, *given).set_index("learning_rate")
    assert list(best[best["chosen"]].index) == [2e-3] and not best["at_the_end"].any()
    assert list(best["n_reached"]) == [3, 3, 3, 2] and best.loc[2e-3, "steps"] == 400
    assert rates_sentence(best.reset_index()) == ("Chosen for one-window SSIM 0.99: score at 0.002")
    ends = best_rates(results[:6], *given)
    assert list(ends["at_the_end"]) == [False, True]
    assert "(the end of the range)" in rates_sentence(ends)
    table = learning_rates_table(results, {"m": "score"}, [calibration(0.1)])
    assert len(table) == 12 * 4 and set(table["family"]) == {"score"}
    assert table["seconds"].isna().sum() == 2


def test_no_rate_is_chosen_where_no_run_arrives():
    missed = [sweep(rate, 400, stopped=(0.99,)) for rate in (1e-3, 2e-3)]
    best = best_rates(missed, {"m": "score"}, 0.99, "ssim_global")
    assert not best["chosen"].any() and not best["at_the_end"].any()
    assert rates_sentence(best) == "No run of the sweep reached its target"
