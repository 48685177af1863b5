"""When a run of the single-image experiment may stop; first passages: test_tables_training."""

from crosskrylov.experiments.targets import run_goals, step_bounds
from crosskrylov.learning.training.loop import Goal


def method(**more):
    at = {"target_ssim": 0.9, "metric": "ssim", "reached": True, "step": 100, "train_seconds": 20.0}
    late = at | {"metric": "ssim_global", "step": 60, "train_seconds": 12.0}
    missed = at | {"target_ssim": 0.95, "reached": False}
    unclaimed = at | {"target_ssim": 0.5}
    return {"precompute_seconds": 0.0, "targets": [at, late, missed, unclaimed]} | more


def test_a_baseline_is_given_up_at_a_multiple_of_the_methods_steps():
    multiples = [[0.9, 2.5], [0.95, 3.0]]
    found = step_bounds(method(), multiples)
    assert found["ssim", 0.9] == 250 and found["ssim_global", 0.9] == 150
    assert ("ssim", 0.95) not in found  # the method missed it itself


def test_a_target_without_a_claim_is_given_up_with_the_last_that_has_one():
    found = step_bounds(method(), [[0.9, 2.5]])
    assert found["ssim", 0.5] == found["ssim", 0.95] == found["ssim", 0.9] == 250
    assert ("ssim_global", 0.5) not in found  # it is no target there
    assert step_bounds(method(), []) == {}


def test_precomputation_counts_as_steps():
    found = step_bounds(method(precompute_seconds=2.0), [[0.9, 2.0]])
    assert found["ssim", 0.9] == 220 and found["ssim_global", 0.9] == 140


def test_every_target_in_every_judged_metric_is_a_goal():
    goals = run_goals([0.9, 0.95], ["ssim_global", "ssim"], {("ssim", 0.9): 7})
    assert goals == (
        Goal("ssim_global", 0.9),
        Goal("ssim_global", 0.95),
        Goal("ssim", 0.9, 7),
        Goal("ssim", 0.95),
    )
