"""The papers of the list: all there, measured from tables that exist, judged by what these hold."""

import shutil

import numpy as np
import pandas as pd
import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.learning.inverse.methods import METHODS
from crosskrylov.learning.inverse.operators import OPERATORS, chosen
from crosskrylov.learning.sampling.registry import sampler_choice
from crosskrylov.metrics.intervals import Interval
from crosskrylov.planning.config import load_config
from crosskrylov.reporting.papers_page import PAGE, TABLES, page, write_page
from crosskrylov.reporting.tables.papers import (
    FAILS,
    HOLDS,
    NOT_APPLICABLE,
    UNDECIDED,
    VERDICTS,
    bound,
    measure,
    measurements,
    overall,
    papers,
    papers_table,
    said,
    tables_read,
    verdict_on,
)
from crosskrylov.studies.index import declared_studies
from crosskrylov.studies.objective_diagnostics import EXACT, RELATIONS
from crosskrylov.studies.objective_sampling import sampling_plan
from crosskrylov.studies.training_objectives import choices
from tests.conftest import PROJECT

RATIO = {
    "table": "sampler_errors",
    "of": {"sampler": "slow"},
    "over": {"sampler": "fast"},
    "at": {"function_evaluations": 10},
    "claimed": 1,
}
ORDER = {
    "order": {"sampler": "slow"},
    "from": {"function_evaluations": 5},
    "claimed": [1, 2],
}


def errors(constants, order=1.0, seeds=(1, 2, 3), made=(5, 10, 20)):
    """Errors constant * n^-order, a little different for every seed and group."""
    rows = [
        {
            "dataset": "toy",
            "seed": seed,
            "group": group,
            "sampler": name,
            "function_evaluations": n,
            "error": constant / n**order * (1 + 0.01 * seed * group if name == "slow" else 1),
        }
        for seed in seeds
        for group in range(2)
        for name, constant in constants.items()
        for n in made
    ]
    return pd.DataFrame(rows)


def test_all_papers_are_there_and_every_verdict_is_one_of_four():
    table = papers_table({})
    assert len(table) == 46 and table.paper.is_unique
    assert set(table.verdict) <= set(VERDICTS)
    assert (table.verdict == NOT_APPLICABLE).sum() == 14
    # without tables nothing holds and nothing fails, and whoever was not measured is told why
    assert not table.verdict.isin([HOLDS, FAILS]).any()
    assert table.reason[table.tested.isna()].str.len().min() > 10
    assert (table.evidence[table.tested.notna()] == "not run").all()


def study_options(study, preset):
    presets = [PROJECT / "presets" / name for name in ("blank.yaml", preset)]
    return load_config(PROJECT / "config.yaml", *presets)["studies"][study]


def stated(*tables):
    """Return what is measured in the tables: the paper, its tables and what it says."""
    measured = [(entry["paper"], each) for entry in papers() for each in measurements(entry)]
    return [(paper, says) for paper, says in measured if says["table"] in tables]


def test_every_measurement_reads_a_table_of_the_list():
    studies = declared_studies()
    names = ("sampler_orders", "training_objectives", "inverse_problems", "time_to_residual")
    names += ("potential_gap",)
    assert set(tables_read()) <= {table for name in names for table in studies[name].tables}


def test_every_measurement_of_samplers_names_what_the_full_study_makes():
    options = study_options("sampler_orders", "study-samplers.yaml")
    labels = {sampler_choice(given).label for given in options["samplers"]}
    inverted = {sampler_choice(given).label for given in options["inverters"]}
    inverted |= {"ddim_inversion"}
    made = {"function_evaluations": options["evaluations"], "steps": options["inversion_steps"]}
    for paper, says in stated("sampler_errors", "inversion_errors"):
        for where in ("of", "over", "order"):
            if where in says:
                known = inverted if says["table"] == "inversion_errors" else labels
                assert says[where]["sampler"] in known, paper
        for along, at in says.get("at", {}).items():
            assert min(made[along]) <= at <= max(made[along])


def test_every_measurement_of_objectives_names_what_the_part_of_the_list_makes():
    options = study_options("training_objectives", "list-training.yaml")
    trained = choices(options["models"], options["batch_size"], options["against"])
    labels = {choice.label for choice in trained}
    made = {
        **{name: [options["function_evaluations"]] for name in options["samplers"]},
        **{name: options["few_evaluations"] for name in options["few_samplers"]},
    }
    found = stated("objective_errors")
    assert len(found) >= 7
    for paper, says in found:
        for where in ("of", "over"):
            assert says[where]["model"] in labels, paper
            at = says.get("at_of", says["at"]) if where == "of" else says["at"]
            if says[where]["quantity"] == "frechet":
                assert at["function_evaluations"] in made[says[where]["sampler"]], paper


def test_the_quantised_network_is_one_that_the_part_of_the_list_makes():
    options = study_options("training_objectives", "list-training.yaml")
    ((_, says),) = stated("objective_quantised")
    assert says["at"]["function_evaluations"] == options["function_evaluations"]
    assert {"model": says["of"]["model"], "weight_bits": 4} in options["quantised"]
    assert says["over"] == says["of"] | {"weight_bits": 32}  # as trained, which is always there


def test_what_states_no_such_number_is_told_and_decides_nothing():
    table = pd.DataFrame(
        {
            "model": "dsm",
            "weight_bits": [32, 4],
            "activation_bits": 32,
            "function_evaluations": 99,
            "group": 0,
            "error": [2.0, 3.0],
        }
    )
    row = papers_table({"objective_quantised": table}).set_index("paper").loc["Q-Diffusion"]
    assert row.measured == pytest.approx(1.5) and row.claimed == "no such number"
    assert row.verdict == UNDECIDED


def test_every_measurement_of_drawn_networks_names_what_the_part_of_the_list_makes():
    options = study_options("training_objectives", "list-training.yaml")
    trained = choices(options["models"], options["batch_size"], options["against"])
    models = {choice.label: choice.model for choice in trained}
    keys = ("sampled", "sampled_with", "sampled_evaluations", "kappas")
    plan = sampling_plan(*(options[key] for key in keys), models)
    counts = {choice.label: plan.counts(choice) for choice in plan.samplers}
    found = stated("network_samplers", "interpolant_kappa")
    assert len(found) > 10
    for paper, says in found:
        at = says["at"]["function_evaluations"]
        if says["table"] == "interpolant_kappa":
            assert len(plan.models) > 1 and at in plan.evaluations
            continue
        for where in ("of", "over"):
            assert says[where]["model"] in (*plan.models, EXACT), paper
            assert at in counts[says[where]["sampler"]], paper


def test_every_measurement_of_restorations_names_what_the_part_of_the_list_makes():
    options = study_options("inverse_problems", "list-inverse.yaml")
    methods = {chosen(given, METHODS, "method").label for given in options["methods"]}
    operators = {chosen(given, OPERATORS, "operator").label for given in options["operators"]}
    found = stated("inverse_errors")
    assert len(found) == 7
    for paper, says in found:
        for where in ("of", "over"):
            assert says[where]["method"] in methods, paper
            assert says[where]["operator"] in operators, paper
            assert says[where]["noise"] in options["noises"]
        assert says["at"]["function_evaluations"] in options["evaluations"]


def test_the_learned_solver_is_compared_with_what_the_part_of_the_list_solves():
    options = study_options("time_to_residual", "list-inverse.yaml")
    ((_, says),) = stated("time_to_residual")
    assert {says["of"]["solver"], says["over"]["solver"]} <= set(options["solvers"])
    assert says["at"]["tolerance"] in options["tolerances"]


def test_another_table_is_read_by_its_own_columns():
    table = pd.DataFrame(
        [
            {"seed": 1, "step": step, "solver": name, "tolerance": 1e-6, "mean_iterations": n}
            for step in (1, 5, 9)
            for name, n in (("gmres", 12.0 + step), ("learned", 6.0))
        ]
    )
    says = {
        "error": "mean_iterations",
        "group": "step",
        "of": {"solver": "gmres"},
        "over": {"solver": "learned"},
        "at": {"tolerance": 1e-6},
    }
    found = measure(says, table)
    assert found.median == pytest.approx(17 / 6) and found.low < found.median < found.high


def test_every_correlation_is_one_that_the_study_of_objectives_takes():
    found = stated("objective_relations")
    assert len(found) == 3
    for _, says in found:
        for where in ("correlation", "less"):
            assert where not in says or (says[where]["x"], says[where]["y"]) in RELATIONS


def test_correlations_are_read_as_they_stand_and_paired_by_run():
    rows = [
        {"seed": seed, "x": x, "y": "gap", "correlation": value}
        for seed, r, c in ((1, 0.8, -0.2), (2, 0.7, -0.1), (3, 0.9, float("nan")))
        for x, value in (("residual", r), ("curl", c))
    ]
    table = pd.DataFrame(rows)
    says = {"correlation": {"x": "residual", "y": "gap"}}
    found = measure(says, table)
    assert found.median == 0.8 and 0.5 < found.low < 0.6 and found.high == 1
    assert verdict_on(found, 0) == HOLDS
    assert verdict_on(measure({"correlation": {"x": "curl", "y": "gap"}}, table), 0) == UNDECIDED
    assert measure(says | {"less": {"x": "curl", "y": "gap"}}, table).median == pytest.approx(0.9)
    assert np.isnan(measure({"correlation": {"x": "none", "y": "gap"}}, table).median)
    assert verdict_on(measure(says, table[table.seed == 1]), 0) == UNDECIDED


@pytest.mark.parametrize(
    ("slow", "fast", "verdict"), [(3.0, 1.0, HOLDS), (1.0, 3.0, FAILS), (0.99, 1.0, UNDECIDED)]
)
def test_verdicts_follow_from_the_table(slow, fast, verdict):
    found = measure(RATIO, errors({"slow": slow, "fast": fast}))
    assert found.low < found.median < found.high
    assert found.median == pytest.approx(slow / fast, rel=0.05)
    assert verdict_on(found, RATIO["claimed"]) == verdict


def test_a_range_has_to_be_met():
    assert verdict_on(measure(ORDER, errors({"slow": 1}, 1.5)), [1, 2]) == HOLDS
    assert verdict_on(measure(ORDER, errors({"slow": 1}, 0.5)), [1, 2]) == FAILS
    assert verdict_on(measure(ORDER, errors({"fast": 1})), [1, 2]) == UNDECIDED
    assert verdict_on(Interval(1.5, float("nan"), float("nan")), [1, 2]) == UNDECIDED


def test_the_first_error_is_read_where_the_second_sampler_ran():
    table = pd.concat([errors({"slow": 8.0}, made=(4, 16)), errors({"fast": 1.0}, made=(9,))])
    assert measure(RATIO, table).median == pytest.approx(8, rel=0.05)
    outside = pd.concat([errors({"slow": 8.0}, made=(4, 8)), errors({"fast": 1.0}, made=(9,))])
    assert np.isnan(measure(RATIO, outside).median)


def test_the_interval_is_over_seeds_where_there_are_several():
    one = measure(RATIO, errors({"slow": 3.0, "fast": 1.0}, seeds=(1,)))
    assert one.low < one.median < one.high  # over its groups
    three = errors({"slow": 3.0, "fast": 1.0})
    three.loc[three.sampler == "slow", "error"] *= 1 + 0.5 * (three.seed == 3)
    assert measure(RATIO, three).high > 1.4 * measure(RATIO, three).median


def test_the_first_error_is_read_where_it_says():
    table = pd.concat([errors({"slow": 8.0}, made=(4, 16)), errors({"fast": 1.0}, made=(8,))])
    there = RATIO | {"at_of": {"function_evaluations": 16}}
    assert measure(there, table).median == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([(HOLDS, True)], HOLDS),
        ([(HOLDS, True), (HOLDS, True)], HOLDS),
        ([(HOLDS, True), (UNDECIDED, True)], HOLDS),
        ([(HOLDS, True), (UNDECIDED, False)], HOLDS),
        ([(HOLDS, True), (FAILS, True)], UNDECIDED),
        ([(UNDECIDED, True), (FAILS, True)], FAILS),
        ([(UNDECIDED, False), (HOLDS, True)], UNDECIDED),
    ],
)
def test_the_verdict_is_what_all_that_decide_agree_on(verdicts, expected):
    assert overall(verdicts) == expected


def test_steps_of_a_training_that_did_not_get_there_make_a_ratio_a_bound():
    says = {"of": {"model": "a"}, "over": {"model": "b"}}
    table = pd.DataFrame({"model": ["a", "b", "b", "b"], "reached": [True, True, False, False]})
    assert bound(says, table) == "at most"
    assert bound(says, table.assign(reached=True)) == ""
    assert bound(says, table.drop(columns="reached")) == bound({"order": {}}, table) == ""
    found = {"measured": 1.0, "low": 0.5, "high": 2.0, "bound": "at most"}
    assert said(found) == "at most **1** (0.5 to 2)"
    assert said(found | {"measured": np.nan}) == "not run"


def test_further_measurements_stand_beside_and_take_part_in_the_verdict():
    better = errors({"ddim": 30.0, "deis": 10.0})
    worse = errors({"ddim": 10.0, "deis": 30.0}).rename(columns={"error": "frechet"})
    worse["model"] = "dsm"
    of = "Fast sampling of diffusion models with exponential integrator (DEIS)"

    def row(**tables):
        return papers_table({"sampler_errors": better, **tables}).set_index("paper").loc[of]

    assert row().verdict == HOLDS and "not run" in row().further
    found = row(network_samplers=worse)
    assert found.measured == pytest.approx(3) and found.verdict == UNDECIDED
    assert "**0.333** (" in found.further and found.further in page(
        found.to_frame().T.reset_index(names="paper")
    )


def test_a_paper_that_says_too_much_or_too_little_is_named(tmp_path):
    file = tmp_path / "papers.yaml"
    file.write_text("- {paper: One, method: m, claim: c, not_run: a, not_applicable: b}\n")
    with pytest.raises(ConfigError, match="'One' must say paper, method, claim and one of"):
        papers(file)


def test_the_page_has_two_lines_per_paper_and_says_what_was_measured():
    table = papers_table({"sampler_errors": errors({"ddim": 30.0, "deis": 10.0})})
    text = page(table)
    lines = [line for line in text.splitlines() if line.startswith("- **")]
    assert len(lines) == 46 and text.count("\\\n  ") == 46
    (told,) = [block for block in text.split("\n- ") if "exponential integrator" in block]
    assert "**3** (" in told and "https://arxiv.org/abs/2204.13902" in told
    assert text.index("## What holds here") < text.index("(DEIS)") < text.index("## What is und")


def test_the_page_in_the_repository_is_that_of_its_tables(tmp_path):
    shutil.copytree(PROJECT / TABLES, tmp_path / TABLES)
    assert write_page(tmp_path).read_text() == (PROJECT / PAGE).read_text()
