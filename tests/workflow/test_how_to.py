"""The how-tos must work as written: what they add is taken from the page and run."""

import importlib.util
import re
import sys

import pytest
import torch

from crosskrylov.runtime.files import read_tsv
from crosskrylov.solvers import base, registry
from tests.conftest import PROJECT, TOY, run_snakemake

HOW_TO = PROJECT / "docs" / "how-to"
PAGE = HOW_TO / "add-a-solver.md"


@pytest.fixture
def blocks(monkeypatch):
    # the registry is restored, so that the throw-away solver stays out of the other tests
    monkeypatch.setattr(base, "REGISTERED", dict(base.REGISTERED))
    monkeypatch.setattr(registry, "REGISTERED", base.REGISTERED)
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def load(name, text, folder, monkeypatch):
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_solver_and_test_of_the_page_run(blocks, tmp_path, monkeypatch):
    solver, test = blocks
    load("jacobi_of_the_page", solver, tmp_path, monkeypatch)
    load("test_of_the_page", test, tmp_path, monkeypatch).test_jacobi_agrees_with_spsolve()


def test_import_path_instead_of_a_registered_name(blocks, tmp_path, monkeypatch):
    load("jacobi_elsewhere", blocks[0], tmp_path, monkeypatch)
    solver = registry.make_solver("jacobi_elsewhere:Jacobi", {"damping": 0.5})
    assert solver.damping == 0.5
    assert solver.family == "krylov"


# --- a study ------------------------------------------------------------------------------------


@pytest.fixture
def with_study(project_copy):
    """A copy of the project with the files of the page, in the places that it names."""
    page = (HOW_TO / "add-a-study.md").read_text()
    study, figure = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    section, entry = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    named = re.findall(r"^\d\. .*?`(\S+?\.(?:py|yaml))`", page, flags=re.MULTILINE)
    assert len(named) <= 5
    for path, text in zip(named[:2], (study, figure), strict=True):
        assert not (project_copy / path).exists()
        (project_copy / path).write_text(text)
    schema, config = (project_copy / path for path in named[2:])
    before = "      export:\n"
    assert schema.read_text().count(before) == 1
    schema.write_text(schema.read_text().replace(before, section + before))
    key, line = entry.splitlines()
    config.write_text(config.read_text().replace(f"\n{key}\n", f"\n{key}\n{line}\n", 1))
    return project_copy


def test_study_of_the_page_makes_table_figure_and_captions(with_study, tmp_path):
    overlay = ("--config", "studies={dominance: {image_sets: [toy]}}", "--configfile", TOY)
    figure = "results/figures/dominance.svg"
    run_snakemake(figure, *overlay, cwd=with_study)
    table = read_tsv(with_study / "results" / "tables" / "dominance.tsv")
    assert list(table.columns) == ["dataset", "image_size", "seed", "step", "margin", "share"]
    assert len(table) == 2 * 3
    assert (with_study / figure).read_text().startswith("<?xml")
    report = tmp_path / "report.html"
    run_snakemake(figure, "--report", report, *overlay, cwd=with_study)
    text = report.read_text()
    assert "rows whose diagonal is below the margin times the sum" in text
    assert "Share of rows that are not diagonally dominant, by margin." in text
    assert '"labels": {"figure": "dominance"}' in text


def test_study_of_the_page_adds_its_own_jobs_only(with_study, tmp_path):
    def planned(*more):
        plan = run_snakemake("--dry-run", "--configfile", TOY, *more, cwd=with_study).stdout
        return set(re.findall(r"^(?:local)?rule (\w+):", plan, flags=re.MULTILINE))

    on = planned("--config", "studies={dominance: {image_sets: [toy]}}")
    (tmp_path / "off.yaml").write_text("studies:\n  dominance:\n")
    off = planned("--configfile", TOY, tmp_path / "off.yaml")
    assert on - off == {"study_dominance"}


# --- scores on the fly ----------------------------------------------------------------------------


def test_the_page_on_scores_on_the_fly_runs_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (HOW_TO / "train-with-scores-on-the-fly.md").read_text()
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    names = {"images": images, "dataset": list(images)}
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(block, names)
        if "batch" in names:
            assert names["batch"].shape == images.shape
            assert names["drawn"].shape == (4, 2, 64, 64)
    assert names["drawn"].isfinite().all()
    assert names["image"].equal(images[0])
    assert names["score"].shape == (2, 64, 64)
    exact = names["scores"](images[:1], names["time"][None])[0]
    assert torch.linalg.norm(names["score"] - exact) < 1e-3 * torch.linalg.norm(exact)
