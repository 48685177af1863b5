"""Times to a target, image by image; runs that were stopped before stay in as bounds."""

import numpy as np
import pandas as pd
from scipy import stats

from crosskrylov.metrics.intervals import median_interval
from crosskrylov.reporting.figures.style import finding_of
from crosskrylov.reporting.figures.survival import half_reached, plot_survival, survival
from crosskrylov.reporting.tables.first_steps import first_steps
from crosskrylov.reporting.tables.paired import COLUMNS, Ratios, paired_table
from crosskrylov.reporting.tables.paired import ratio_bounds as bounds


def runs(model, steps, stopped=(), image="{}", seed=17, target=0.99):
    """Return runs of a model on as many images as there are numbers of steps of 2 s."""
    return pd.DataFrame(
        {
            "experiment": "single_image",
            "dataset": "photos32",
            "image_size": 32,
            "model": model,
            "image": [image.format(k) for k in range(len(steps))],
            "seed": seed,
            "target_ssim": target,
            "metric": "ssim_global",
            "reached": [k not in stopped for k in range(len(steps))],
            "precompute_seconds": 10.0 if model == "score_embedding" else 0.0,
            "steps": steps,
            "seconds_per_step": 2.0,
            "wall_seconds": 1.0,
        }
    )


def row(*parts):
    table = paired_table(pd.concat(parts, ignore_index=True), ["ddpm"])
    assert tuple(table.columns) == COLUMNS
    (found,) = table.to_dict("records")
    return found


STEPS = [45, 95, 145, 195, 245, 295]  # with the pre-computation 100, 200, ... 600 s


def test_ratios_pair_images_and_count_the_precomputation():
    found = row(runs("score_embedding", STEPS), runs("ddpm", [150, 290, 480, 590, 760, 800]))
    ratios = np.array([300, 580, 960, 1180, 1520, 1600]) / np.array([1, 2, 3, 4, 5, 6]) / 100
    named = [found[key] for key in ("ratio", "ratio_low", "ratio_high")]
    np.testing.assert_allclose(named, median_interval(ratios))
    assert (found["pairs"], found["exact"], found["faster"], found["slower"]) == (6, 6, 6, 0)
    assert (found["finding"], found["effect_size"]) == ("faster", 1.0)
    assert (found["test"], found["p_value"]) == ("wilcoxon", stats.wilcoxon(np.log(ratios)).pvalue)
    assert pd.isna(found["images_to_decide"])


def test_a_baseline_that_was_stopped_leaves_the_upper_end_open():
    found = row(runs("score_embedding", STEPS), runs("ddpm", [500] * 6, stopped=[0, 1]))
    assert (found["exact"], found["at_least"], found["unknown"]) == (4, 2, 0)
    assert found["ratio_low"] > 1 and np.isnan(found["ratio_high"])
    assert (found["finding"], found["test"], found["p_value"]) == ("faster", "sign", 2 / 2**6)


def test_a_model_that_was_stopped_leaves_the_lower_end_open():
    found = row(runs("dsm", [900] * 6, stopped=range(6)), runs("ddpm", [300, 310, 320] * 2))
    assert (found["at_most"], found["faster"], found["slower"]) == (6, 0, 6)
    assert np.isnan(found["ratio_low"]) and found["ratio_high"] < 1
    assert (found["finding"], found["effect_size"]) == ("slower", -1.0)


def test_what_was_reached_by_the_first_evaluation_is_a_bound():
    """It may have been reached at any step before."""
    both = [runs("dsm", [50, 90]), runs("ddpm", [60, 45])]
    training = pd.concat(both, ignore_index=True)
    (known,) = paired_table(training, ["ddpm"]).to_dict("records")
    assert (known["exact"], known["faster"], known["slower"]) == (2, 1, 1)
    (found,) = paired_table(training, ["ddpm"], {"photos32": [45], "x": [60]}).to_dict("records")
    assert (found["exact"], found["at_most"]) == (1, 1)
    assert np.isnan(found["ratio_low"]) and found["ratio"] == known["ratio"]
    (found,) = paired_table(training, ["ddpm"], {"photos32": [45, 50]}).to_dict("records")
    assert (found["exact"], found["at_most"], found["at_least"]) == (0, 1, 1)
    (found,) = paired_table(training, ["ddpm"], {"photos32": [45, 90]}).to_dict("records")
    assert (found["exact"], found["unknown"]) == (1, 1)


def test_first_evaluations_are_those_of_all_configurations_that_share_a_set():
    configs = [
        {"training": {"single_image": {"image_sets": ["a", "b"], "first_evaluation": 20}}},
        {"training": {"single_image": {"image_sets": ["a"], "first_evaluation": 50}}},
        {"training": {"single_image": {"image_sets": ["a", "c"], "first_evaluation": 20}}},
        {"training": {"single_image": {"image_sets": [], "first_evaluation": 70}}},
        {},
    ]
    assert first_steps(configs) == {"a": [20, 50], "b": [20], "c": [20]}


def test_where_neither_arrived_nothing_is_known():
    found = row(runs("dsm", [9, 9], stopped=[0, 1]), runs("ddpm", [7, 7], stopped=[0, 1]))
    assert (found["unknown"], found["exact"], found["finding"]) == (2, 0, "undecided")
    assert found["test"] is None and np.isnan(found["ratio"])


def test_seeds_of_an_image_are_no_further_images():
    parts = [runs("dsm", [10, 20], seed=seed) for seed in (1, 2, 3)]
    others = [runs("ddpm", [10 * factor, 20], seed=factor) for factor in (1, 2, 3)]
    found = row(*parts, *others)
    assert found["pairs"] == 2 and found["ratio"] == np.median([2.0, 1.0])


def test_groups_of_images_are_compared_apart_from_single_ones():
    groups = [runs(model, [10, 12], image="{}+7+8") for model in ("dsm", "ddpm")]
    singles = [runs(model, [10, 12]) for model in ("dsm", "ddpm")]
    table = paired_table(pd.concat([*groups, *singles], ignore_index=True), ["ddpm", "absent"])
    assert table["images_together"].tolist() == [1, 3]
    assert table["pairs"].tolist() == [2, 2]


def test_capped_ratios_never_raise_the_lower_end():
    rng = np.random.default_rng(3)
    for _ in range(50):
        ratios = np.exp(rng.normal(1, 1, size=6))
        cap = np.exp(rng.normal(1, 1))
        capped = np.minimum(ratios, cap)
        found = bounds(Ratios(capped, np.where(ratios > cap, np.inf, ratios)))
        assert np.log(found.low) <= np.log(ratios).mean()
        assert np.isnan(found.high) == (ratios > cap).any()


def test_stopped_runs_stay_in_the_survival_curve():
    seconds, reached = np.array([10.0, 20.0, 30.0, 40.0]), np.array([True, False, True, True])
    curve = survival(seconds, reached)
    np.testing.assert_allclose(curve.evaluate([10, 20, 30, 40]), [0.75, 0.75, 0.375, 0])
    assert half_reached(seconds, reached) == 30.0
    assert half_reached(seconds, np.array([True, False, False, False])) == np.inf


def test_finding_of_the_survival_curves_names_runs_that_were_stopped():
    late = runs("ddpm_from_noise", [900] * 6, stopped=range(6))
    table = pd.concat([runs("score_embedding", STEPS), runs("ddpm", STEPS), late])
    assert finding_of(plot_survival(table)) == (
        "Half of the runs on photos32 reach SSIM 0.99: score embedding after 300 s, DDPM after "
        "290 s, DDPM from noise not before they were stopped"
    )
