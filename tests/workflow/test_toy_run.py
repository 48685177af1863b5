"""The whole workflow at toy size: it runs, it is done, and edits re-run what depends on them."""

import html
import json
import re
import shutil

import pytest

from crosskrylov.runtime.files import read_tsv
from tests.conftest import PROJECT, TOY, copy_project, run_snakemake

RUN = ("--configfile", TOY)

#: What every change of a result brings with it: where the seconds went, and the target.
LAST = {"seconds_by_rule", "all"}
LAST_JOBS = {(rule, "") for rule in LAST}


def planned_rules(folder, *arguments):
    """Return the rules that a dry run in ``folder`` would execute."""
    plan = run_snakemake(*arguments, "--dry-run", *RUN, cwd=folder).stdout
    return set(re.findall(r"^(?:local)?rule (\w+):", plan, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project in which the toy configuration has been run."""
    folder = copy_project(tmp_path_factory.mktemp("toy") / "project")
    run_snakemake(*RUN, cwd=folder)
    return folder


@pytest.fixture
def edited(finished):
    """The finished copy, whose library, rules and configuration are put back after the test."""
    yield finished
    for part in ("crosskrylov", "workflow"):
        for file in (PROJECT / part).rglob("*"):
            copy = finished / file.relative_to(PROJECT)
            if file.suffix in (".py", ".smk") and copy.read_bytes() != file.read_bytes():
                shutil.copy(file, copy)


def append(file, text="\n# edited\n"):
    file.write_text(file.read_text() + text)


def test_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in run_snakemake(*RUN, cwd=finished).stdout


def test_every_job_left_a_log_and_no_partial_files(finished):
    assert list((finished / "results" / "logs").rglob("*.log"))
    assert list((finished / "results").rglob("*.partial*")) == []


def test_results_hold_no_folder_of_this_machine(finished):
    offenders = [
        file.relative_to(finished)
        for pattern in ("*.tsv", "*.json", "*.yaml", "*.svg")
        for file in (finished / "results").rglob(pattern)
        if str(finished) in file.read_text(errors="replace")
    ]
    assert offenders == []


def test_editing_a_library_module_reruns_exactly_what_depends_on_it(edited):
    append(edited / "crosskrylov" / "runtime" / "provenance.py")
    assert planned_rules(edited) == {"record_provenance"} | LAST


def test_editing_the_configuration_module_reruns_nothing(edited):
    append(edited / "crosskrylov" / "planning" / "config.py")
    append(edited / "crosskrylov" / "planning" / "dependencies.py")
    assert planned_rules(edited) == set()


def planned_models(folder):
    """Return the rules that train anything, and the models or variants that they would train."""
    plan = run_snakemake("--dry-run", *RUN, cwd=folder).stdout
    return set(re.findall(r"results/training/\w+/\w+/(\w+)/(?:image0/)?seed7/checkpoint", plan))


def test_editing_a_model_trains_only_that_model_again(edited):
    objectives = edited / "crosskrylov" / "learning" / "objectives"
    append(objectives / "noise_prediction.py")
    rules = planned_rules(edited)
    assert {"train_single_image", "denoise", "gather_results"} <= rules
    assert not {"train_budget", "compare_samplers", "embed_scores"} & rules
    assert planned_models(edited) == {"ddpm"}
    shutil.copy(PROJECT / objectives.relative_to(edited) / "noise_prediction.py", objectives)
    append(objectives / "score_embedding.py")
    assert planned_models(edited) == {"score_embedding", "sum", "scaled", "shuffled"}


def test_a_new_model_reruns_nothing(edited):
    objectives = edited / "crosskrylov" / "learning" / "objectives"
    text = (objectives / "noise_prediction.py").read_text().replace("ddpm", "another")
    (objectives / "another.py").write_text(text.replace("baseline=True", "baseline=False"))
    try:
        assert planned_rules(edited) == set()
    finally:
        (objectives / "another.py").unlink()


def planned_jobs(folder, *arguments):
    """Return rule and wildcards of every job that a dry run would execute."""
    plan = run_snakemake("--dry-run", *RUN, *arguments, cwd=folder).stdout
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", plan, flags=re.MULTILINE)
    return {
        (rule, "".join(re.findall(r"^    wildcards: (.*)$", text, flags=re.MULTILINE)))
        for rule, text in jobs
    }


#: What gathers the results of all solvers; none of it solves or marches.
GATHERING = {
    *("join_time_to_residual", "gather_study", "plot_study", "solver_table", "claims_table"),
    *("study_system_summary", "study_downstream", "seconds_by_rule", "all"),
    "list_table",
}


#: Studies in which several solvers take turns on one clock: another edition or option of one of
#: them is measured beside the others again.
TAKING_TURNS = {
    *("study_clocks", "study_frontier", "study_recycling", "study_unrefined"),
    *("study_where_it_pays", "study_engine_speed"),
}


def solving(jobs):
    """Return the jobs that march or solve for one solver alone."""
    return {job for job in jobs if job[0] not in GATHERING | TAKING_TURNS}


def test_a_new_solver_file_reruns_nothing(edited):
    file = edited / "crosskrylov" / "solvers" / "mine.py"
    file.write_text(
        "from crosskrylov.solvers.base import LinearSolver, register\n\n\n"
        '@register("mine", family="krylov")\nclass Mine(LinearSolver):\n    """Mine."""\n'
    )
    try:
        assert planned_jobs(edited) == set()
    finally:
        file.unlink()


def test_editing_a_solver_that_nobody_uses_reruns_nothing(edited):
    append(edited / "crosskrylov" / "solvers" / "pod.py")
    assert planned_jobs(edited) == set()


@pytest.mark.parametrize(
    ("module", "march", "frozen", "solver"),
    [
        ("direct", "solve_baseline", "study_time_to_residual_baseline", "spsolve"),
        ("projection", "project_targets", "study_time_to_residual", "cross_matrix_galerkin"),
    ],
)
def test_editing_a_solver_reruns_jobs_of_that_solver_alone(edited, module, march, frozen, solver):
    append(edited / "crosskrylov" / "solvers" / f"{module}.py")
    run = f"images=toy, seed=7, solver={solver}"
    assert solving(planned_jobs(edited)) == {(march, run), (frozen, run)}


def test_another_option_of_a_solver_reruns_jobs_of_that_solver_alone(edited):
    option = "solvers={cross_matrix_galerkin: {options: {dimension: 3}}}"
    run = "images=toy, seed=7, solver=cross_matrix_galerkin"
    assert solving(planned_jobs(edited, "--config", option)) == {
        *(("project_targets", run), ("study_time_to_residual", run), ("record_provenance", ""))
    }


def test_another_solver_in_the_configuration_plans_its_own_jobs(edited):
    run = "images=toy, seed=7, solver=other"
    assert solving(planned_jobs(edited, "--config", "solvers={other: {method: gmres}}")) == {
        *(("solve_baseline", run), ("study_time_to_residual", run), ("record_provenance", ""))
    }


def test_editing_a_study_reruns_that_study_alone(edited):
    append(edited / "crosskrylov" / "studies" / "warm_start.py")
    assert planned_jobs(edited) == {
        ("study_warm_start", "images=toy, seed=7"),
        ("gather_study", "table=warm_start"),
        ("plot_study", "figure=warm_start"),
        *LAST_JOBS,
    }


def test_editing_a_figure_redraws_that_figure_alone(edited):
    append(edited / "crosskrylov" / "reporting" / "figures" / "studies" / "diversity.py")
    assert planned_jobs(edited) == {("plot_study", "figure=diversity"), *LAST_JOBS}


def test_switching_a_study_off_reruns_nothing(edited, tmp_path):
    (tmp_path / "off.yaml").write_text("studies:\n  diversity:\n")
    changed = planned_jobs(edited, "--configfile", TOY, tmp_path / "off.yaml")
    assert changed <= {("record_provenance", ""), *LAST_JOBS}


def test_touching_a_module_without_a_change_reruns_nothing(edited):
    (edited / "crosskrylov" / "runtime" / "provenance.py").touch()
    assert planned_rules(edited) == set()


def test_moving_the_checkout_reruns_nothing(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "elsewhere", symlinks=True)
    assert planned_rules(tmp_path / "elsewhere") == set()


def test_deleting_a_result_makes_it_again(edited):
    (edited / "results" / "tables" / "provenance.tsv").unlink()
    assert "record_provenance" in planned_rules(edited)
    run_snakemake(*RUN, cwd=edited)


def test_one_changed_value_reruns_the_rules_that_use_it(edited):
    changed = planned_rules(edited, "--config", "equation={diffusion: {sigma: 3.0}}")
    # sigma is unused by the constant diffusion coefficient: only the record of the configuration
    assert changed == {"record_provenance"} | LAST


def test_comparing_other_samplers_trains_nothing_again(edited):
    changed = planned_rules(edited, "--config", "training={samplers: {samplers: [ddim]}}")
    assert "compare_samplers" in changed
    assert not {"train_budget", "sample", "evaluate_budget", "train_single_image"} & changed


def test_report_shows_every_figure_and_table(finished, tmp_path):
    report = tmp_path / "report.html"
    run_snakemake("--report", report, *RUN, cwd=finished)
    text = report.read_text()
    figures = {file.stem for file in (finished / "results" / "figures").glob("*.*")}
    tables = {file.name for file in (finished / "results" / "tables").glob("*.tsv")}
    assert "provenance.tsv" in tables
    assert [name for name in figures if f"{name}.svg" not in text] == []
    assert [name for name in tables if name not in text] == []
    assert "below 1 the projection helps" in text
    assert "ahead of SpSolve" in text
    assert all(re.findall(r'"caption": "(.*?)"', text))


def test_report_opens_with_the_claims_and_the_main_figure(finished, tmp_path):
    report = tmp_path / "report.html"
    run_snakemake("--report", report, *RUN, cwd=finished)
    (line,) = [x for x in report.read_text().splitlines() if "var workflow_desc = " in x]
    opening = json.loads(line.strip().removeprefix("var workflow_desc = ").rstrip(";"))
    claims = (finished / "results" / "tables" / "claims.tsv").read_text().splitlines()[1:]
    tested = [row.split("\t") for row in claims if not row.endswith("\tnot run")]
    assert opening.count("<tr>") == 1 + len(tested)
    assert all(html.escape(row[0]).replace("&#x27;", "&#39;") in opening for row in tested)
    assert opening.index("<table") < opening.index("<svg")
    assert "system-message" not in opening  # how docutils shows its errors


def test_seconds_of_every_rule_with_a_benchmark_are_told(finished):
    table = read_tsv(finished / "results" / "tables" / "seconds.tsv").set_index("rule")
    assert {"train_single_image", "record_provenance"} <= set(table.index)
    assert "seconds_by_rule" not in table.index
    trained = finished.glob("results/benchmarks/training/**/train_single_image.tsv")
    assert table.jobs["train_single_image"] == len(list(trained))
    assert (table.seconds > 0).all()


ENTRIES = [PROJECT / "Snakefile", PROJECT / "workflow" / "Snakefile"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda file: file.parent.name)
def test_runs_from_a_foreign_directory(tmp_path, entry):
    run_snakemake(
        *("results/tables/provenance.tsv", "--snakefile", entry),
        *("--directory", tmp_path),
        cwd=tmp_path,
    )
    assert (tmp_path / "results" / "tables" / "provenance.tsv").is_file()
    assert (tmp_path / "results" / "logs" / "record_provenance.log").is_file()


def test_images_are_shared_between_working_directories_through_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    for name in ("first", "second"):
        output = run_snakemake(
            *("results/toy/seed7/images.npz", "--snakefile", PROJECT / "Snakefile"),
            *("--directory", tmp_path / name, "--cache", *RUN),
            cwd=tmp_path,
        ).stdout
        assert ("Moving output file" in output) == (name == "first")
    first, second = (
        tmp_path / name / "results/toy/seed7/images.npz" for name in ("first", "second")
    )
    assert first.resolve() == second.resolve()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda file: file.parent.name)
def test_is_usable_as_a_module(tmp_path, entry):
    (tmp_path / "Snakefile").write_text(
        f'configfile: "{PROJECT / "config" / "config.yaml"}"\n'
        f'module scores:\n    snakefile: "{entry}"\n    config: config\n'
        '    prefix: "inner"\n'
        "use rule * from scores as scores_*\n"
    )
    assert re.search(r"^scores_all +1$", run_snakemake("-n", cwd=tmp_path).stdout, re.MULTILINE)
    run_snakemake("inner/results/tables/provenance.tsv", cwd=tmp_path)
    assert (tmp_path / "inner" / "results" / "tables" / "provenance.tsv").is_file()
