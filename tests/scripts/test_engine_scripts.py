"""The scripts of the engine's rules: parts, gathering, the table."""

import runpy
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crosskrylov.runtime.files import locked_in_turn, read_json, read_tsv, save_npz, write_json
from crosskrylov.scores.store import ScoreStore

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
EQUATION = {"time_steps": 10, "stored_steps": 3}


def job(script, folder, **attributes):
    """Run a script's guarded block as Snakemake would."""
    attributes = {
        key: SimpleNamespace(**value) if isinstance(value, dict) else value
        for key, value in attributes.items()
    }
    snakemake = SimpleNamespace(log=[str(folder / f"{script}.log")], **attributes)
    runpy.run_path(str(SCRIPTS / f"{script}.py"), {"snakemake": snakemake}, "__main__")


@pytest.fixture
def summary(tmp_path):
    """The summary of an image set of five images, one of them broken, in three parts."""
    images = np.random.default_rng(9).random((5, 3, 8, 8)).astype(np.float32)
    images[3, 0, 0, 0] = np.nan
    save_npz(tmp_path / "images.npz", images=images)
    parts = [tmp_path / f"{part}-of-3" for part in (1, 2, 3)]
    for path in parts:
        job(
            "precompute_scores",
            tmp_path,
            input={"images": tmp_path / "images.npz"},
            output={"scores": path},
            params={
                "state": tmp_path / "state" / path.name,
                "equation": EQUATION,
                "density": {"method": "smoothed"},
                "march": {"tolerance": "balanced"},
                "engine": {"method": "batched", "storage": "float64"},
            },
            wildcards={"scatteritem": path.name, "seed": "17"},
            threads=2,
        )
    job(
        "gather_scores",
        tmp_path,
        input={"parts": parts},
        output={"scores": tmp_path / "scores", "summary": tmp_path / "scores.json"},
        params={"dataset": "toy", "seed": 17},
    )
    return tmp_path / "scores.json"


def test_parts_are_gathered_in_order(summary):
    store = ScoreStore.open(summary.parent / "scores")
    assert store.shape == (5, 3, 2, 8, 8)
    finite = np.isfinite(store[:]).all(axis=(1, 2, 3, 4))
    assert finite.tolist() == [True, True, True, False, True]
    content = read_json(summary)
    assert [failure["image"] for failure in content["failures"]] == [3]
    assert content["failed_images"] == 1
    assert content["images"] == 5


def test_the_table_says_which_engine_ran(summary):
    job(
        "engine_table",
        summary.parent,
        input={"summaries": [summary]},
        output={"table": summary.parent / "engine.tsv"},
    )
    table = read_tsv(summary.parent / "engine.tsv")
    assert table.loc[0, "method"] == "batched"
    assert table.loc[0, "dataset"] == "toy"
    assert 0 < table.loc[0, "max_relative_residual"] <= 1e-8


@pytest.fixture
def compute(tmp_path):
    """Make the scores of four images in one part, as a job does; return them."""
    save_npz(tmp_path / "images.npz", images=np.random.default_rng(1).random((4, 1, 8, 8)))
    (tmp_path / "module.py").write_text("")

    def compute(name, time_steps=10):
        params = {
            "state": tmp_path / "state",
            "equation": {**EQUATION, "time_steps": time_steps},
            "density": {"method": "smoothed"},
            "march": {},
            "engine": {"method": "exact", "storage": "float64", "chunk_images": 2},
        }
        job(
            "precompute_scores",
            tmp_path,
            input={"images": tmp_path / "images.npz", "library": [tmp_path / "module.py"]},
            output={"scores": tmp_path / name},
            params=params,
            wildcards={"scatteritem": "1-of-1", "seed": "17"},
            threads=1,
        )
        assert not (tmp_path / "state").exists()
        return ScoreStore.open(tmp_path / name)

    return compute


def mark(store):
    """Write into the first chunk's record what tells it from one that is made anew."""
    record = store.record_path(0)
    write_json(record, {**read_json(record), "seconds": 1234.5})


def was_kept(store):
    return store.record(0)["seconds"] == 1234.5


@pytest.mark.parametrize("code", ["the same", "other"])
def test_a_part_that_another_job_still_makes_is_waited_for_and_taken(tmp_path, compute, code):
    finished = compute("of the other job")
    expected = finished[:]
    mark(finished)
    if code == "other":
        (tmp_path / "module.py").write_text("value = 1\n")
    log = tmp_path / "precompute_scores.log"
    log.unlink()
    with ThreadPoolExecutor(1) as pool:
        with locked_in_turn(tmp_path / "state", pytest.fail):
            second = pool.submit(compute, "scores")
            while not (log.is_file() and "waiting for it" in log.read_text()):
                assert not second.done()
                time.sleep(0.05)
            finished.path.rename(tmp_path / "scores")
        store = second.result(timeout=60)
    assert was_kept(store) == (code == "the same")
    assert store.damaged() == []
    np.testing.assert_array_equal(store[:], expected)


def test_chunks_of_other_code_or_settings_are_made_again(tmp_path, compute):
    def interrupt(store):
        """Leave the store where a job that ended before its second chunk would have left it."""
        digest = runpy.run_path(str(SCRIPTS / "precompute_scores.py"))["_code_digest"]
        state = tmp_path / "state" / digest([tmp_path / "module.py"])
        state.parent.mkdir()
        store.path.rename(state)
        (state / "chunk-00001.json").unlink()
        mark(ScoreStore.open(state))

    store = compute("first", 10)
    expected = store[:]
    interrupt(store)
    store = compute("second", 10)
    assert was_kept(store)
    np.testing.assert_array_equal(store[:], expected)
    interrupt(store)
    store = compute("other settings", 20)
    assert not was_kept(store)
    interrupt(store)
    (tmp_path / "module.py").write_text("value = 1\n")
    assert not was_kept(compute("other code", 20))
