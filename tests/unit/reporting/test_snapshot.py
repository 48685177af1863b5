"""Keeping the parts of the experiments under docs/: they add up."""

import json
import shutil
from itertools import permutations

import pandas as pd
import pytest

from crosskrylov.errors import DataError
from crosskrylov.reporting import catalogue, snapshot
from crosskrylov.reporting.figures.register import QUESTIONS
from crosskrylov.reporting.joining import join_tables
from crosskrylov.reporting.records import record_of
from crosskrylov.reporting.tables.paired import paired_table
from crosskrylov.runtime.files import read_json, read_tsv, write_json, write_tsv

LINKS = ("[study](#study)", "[generation](#generation)")


class Results:
    """A folder results/ as the rule keep_records leaves it."""

    def __init__(self, folder):
        self.folder = folder
        lists = ("tables", "figures", "withheld", "retained")
        self.manifest = {name: [] for name in lists} | {"captions": {}}
        folder.mkdir()
        (folder / "config.yaml").write_text("random_seeds: [1]\n")

    def table(self, name, table):
        write_tsv(self.folder / "tables" / f"{name}.tsv", pd.DataFrame(table))
        self.manifest["tables"].append(f"{name}.tsv")

    def figure(self, name, text="pixels"):
        (self.folder / "figures").mkdir(exist_ok=True)
        (self.folder / "figures" / name).write_text(text)
        self.manifest["figures"].append(name)

    def record(self, name, seconds, commit="c1"):
        record = record_of(f"results/{name}", {"r": seconds}, "f", {"machine_id": "m"}, commit, "d")
        write_json(self.folder / "records" / f"{name}.json", record)

    def keep(self, target, part="study", **options):
        write_json(self.folder / "part.json", self.manifest)
        return snapshot.keep_part(self.folder, target, part, f"make {part}", **options)


@pytest.fixture
def study(tmp_path):
    results = Results(tmp_path / "results")
    results.table("solvers", {"solver": ["a|b", "c"], "seconds": [0.123456, None], "n": [3, 4]})
    results.table("long", {"x": range(100)})
    for name in ("residuals.svg", "residuals.png", "strip.png"):
        results.figure(name, name)
    results.record("toy/seed7/run.tsv", 1.0)
    return results


@pytest.fixture
def other(tmp_path):
    results = Results(tmp_path / "other_results")
    results.table("training", {"model": ["x"]})
    results.figure("curves.png")
    results.record("training/run.json", 2.0)
    return results


@pytest.fixture
def docs(tmp_path):
    return tmp_path / "docs"


def contents(folder):
    """Return every file of a snapshot, without entries of parts and README, which hold dates."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for kind in snapshot.KINDS
        for file in (folder / kind).rglob("*")
        if file.is_file()
    }


# --- one part -----------------------------------------------------------------------------------


def test_readme_shows_figures_tables_and_origin(study, docs, tmp_path):
    captions = tmp_path / "captions"
    captions.mkdir()
    (captions / "solvers.rst").write_text("Time of every ``solver``.\n")
    (captions / "residuals.rst").write_text("Tolerance {{ snakemake.config }}\n")
    study.manifest["captions"]["strip"] = "As declared."
    text = study.keep(docs, captions=captions).read_text()
    assert "| command | `make study` |" in text
    assert "| commit |" in text
    assert "| date | 20" in text
    assert "| machine_id |" in text
    assert "![residuals](figures/residuals.svg)" in text
    assert "![strip](figures/strip.png)" in text
    assert "| a\\|b | 0.1235 | 3 |" in text
    assert "| c |  | 4 |" in text  # not measured stays empty
    assert "100 rows." in text
    assert "Time of every `solver`." in text
    assert "As declared." in text
    assert "{{" not in text
    assert "From [study](#study)." in text
    assert (docs / "tables" / "long.tsv").is_file()
    assert (docs / "parts" / "study.config.yaml").is_file()
    assert (docs / "records" / "toy" / "seed7" / "run.tsv.json").is_file()


def test_captions_may_be_given(study, docs):
    assert "Some words." in study.keep(docs, captions={"long": "Some words."}).read_text()


def test_only_what_the_configuration_asks_for_is_kept(study, docs):
    write_tsv(study.folder / "tables" / "stale.tsv", pd.DataFrame({"x": [1]}))
    study.keep(docs)
    assert not (docs / "tables" / "stale.tsv").exists()


def test_large_vector_figures_are_kept_as_pixels_only(study, docs, monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST_SVG", 5)
    text = study.keep(docs).read_text()
    assert "![residuals](figures/residuals.png)" in text
    assert not (docs / "figures" / "residuals.svg").exists()


def test_large_tables_are_left_out_and_named(study, docs, monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST_TABLE", 100)
    text = study.keep(docs).read_text()
    assert "Too large to be kept here (100 rows)." in text and "tables/long.tsv" not in text
    assert [file.name for file in (docs / "tables").iterdir()] == ["solvers.tsv"]


def test_withheld_figures_stay_out_and_are_named(study, docs):
    study.manifest["withheld"] = ["strip"]
    text = study.keep(docs).read_text()
    assert not (docs / "figures" / "strip.png").exists()
    assert "not published) | strip |" in text


def test_a_figure_that_is_withheld_from_now_on_goes(study, docs):
    study.keep(docs)
    study.manifest["withheld"] = ["strip"]
    study.keep(docs)
    assert not (docs / "figures" / "strip.png").exists()


def test_without_results_it_says_what_to_run(tmp_path, docs, capsys):
    arguments = ["--part", "study", "--command", "make study"]
    status = snapshot.main([*arguments, "--results", str(tmp_path), "--to", str(docs)])
    assert status == 1
    assert "make it with `snakemake records`" in capsys.readouterr().err
    assert not docs.exists()


def test_a_name_that_is_no_file_name_is_refused(study, docs):
    with pytest.raises(DataError, match=r"'\.\./x'"):
        study.keep(docs, "../x")


# --- parts add up ---------------------------------------------------------------------------------


def test_parts_add_up(study, other, docs):
    study.keep(docs)
    before = contents(docs)
    text = other.keep(docs, "generation").read_text()
    after = contents(docs)
    assert before.items() <= after.items()
    assert set(after) - set(before) == {
        "tables/training.tsv",
        "figures/curves.png",
        "records/training/run.json.json",
    }
    assert "From [study](#study)." in text and "From [generation](#generation)." in text
    assert "`make study`" in text and "`make generation`" in text


def test_second_snapshot_of_a_part_removes_what_it_no_longer_makes(study, other, docs):
    study.keep(docs)
    other.keep(docs, "generation")
    study.manifest["tables"].remove("long.tsv")
    study.manifest["figures"].remove("strip.png")
    shutil.rmtree(study.folder / "records")
    study.keep(docs)
    assert set(contents(docs)) == {
        "tables/solvers.tsv",
        "figures/residuals.svg",
        "figures/residuals.png",
        "tables/training.tsv",
        "figures/curves.png",
        "records/training/run.json.json",
    }


def test_a_differing_file_is_taken_over_and_that_is_noted(study, other, docs, capsys):
    study.keep(docs)
    other.table("solvers", {"solver": ["new"]})
    other.keep(docs, "generation")
    assert "new" in (docs / "tables" / "solvers.tsv").read_text()
    generation = read_json(docs / "parts" / "generation.json")
    assert generation["took_over"] == {"tables/solvers.tsv": "study"}
    assert read_json(docs / "parts" / "study.json")["tables"] == ["long.tsv"]
    # the study, kept again without it, must not remove what is another's now
    study.manifest["tables"].remove("solvers.tsv")
    study.keep(docs)
    assert (docs / "tables" / "solvers.tsv").is_file()


def test_a_table_of_two_parts_holds_the_rows_of_both(study, other, docs):
    study.keep(docs)
    other.table("solvers", {"solver": ["c", "new"], "seconds": [9.0, 8.0], "n": [4, 5]})
    text = other.keep(docs, "generation").read_text()
    table = read_tsv(docs / "tables" / "solvers.tsv")
    assert table.solver.tolist() == ["a|b", "c", "new"]
    assert table.seconds.tolist() == [0.123456, 9.0, 8.0]  # the newer row of its kind
    assert any(f"From {a}, {b}." in text for a, b in permutations(LINKS))
    # each part can be replaced and taken away alone
    study.manifest["tables"].remove("solvers.tsv")
    study.table("solvers", {"solver": ["d"], "seconds": [1.0], "n": [1]})
    study.keep(docs)
    assert set(read_tsv(docs / "tables" / "solvers.tsv").solver) == {"c", "new", "d"}
    other.manifest["tables"].remove("solvers.tsv")
    other.keep(docs, "generation")
    assert read_tsv(docs / "tables" / "solvers.tsv").solver.tolist() == ["d"]
    assert not (docs / "parts" / "generation").exists()


def test_an_equal_file_belongs_to_both_until_the_last_lets_it_go(study, other, docs):
    study.keep(docs)
    shutil.copy(study.folder / "tables" / "long.tsv", other.folder / "tables")
    other.manifest["tables"].append("long.tsv")
    text = other.keep(docs, "generation").read_text()
    assert read_json(docs / "parts" / "generation.json")["took_over"] == {}
    assert any(f"From {a}, {b}." in text for a, b in permutations(LINKS))
    for results, part in ((study, "study"), (other, "generation")):
        assert (docs / "tables" / "long.tsv").is_file()
        results.manifest["tables"].remove("long.tsv")
        results.keep(docs, part)
    assert not (docs / "tables" / "long.tsv").exists()


def test_a_record_of_the_same_run_is_left_as_it_was(study, docs):
    study.keep(docs)
    study.record("toy/seed7/run.tsv", 1.0, commit="c2")
    study.keep(docs)
    file = docs / "records" / "toy" / "seed7" / "run.tsv.json"
    assert read_json(file)["commit"] == "c1"
    study.record("toy/seed7/run.tsv", 3.0, commit="c2")
    study.keep(docs)
    assert read_json(file)["commit"] == "c2"


def test_a_figure_of_runs_that_were_taken_from_records_stays(study, docs):
    study.keep(docs)
    study.manifest["figures"].remove("strip.png")
    study.manifest["retained"] = ["strip"]
    text = study.keep(docs).read_text()
    assert "figures/strip.png" in text and (docs / "figures" / "strip.png").is_file()
    # but not once its images may no longer be shown
    study.manifest["withheld"] = ["strip"]
    study.keep(docs)
    assert not (docs / "figures" / "strip.png").exists()


@pytest.mark.parametrize("after", range(5))
def test_an_interruption_leaves_the_old_snapshot(study, docs, monkeypatch, after):
    study.keep(docs)
    before = {f: f.read_bytes() for f in docs.rglob("*") if f.is_file()}
    for name in ("solvers", "long"):
        study.manifest["tables"].remove(f"{name}.tsv")
        study.table(name, {"changed": [1]})
    for name in ("residuals.svg", "residuals.png", "strip.png"):
        (study.folder / "figures" / name).write_text("changed")
    copied = []

    def interrupted(source, target):
        copied.append(source)
        if len(copied) > after:
            raise KeyboardInterrupt
        shutil.copyfile(source, target)

    monkeypatch.setattr(snapshot.shutil, "copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.keep(docs)
    assert {f: f.read_bytes() for f in docs.rglob("*") if f.is_file()} == before
    assert [file.name for file in docs.parent.iterdir() if "partial" in file.name] == []


def test_entries_of_parts_are_plain_json(study, docs):
    study.keep(docs)
    entry = json.loads((docs / "parts" / "study.json").read_text())
    assert entry["configuration"] == "parts/study.config.yaml"
    assert entry["records"] == ["toy/seed7/run.tsv.json"]


def test_claims_are_judged_by_the_tables_of_all_parts(tmp_path):
    """Training and solvers are of different parts: neither leaves the other's claims not run."""
    target = tmp_path / "kept"
    for part, name in (("solvers", "mine"), ("training", "cross_matrix_galerkin")):
        results = Results(tmp_path / part)
        config = f"solvers:\n  {name}:\n    method: cross_matrix_galerkin\n    options: {{}}\n"
        (results.folder / "config.yaml").write_text(config)
        march = {"dataset": f"of_{part}", "image_size": 32, "study": "trajectory", "solver": name}
        savings = {"time_reduction_vs_spsolve": 0.5}
        results.table("solvers", {key: [value] for key, value in (march | savings).items()})
        results.table("claims", {"claim": ["stale"], "verdict": ["stale"]})
        results.keep(target, part)
    claims = read_tsv(target / "tables" / "claims.tsv")
    measured = claims[claims.measured_value.notna()]
    assert measured.dataset.tolist() == ["of_solvers", "of_training"]
    assert "stale" not in set(claims.verdict)


def test_runs_are_paired_over_the_images_of_all_parts(tmp_path):
    target = tmp_path / "kept"
    for part, images in (("first", ["0", "1"]), ("more", ["2", "3", "4"])):
        results = Results(tmp_path / part)
        about = {"experiment": "single_image", "dataset": "toy", "image_size": 32, "seed": 7}
        about |= {"target_ssim": 0.9, "metric": "ssim", "reached": True, "precompute_seconds": 0}
        runs = [
            about | {"model": model, "image": image, "steps": steps, "seconds_per_step": 1.0}
            for image in images
            for model, steps in (("dsm", 10 + int(image)), ("ddpm", 30))
        ]
        training = pd.DataFrame(runs)
        results.table("training", training)
        results.table("paired", paired_table(training, ["ddpm"]))
        results.keep(target, part)
    (row,) = read_tsv(target / "tables" / "paired.tsv").to_dict("records")
    assert (row["model"], row["against"], row["pairs"], row["ratio"]) == ("dsm", "ddpm", 5, 2.5)


def test_an_image_keeps_its_name_beside_rows_without_one():
    """An empty cell makes floats of the numbers around it: 0.0 would be another image than 0."""
    some = pd.DataFrame({"model": ["a", "b"], "image": [0.0, None], "steps": [1, 2]})
    others = pd.DataFrame({"model": ["a", "a"], "image": ["0", "0+1"], "steps": [3, 4]})
    joined = join_tables([some, others])
    assert joined["image"].fillna("").astype(str).tolist() == ["", "0", "0+1"]
    assert joined["steps"].tolist() == [2, 3, 4]


def test_true_and_false_stay_so_beside_rows_without_them():
    some = pd.DataFrame({"model": ["a", "b"], "seed": 1, "reached": [True, False]})
    others = pd.DataFrame({"model": ["c"], "seed": 1, "reached": [float("nan")]})
    for editions in ([some, others], [others, some]):
        joined = join_tables(editions).set_index("model")["reached"]
        assert joined.dropna().astype(str).to_dict() == {"a": "True", "b": "False"}
        assert joined.isna().to_dict() == {"a": False, "b": False, "c": True}


def test_the_texts_of_the_checkout_are_written_again(study, tmp_path, monkeypatch, capsys):
    """Numbers follow the tables just kept; a wrong one is said, and the snapshot is kept."""
    checkout = tmp_path / "checkout"
    (checkout / "docs").mkdir(parents=True)
    monkeypatch.chdir(checkout)
    entry = "{table: solvers, where: {solver: a|b}, value: n, format: '{:.0f}'}"
    (checkout / "docs" / "numbers.yaml").write_text(f"n: {entry}\n")
    write_json(study.folder / "part.json", study.manifest)
    arguments = ["--part", "study", "--command", "make study", "--results", str(study.folder)]
    (checkout / "README.md").write_text("<!--n:n-->0<!--/n-->")
    assert snapshot.main(arguments) == 0
    assert (checkout / "README.md").read_text() == "<!--n:n-->3<!--/n-->"
    (checkout / "README.md").write_text("<!--n:m-->0<!--/n-->")
    assert snapshot.main(arguments) == 1
    assert "the number 'm' is not in docs/numbers.yaml" in capsys.readouterr().err
    assert (checkout / "docs" / "results" / "tables" / "solvers.tsv").is_file()
    elsewhere = tmp_path / "elsewhere"
    assert snapshot.main([*arguments, "--to", str(elsewhere)]) == 0


# --- questions, findings, drawing again ---------------------------------------------------------


def with_a_figure(study, orders):
    """Add the study convergence with a figure as an older version drew it."""
    steps = [0.1, 0.05]
    for name, values in (("convergence", orders),):
        study.table(
            name,
            {
                "boundary": "zero_padding",
                "varied": ["time_step"] * 2 + ["spacing"] * 2,
                "step_size": steps * 2,
                "score_error": [0.2, 0.1] * 2,
                "order": [None, values[0], None, values[1]],
            },
        )
    study.figure("convergence.svg", "<svg><title>An old finding</title></svg>")
    study.figure("convergence.png")


def test_readme_asks_questions_and_says_findings(study, docs):
    with_a_figure(study, (1.0, 2.0))
    text = study.keep(docs).read_text()
    question = text.index("## How exact are the scores, and what limits them?")
    assert question < text.index("**An old finding.**") < text.index("## Further figures")
    assert "In numbers: [convergence](#table-convergence)." in text
    assert "### table convergence" in text
    assert "second order in space" in text  # the figure's caption, from its declaration
    assert text.index("## Further figures") < text.index("![strip]")


def test_figures_are_drawn_again_from_the_tables_alone(study, docs, capsys):
    with_a_figure(study, (1.0, 1.2))
    study.keep(docs)
    before = contents(docs)
    assert snapshot.main(["--redraw", "--to", str(docs)]) == 0
    assert capsys.readouterr().out == f"drew convergence in {docs}\n"
    after = contents(docs)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"figures/convergence.svg", "figures/convergence.png"}
    assert "less than expected in the grid spacing" in (docs / "README.md").read_text()


def test_a_folder_that_is_no_snapshot_is_not_redrawn(docs, capsys):
    assert snapshot.main(["--redraw", "--to", str(docs)]) == 1
    assert "no snapshot" in capsys.readouterr().err


def test_every_figure_has_a_caption_and_a_known_question():
    figures = catalogue.catalogue()
    assert {name for name, figure in figures.items() if figure.question not in QUESTIONS} == set()
    assert {name for name, figure in figures.items() if not figure.caption} == set()
    assert catalogue.figure_of("sample_grids-digits16-seed17").question == "samples"
    assert catalogue.question_of_table("break_even") == "speed"


def test_an_older_edition_may_lack_what_was_not_measured_then():
    """Its rows stay, with empty cells; one that lacks a column that tells rows apart does not."""
    from crosskrylov.reporting.joining import join_tables

    older = pd.DataFrame({"dataset": ["a", "b"], "model": ["m", "m"], "value": [1.0, 2.0]})
    newer = pd.DataFrame({"dataset": ["b"], "model": ["m"], "steps": [9], "value": [3.0]})
    joined = join_tables([older, newer])
    assert list(joined.columns) == list(newer.columns)
    assert joined["value"].tolist() == [1.0, 3.0]
    assert joined["steps"].isna().tolist() == [True, False]
    assert join_tables([newer, older]) is None
    assert join_tables([older.drop(columns="model"), newer]) is None
