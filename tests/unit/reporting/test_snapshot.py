"""Keeping the results of a run under docs/."""

import pandas as pd
import pytest

from crosskrylov.reporting import snapshot
from crosskrylov.runtime.files import write_tsv


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    (folder / "figures").mkdir(parents=True)
    write_tsv(
        folder / "tables" / "solvers.tsv",
        pd.DataFrame({"solver": ["a|b", "c"], "seconds": [0.123456, None], "n": [3, 4]}),
    )
    write_tsv(folder / "tables" / "long.tsv", pd.DataFrame({"x": range(100)}))
    for name in ("residuals.svg", "residuals.png", "strip.png"):
        (folder / "figures" / name).write_text(name)
    (folder / "config.yaml").write_text("random_seeds: [1]\n")
    return folder


def test_readme_shows_figures_tables_and_origin(results, tmp_path):
    captions = tmp_path / "captions"
    captions.mkdir()
    (captions / "solvers.rst").write_text("Time of every solver.\n")
    (captions / "residuals.rst").write_text("Tolerance {{ snakemake.config }}\n")
    readme = snapshot.keep_results(results, tmp_path / "docs", "make study", captions)
    text = readme.read_text()
    assert "| command | `make study` |" in text
    assert "| commit |" in text
    assert "| date | 20" in text
    assert "![residuals](figures/residuals.svg)" in text
    assert "![strip](figures/strip.png)" in text
    assert "| a\\|b | 0.1235 | 3 |" in text
    assert "| c |  | 4 |" in text  # not measured stays empty
    assert "100 rows." in text
    assert "Time of every solver." in text
    assert "{{" not in text
    assert (tmp_path / "docs" / "tables" / "long.tsv").is_file()
    assert (tmp_path / "docs" / "config.yaml").is_file()


def test_folder_is_replaced_as_a_whole(results, tmp_path):
    target = tmp_path / "docs"
    snapshot.keep_results(results, target, "make study")
    (results / "tables" / "long.tsv").unlink()
    snapshot.keep_results(results, target, "make study")
    assert [file.name for file in (target / "tables").iterdir()] == ["solvers.tsv"]


def test_large_vector_figures_are_kept_as_pixels_only(results, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST_SVG", 5)
    text = snapshot.keep_results(results, tmp_path / "docs", "make study").read_text()
    assert "![residuals](figures/residuals.png)" in text
    assert not (tmp_path / "docs" / "figures" / "residuals.svg").exists()


def test_without_results_it_says_what_to_run(tmp_path, capsys):
    status = snapshot.main(
        ["--command", "make study", "--results", str(tmp_path), "--to", str(tmp_path / "docs")]
    )
    assert status == 1
    assert "holds no tables: run `make study` first" in capsys.readouterr().err
    assert not (tmp_path / "docs").exists()


def test_large_tables_are_left_out_and_named(results, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST_TABLE", 100)
    text = snapshot.keep_results(results, tmp_path / "docs", "make study").read_text()
    assert "Too large to be kept here (100 rows)." in text and "tables/long.tsv" not in text
    assert [file.name for file in (tmp_path / "docs" / "tables").iterdir()] == ["solvers.tsv"]
