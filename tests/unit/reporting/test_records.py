"""One small file per run, and reading a run from it or from its result."""

import pandas as pd
import pytest

from crosskrylov.errors import DataError
from crosskrylov.reporting import records
from crosskrylov.reporting.records import Run, pairs_with, read_run, record_of
from crosskrylov.runtime.files import write_json, write_tsv
from crosskrylov.runtime.machine_id import machine_id

TABLE = pd.DataFrame({"step": [1, 2], "seconds": [0.1 + 0.2, None], "word": ["none", "a"]})


@pytest.fixture
def result(tmp_path):
    """A training run: result.json with its curve."""
    write_json(tmp_path / "result.json", {"targets": [0.9], "seconds": 1 / 3})
    write_tsv(tmp_path / "curve.tsv", TABLE)
    return tmp_path / "result.json"


@pytest.fixture
def record(result, tmp_path):
    files = {"result.json": result, "curve.tsv": result.with_name("curve.tsv")}
    kept = record_of("results/x/result.json", files, "f", {"machine_id": "far"}, "c", "d")
    write_json(tmp_path / "kept" / "result.json.json", kept)
    return tmp_path / "kept" / "result.json.json"


def test_a_run_reads_the_same_from_its_result_and_from_its_record(result, record):
    made, kept = read_run(result), read_run(record)
    assert made.value == kept.value == {"targets": [0.9], "seconds": 1 / 3}
    pd.testing.assert_frame_equal(read_run(result, "curve.tsv").value, TABLE)
    pd.testing.assert_frame_equal(read_run(record, "curve.tsv").value, TABLE)


def test_a_plain_result_counts_as_this_machines_and_a_record_as_its_own(result, record):
    assert read_run(result).machine == machine_id()
    assert read_run(result, "curve.tsv").machine == machine_id()
    assert read_run(record).machine == read_run(record, "curve.tsv").machine == "far"


def test_a_table_is_a_run_too(result, tmp_path):
    table = result.with_name("curve.tsv")
    write_json(tmp_path / "r.json", record_of("results/t.tsv", {"t.tsv": table}, "f", {}, "c", "d"))
    pd.testing.assert_frame_equal(read_run(table).value, TABLE)
    kept = read_run(tmp_path / "r.json")
    pd.testing.assert_frame_equal(kept.value, TABLE)
    assert kept.machine == ""


def test_a_file_that_the_record_lacks_is_named(record):
    with pytest.raises(DataError, match=r"holds no samples.npz, only result.json, curve.tsv"):
        read_run(record, "samples.npz")


def test_only_runs_of_one_known_machine_pair():
    assert pairs_with(Run(1.0, "a"), Run(2.0, "a"))
    assert not pairs_with(Run(1.0, "a"), Run(2.0, "b"))
    assert not pairs_with(Run(1.0, ""), Run(2.0, ""))


def test_the_same_run_at_another_commit_is_the_same():
    first = record_of("r", {"r": 1}, "f", {"machine_id": "a"}, "c1", "d1")
    assert records.same_run(first, record_of("r", {"r": 1}, "f", {"machine_id": "a"}, "c2", "d2"))
    assert not records.same_run(first, first | {"fingerprint": "g"})
    assert not records.same_run(first, first | {"machine": {"machine_id": "b"}})
    assert not records.same_run(first, {"r": 1})


def test_large_runs_are_not_for_keeping(monkeypatch):
    monkeypatch.setattr(records, "LARGEST_RECORD", 20)
    assert records.is_small(record_of("r", {"r": 1}, "f", {}, "c", "d"))
    assert not records.is_small(record_of("r", {"r": "x" * 30}, "f", {}, "c", "d"))


def test_a_kept_march_is_a_row_and_a_made_one_is_not(result, tmp_path):
    row = {"solver": "a", "solve_seconds": 1.5}
    kept = record_of("results/a.json", {records.ROW: row}, "f", {"machine_id": "far"}, "c", "d")
    write_json(tmp_path / "a.json.json", kept)
    assert records.kept_row(tmp_path / "a.json.json") == Run(row, "far")
    assert records.kept_row(result) is None
