"""The script that keeps a record of every run."""

import logging
import runpy

import pandas as pd
import pytest

from crosskrylov.errors import DataError
from crosskrylov.reporting.records import kept_row, read_run
from crosskrylov.runtime.files import read_json, write_json, write_tsv
from crosskrylov.runtime.machine_id import machine_id
from tests.conftest import PROJECT

main = runpy.run_path(str(PROJECT / "workflow" / "scripts" / "keep_records.py"))["main"]


def planned(path, beside=(), row=None):
    return {
        "path": path,
        "record": f"{path.removeprefix('results/')}.json",
        "fingerprint": "f1",
        "beside": list(beside),
        "row": row or {},
    }


TRAINING = planned("results/training/a/result.json", ["curve.tsv"])
STUDY = planned("results/toy/studies/likeness.tsv")
MARCH = planned("results/toy/gmres.json", row={"dataset": "toy", "seed": 7, "solver": "gmres"})


@pytest.fixture
def keep(tmp_path):
    """Keep runs whose results are there; return the folder of records."""
    results = tmp_path / "results"
    write_json(tmp_path / TRAINING["path"], {"seconds": 1.5})
    write_tsv((tmp_path / TRAINING["path"]).with_name("curve.tsv"), pd.DataFrame({"x": [1]}))
    write_tsv(tmp_path / STUDY["path"], pd.DataFrame({"y": [2]}))
    write_json(tmp_path / MARCH["path"], {"method": "gmres"})
    rows = pd.DataFrame(
        {
            "dataset": "toy",
            "seed": [7, 7, 8],
            "solver": ["gmres", "spsolve", "gmres"],
            "solve_seconds": [0.1 + 0.2, 2.0, 3.0],
            "score_error": [None, 1.0, 1.0],
        }
    )
    write_tsv(results / "rows.tsv", rows)

    def run(*runs, paths=None):
        main(
            run_paths=paths or [tmp_path / run["path"] for run in runs],
            rows_path=results / "rows.tsv",
            folder_path=results / "records",
            manifest_path=results / "part.json",
            planned=list(runs),
            manifest={"tables": []},
            logger=logging.getLogger("crosskrylov"),
        )
        return results / "records"

    return run


def test_every_kind_of_run_is_kept(keep):
    folder = keep(TRAINING, STUDY, MARCH)
    training = folder / "training/a/result.json.json"
    assert read_run(training).value == {"seconds": 1.5}
    assert list(read_run(training, "curve.tsv").value.x) == [1]
    assert list(read_run(folder / "toy/studies/likeness.tsv.json").value.y) == [2]
    row = {"dataset": "toy", "seed": 7, "solver": "gmres", "solve_seconds": 0.1 + 0.2}
    assert kept_row(folder / "toy/gmres.json.json").value == row
    assert read_json(folder.parent / "part.json") == {"tables": []}


def test_a_record_says_where_when_and_from_what(keep):
    record = read_json(keep(TRAINING) / "training/a/result.json.json")
    assert record["run"] == TRAINING["path"]
    assert record["fingerprint"] == "f1"
    assert record["machine"]["machine_id"] == machine_id()
    assert record["commit"] and record["date"].endswith("UTC")


def test_a_kept_record_is_handed_on_as_it_is(keep, tmp_path):
    kept = read_json(keep(TRAINING) / "training/a/result.json.json")
    kept["machine"], kept["commit"] = {"machine_id": "far"}, "older"
    write_json(tmp_path / "docs/result.json.json", kept)
    folder = keep(TRAINING, paths=[tmp_path / "docs/result.json.json"])
    assert read_json(folder / "training/a/result.json.json") == kept


def test_a_row_that_is_not_there_is_an_error(keep):
    with pytest.raises(DataError, match="0 rows with"):
        keep(planned("results/toy/gmres.json", row={"solver": "unknown"}))


def test_a_large_run_is_left_out(keep, monkeypatch):
    monkeypatch.setattr("crosskrylov.reporting.records.LARGEST_RECORD", 50)
    folder = keep(TRAINING, STUDY)
    assert [file.name for file in folder.rglob("*.json")] == ["likeness.tsv.json"]
