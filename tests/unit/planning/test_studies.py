"""From the declarations of the studies and the configuration to rules, tables and figures."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.planning.config import check_config
from crosskrylov.planning.studies import (
    Products,
    frozen_labels,
    march_labels,
    parts_by_solver,
    products,
    studies_on,
    study_rules,
    study_sets,
    study_solvers,
)
from crosskrylov.studies.index import declared_studies


def configured(studies, **more):
    """Return a checked configuration of two image sets and three solvers."""
    return check_config(
        {
            "image_sets": {
                "a": {"source": "photos"},
                "b": {"source": "digits", "random_seeds": [1, 2]},
            },
            "solvers": {
                "fast": {"method": "transform_bicgstab"},
                "spsolve": {"method": "spsolve"},
                "pod": {"method": "cross_matrix_pod"},
            },
            "studies": studies,
            **more,
        }
    )


def rules(config):
    return {rule.name: rule for rule in study_rules(config)}


def at(**wildcards):
    return SimpleNamespace(**{"images": "a", "seed": "17"} | wildcards)


def names(files):
    return {file.stem for file in files}


# --- what is on ---------------------------------------------------------------------------------


def test_nothing_is_on_unless_it_is_configured():
    config = configured({})
    assert studies_on(config) == []
    assert products(config) == Products()
    assert [study_sets(config, name) for name in ("trajectory", "diversity", "export")] == [[]] * 3


def test_an_empty_section_switches_a_study_off():
    config = configured({"diversity": None, "trajectory": None, "likeness": {}})
    assert [study.name for study in studies_on(config)] == ["likeness"]


def test_inside_a_section_no_image_sets_means_all_and_an_empty_list_none():
    config = configured({"likeness": {}, "diversity": {"image_sets": ["b"]}})
    assert study_sets(config, "likeness") == ["a", "b"]
    assert study_sets(config, "diversity") == ["b"]
    assert studies_on(configured({"likeness": {"image_sets": []}})) == []


def test_solvers_of_a_study_default_to_all():
    config = configured({"trajectory": {"solvers": ["pod"]}, "time_to_residual": {}})
    assert study_solvers(config, "trajectory") == ["pod"]
    assert study_solvers(config, "time_to_residual") == ["fast", "spsolve", "pod"]


def test_labels_of_marches_and_of_the_frozen_study():
    config = configured(
        {
            "bank": {"at": [0.1, 0.5]},
            "trajectory": {"image_sets": ["b"], "solvers": ["pod", "fast"]},
            "time_to_residual": {"image_sets": ["a"]},
        }
    )
    marches = [(label["seed"], label["solver"]) for label in march_labels(config)]
    assert marches == [(1, "pod"), (1, "fast"), (2, "pod"), (2, "fast")]
    frozen = frozen_labels(config)  # a file per solver
    assert len(frozen) == len(study_solvers(config, "time_to_residual"))
    assert {(label["dataset"], label["time_steps"]) for label in frozen} == {("a", 2)}


# --- rules --------------------------------------------------------------------------------------


def test_a_rule_follows_from_the_declaration():
    rule = rules(configured({"likeness": {"dimension": 5, "image_sets": ["a"]}}))["study_likeness"]
    folder = "results/{images}/seed{seed}"
    assert rule.inputs == {"bank": f"{folder}/systems.npz"}
    tables = ("likeness_pairs", "likeness", "seed_choice")
    assert rule.tables == [f"{folder}/studies/{table}.tsv" for table in tables]
    assert rule.log == "{images}/seed{seed}/study_likeness"
    # the image sets are no parameter: another set re-runs nothing
    keys = {"dimension", "n_seeds", "random_draws", "permutations"}
    assert set(rule.params["options"]) == keys
    assert rule.params["options"]["dimension"] == 5
    assert names(rule.files(at())) == {"likeness", "bank"}
    assert "n_threads" not in rule.params


def test_a_study_without_images_writes_the_table_itself():
    rule = rules(configured({"convergence": {}}))["study_convergence"]
    assert rule.tables == ["results/tables/convergence.tsv"]
    assert rule.inputs == {}
    assert rule.log == "study_convergence"
    assert names(rule.files(at())) == {"convergence", "transform"}


def test_solvers_that_a_section_names_are_among_the_files():
    refiners = {"direct": {"method": "splu"}}
    studies = {"warm_start": {"refiners": refiners}, "error_budget": {"method": "bicgstab"}}
    made = rules(configured(studies))
    assert names(made["study_warm_start"].files(at())) == {"warm_start", "bank", "seeds", "direct"}
    assert {"error_budget", "krylov"} == names(made["study_error_budget"].files(at()))
    assert made["study_warm_start"].params["n_threads"] == 1


def test_a_job_of_several_solvers_depends_on_those_that_it_names():
    studies = {"clocks": {"solvers": ["pod", "spsolve"], "image_sets": ["a"]}}
    rule = rules(configured(studies))["study_clocks"]
    assert list(rule.params["solvers"]) == ["pod", "spsolve"]
    # the reference march needs the transform
    assert {"clocks", "pod", "direct", "transform"} <= names(rule.files(at()))
    assert "krylov" not in names(rule.files(at()))
    everything = rules(configured({"clocks": {}}))["study_clocks"]
    assert set(everything.params["solvers"]) == {"fast", "spsolve", "pod"}


def test_a_job_per_solver_depends_on_that_solver_alone():
    config = configured({"time_to_residual": {}})
    made = rules(config)
    first, others = made["study_time_to_residual_baseline"], made["study_time_to_residual"]
    assert (first.solver, others.solver) == ("spsolve", "fast|pod")
    assert names(others.files(at(solver="pod"))) == {"time_to_residual", "bank", "seeds", "pod"}
    assert names(first.files(at(solver="spsolve"))) == {
        *("time_to_residual", "bank", "seeds", "direct")
    }
    assert others.params["solver"](at(solver="pod"))["method"] == "cross_matrix_pod"
    folder = "results/{images}/seed{seed}/studies/time_to_residual"
    assert first.arrays == f"{folder}/{{solver}}.npz"
    assert others.reference == f"{folder}/spsolve.npz"
    assert (first.reference, others.arrays) == (None, None)
    # the tolerance that solvers.tsv reports is none of its parameters
    assert set(others.params["options"]) == {"tolerances", "repeats"}
    parts = parts_by_solver(config, declared_studies()["time_to_residual"])
    assert parts == [f"{folder}/{name}.tsv" for name in ("spsolve", "fast", "pod")]


def test_without_the_baseline_nobody_is_compared_with_it():
    config = configured({"time_to_residual": {"solvers": ["pod"]}})
    (rule,) = study_rules(config)
    assert rule.reference is None
    config["solvers"].pop("spsolve")
    (rule,) = study_rules(config)
    assert rule.solver == "fast|pod"


def test_tables_of_other_studies_are_read_where_these_are_on():
    both = {"system_summary": {}, "time_to_residual": {"image_sets": ["a"]}}
    read = rules(configured(both))["study_system_summary"].inputs["reads"]
    assert read(at()) == ["results/a/seed17/studies/time_to_residual.tsv"]
    assert read(at(images="b")) == []
    alone = rules(configured({"system_summary": {}}))["study_system_summary"].inputs["reads"]
    assert alone(at()) == []


def test_trajectories_are_those_of_the_marched_solvers():
    studies = {"trajectory": {"solvers": ["fast", "spsolve"]}, "downstream": {}}
    rule = rules(configured(studies))["study_downstream"]
    folder = "results/{images}/seed{seed}/trajectories"
    assert rule.inputs["trajectories"] == [f"{folder}/fast.npz", f"{folder}/spsolve.npz"]
    assert rule.params["baseline"] == "spsolve"


def test_a_function_that_asks_for_an_unknown_key_is_named():
    config = configured({"likeness": {}})
    del config["studies"]["likeness"]["random_draws"]
    with pytest.raises(ConfigError, match=r"likeness.py: .*'random_draws'.* studies.likeness: add"):
        list(study_rules(config))


# --- gathered tables and figures ----------------------------------------------------------------


def test_tables_and_figures_come_with_captions():
    config = configured({"likeness": {"image_sets": ["b"]}, "convergence": {}})
    found = products(config)
    assert set(found.studies) == {"likeness_pairs", "likeness", "seed_choice"}
    assert set(found.figures) == {"likeness", "seed_choice", "convergence"}
    figure = found.figures["likeness"]
    assert figure.table == "likeness"
    assert "Spearman" in figure.caption
    assert figure.function == "crosskrylov.reporting.figures.studies.likeness:plot_likeness"
    assert found.parts(config, "likeness") == [
        f"results/b/seed{seed}/studies/likeness.tsv" for seed in (1, 2)
    ]
    assert [label["seed"] for label in found.labels(config, "likeness")] == [1, 2]


def test_every_declared_figure_is_drawn():
    found = products(configured({name: {} for name in declared_studies()}))
    assert set(found.figures) == {f for s in declared_studies().values() for f in s.figures}


def test_a_figure_that_nobody_draws_is_named():
    with pytest.raises(ConfigError, match=r"Nobody draws the figure 'speed'"):
        Products().add_figure("speed", "solvers", "")


def test_planning_imports_nothing_numerical():
    # every job reads the Snakefile again, and would wait for it
    text = (
        "import sys, crosskrylov.planning.config, crosskrylov.planning.studies\n"
        "print(*{'numpy', 'scipy', 'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_study_that_needs_only_the_random_seeds_runs_once_with_all_of_them():
    rule = rules(configured({"potential_gap": {}}, random_seeds=[3, 4]))["study_potential_gap"]
    assert rule.run == "" and rule.params["random_seeds"] == [3, 4]
    assert rule.tables[0] == "results/tables/potential_gap.tsv"


def test_a_study_of_objectives_has_embedded_images_where_one_needs_scores():
    def inputs(*models):
        settings = {"image_sets": ["a"], "models": list(models)}
        return rules(configured({"training_objectives": settings}))[
            "study_training_objectives"
        ].inputs

    assert "embedded" not in inputs("dsm", "immiscible")
    found = inputs("dsm", {"model": "score_embedding", "name": "ours"})
    assert found["embedded"] == "results/{images}/seed{seed}/embedded.npz"
