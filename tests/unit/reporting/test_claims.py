import pandas as pd
import pytest

from crosskrylov.reporting.tables.claims import COLUMNS, claims_table


def solvers(saving=0.5, solver="cross_matrix_galerkin"):
    return pd.DataFrame(
        {
            "dataset": ["photos32"],
            "image_size": [32],
            "study": ["trajectory"],
            "solver": [solver],
            "time_reduction_vs_spsolve": [saving],
        }
    )


def training(dataset="cifar10", speedup=30.0, reached=True, bound=False):
    shared = {
        "experiment": "single_image",
        "dataset": dataset,
        "image_size": 32,
        "target_ssim": 0.99,
        "seed": 17,
    }
    ours = {"model": "score_embedding", "reached": reached, "speedup_vs_ddpm": speedup}
    rows = [
        shared | ours | {"speedup_is_lower_bound": bound},
        shared | {"model": "ddpm", "reached": not bound},
    ]
    return pd.DataFrame(rows)


def speedups(table):
    """Return the rows of the projection paper's first speed-up, 27.13x on CIFAR-10."""
    return table[table.paper_value == "27.13x"]


def test_without_training_its_claims_are_not_run():
    table = claims_table(solvers())
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 2 + 13 + 1
    assert set(table.verdict[2:]) == {"not run"}
    assert table.evidence[2:].isna().all() and table.measured_value[2:].isna().all()


@pytest.mark.parametrize(
    ("saving", "verdicts"),
    [
        (0.5, ["reproduced", "reproduced"]),
        (0.3, ["reproduced", "not reproduced"]),
        (-0.1, ["not reproduced", "not reproduced"]),
    ],
)
def test_saving_against_the_published_range(saving, verdicts):
    assert claims_table(solvers(saving)).verdict[:2].tolist() == verdicts


def test_other_solvers_say_nothing_about_the_published_projection():
    assert claims_table(solvers(0.9, "seed_lu")).verdict[:2].tolist() == ["not run"] * 2
    named = claims_table(solvers(0.9, "mine"), methods={"mine": "cross_matrix_galerkin"})
    assert named.verdict[:2].tolist() == ["reproduced"] * 2
    control = claims_table(solvers(0.9), methods={"cross_matrix_galerkin": ""})
    assert control.verdict[:2].tolist() == ["not run"] * 2


@pytest.mark.parametrize(
    ("run", "verdict", "measured"),
    [
        (training(), "reproduced", "30.00x"),
        (training(speedup=5.0), "not reproduced", "5.00x"),
        (training(speedup=5.0, bound=True), "not run", "at least 5.00x"),
        (training(speedup=30.0, bound=True), "reproduced", "at least 30.00x"),
        # DDPM got there and the method did not; neither got there: the budget was too short
        (training(reached=False), "not reproduced", "target not reached in 1 of 1 runs"),
        (training(reached=False, bound=True), "not run", "target not reached in 1 of 1 runs"),
    ],
)
def test_speedup_on_the_published_data_set(run, verdict, measured):
    rows = speedups(claims_table(solvers(), run))
    assert rows.verdict.tolist() == [verdict]
    assert rows.measured_value.tolist() == [measured]


def test_speedup_on_other_images_leaves_the_published_set_not_run():
    rows = speedups(claims_table(solvers(), training("photos32")))
    assert rows.dataset.tolist() == ["cifar10", "photos32"]
    assert rows.verdict.tolist() == ["not run", "reproduced"]


BUDGET_COLUMNS = ["experiment", "dataset", "model", "sampler", "metric", "value", "image_size"]


def budget_row(ours, ddpm):
    rows = [("budget", "photos32", "score_embedding", "euler", "frechet_x", 9.0, 32)]
    rows += [("budget", "photos32", "score_embedding", "heun", "frechet_x", v, 32) for v in ours]
    rows += [("budget", "photos32", "ddpm", "ddim", "frechet_x", v, 32) for v in ddpm]
    rows += [("budget", "photos32", "ddpm", "ddim", "precision", 1.0, 32)]
    rows += [("budget", "elsewhere", "ddpm", "ddim", "frechet_x", 0.1, 32)]
    return claims_table(solvers(), None, pd.DataFrame(rows, columns=BUDGET_COLUMNS)).iloc[-1]


def test_budget_compares_the_best_samplers_beyond_the_spread_over_seeds():
    row = budget_row([2.0, 4.0], [5.0, 6.0])
    assert (row.verdict, row.measured_value) == ("reproduced", "frechet_x 3 against 5.5")
    assert budget_row([2.0, 5.5], [5.0, 6.0]).verdict == "not reproduced"
    assert budget_row([6.0, 7.0], [5.0, 5.0]).verdict == "not reproduced"


def test_budget_gives_no_verdict_on_one_seed():
    row = budget_row([3.0], [5.0])
    assert row.verdict == "not run"
    assert row.measured_value == "frechet_x 3 against 5 (one random seed)"
