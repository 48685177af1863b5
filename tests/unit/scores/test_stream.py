"""Streaming: chunks, resuming, damage, failing images, memory budget, the command line."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crosskrylov
from crosskrylov import precompute_scores
from crosskrylov.__main__ import main
from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.scores import stream
from crosskrylov.scores.gather import gather_scores, part_rows
from crosskrylov.scores.store import ChunkWriter, ScoreStore

EQUATION = {"time_steps": 20, "stored_steps": 4}
PROJECT = Path(crosskrylov.__file__).parent.parent


def images(n, size=8, channels=3, seed=23):
    return np.random.default_rng(seed).random((n, channels, size, size)).astype(np.float32)


def compute(pixels, output, **options):
    options = {"equation": EQUATION, "progress": False, "storage": "float64", **options}
    return precompute_scores(pixels, output, **options)


def bytes_of(store):
    return [store.array_path(chunk).read_bytes() for chunk in range(store.n_chunks)]


def test_stored_scores_are_those_of_the_exact_solution(tmp_path):
    pixels = images(7)
    store = compute(pixels, tmp_path / "scores", chunk_images=3)
    problem = problem_from_config(EQUATION, 8, 8)
    log_density = exact_log_density(problem, initial_log_density(pixels), store.times)
    expected = score(log_density, problem.spacing)
    assert store.shape == expected.shape == (7, 4, 2, 8, 8)
    np.testing.assert_allclose(store[:], expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_array_equal(store[-1], store[6])
    np.testing.assert_array_equal(store[2:5], store[:][2:5])
    assert store.summary()["method"] == "exact"
    with pytest.raises(IndexError):
        store[7]


@pytest.mark.parametrize("storage", ["float16", "float32"])
def test_storage_precision(tmp_path, storage):
    exact = compute(images(3), tmp_path / "double")[:]
    stored = compute(images(3), tmp_path / "single", storage=storage)
    assert stored[:].dtype == storage
    np.testing.assert_allclose(stored[:], exact, rtol=np.finfo(storage).eps, atol=1e-6)


def test_each_channel_and_log_density(tmp_path):
    pixels = images(4)
    options = {"density": {"channels": "each"}, "quantity": "log_density"}
    store = compute(pixels, tmp_path / "scores", chunk_images=3, block_images=2, **options)
    problem = problem_from_config(EQUATION, 8, 8)
    initial = initial_log_density(pixels, channels="each")
    expected = exact_log_density(problem, initial, store.times).reshape(4, 3, 4, 8, 8)
    np.testing.assert_allclose(store[:], expected, atol=1e-11)


@pytest.mark.parametrize("method", ["exact", "batched", "density_form"])
@pytest.mark.parametrize("density", [{}, {"method": "kde", "n_samples": 300}])
def test_results_do_not_depend_on_chunks_blocks_or_workers(tmp_path, method, density):
    pixels = images(11)
    whole = compute(pixels, tmp_path / "0", method=method, workers=1, density=density)[:]
    for number, split in enumerate([(2, 3, 2), (1, 4, 1), (3, 11, 5)], start=1):
        workers, chunk, block = split
        store = compute(
            pixels,
            tmp_path / str(number),
            method=method,
            density=density,
            workers=workers,
            chunk_images=chunk,
            block_images=block,
        )
        scale = np.abs(whole).max()
        np.testing.assert_allclose(store[:], whole, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("method", ["exact", "batched", "density_form"])
def test_a_repeated_run_is_bit_identical_whatever_the_workers(tmp_path, method):
    pixels = images(9)
    stores = [
        compute(pixels, tmp_path / str(n), method=method, workers=n, chunk_images=4, block_images=2)
        for n in (1, 2, 3)
    ]
    assert bytes_of(stores[0]) == bytes_of(stores[1]) == bytes_of(stores[2])


def test_an_interrupted_run_resumes_at_the_chunk(tmp_path):
    pixels = images(10)
    complete = compute(pixels, tmp_path / "complete", chunk_images=2)

    class PulledPlugError(Exception):
        pass

    def pull_plug(chunk):
        if chunk == 2:
            raise PulledPlugError

    with pytest.raises(PulledPlugError):
        compute(pixels, tmp_path / "scores", chunk_images=2, on_chunk=pull_plug)
    leftover = tmp_path / "scores" / ".chunk-00003.99-abc.partial.npy"  # as kill -9 leaves it
    leftover.write_bytes(b"half a chunk")
    made = []
    store = compute(pixels, tmp_path / "scores", chunk_images=5, on_chunk=made.append)
    assert not leftover.exists()
    assert made == [3, 4]
    assert bytes_of(store) == bytes_of(complete)


def test_a_corrupt_or_lost_chunk_is_made_again(tmp_path):
    pixels = images(8)
    store = compute(pixels, tmp_path / "scores", chunk_images=2)
    before = bytes_of(store)
    flipped = bytearray(before[1])
    flipped[-5] ^= 1
    store.array_path(1).write_bytes(flipped)
    store.array_path(2).write_bytes(before[2][:100])
    store.record_path(3).write_text("{")
    assert store.damaged() == [1, 2, 3]
    with pytest.raises(DataError, match="chunk-00002"):
        store[4]
    made = []
    store = compute(pixels, tmp_path / "scores", chunk_images=2, on_chunk=made.append)
    assert made == [1, 2, 3]
    assert bytes_of(store) == before


def test_one_bad_image_does_not_stop_the_rest(tmp_path):
    pixels = images(7)
    expected = compute(pixels, tmp_path / "good")[:]
    pixels[3, 1, 2, 2] = np.nan
    pixels[5] -= 3.0
    store = compute(pixels, tmp_path / "scores", chunk_images=4)
    assert [f["image"] for f in store.failures] == [3, 5]
    assert "not finite" in store.failures[0]["reason"]
    good = [0, 1, 2, 4, 6]
    np.testing.assert_allclose(store[:][good], expected[good], rtol=1e-12)
    assert np.isnan(store[3]).all()
    assert store.summary()["failed_images"] == 2


def test_values_that_float16_cannot_hold_are_failures_not_infinities(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "block_score", lambda m, h, out: out.copy_(1e9 * score(m, h)))
    store = compute(images(2), tmp_path / "scores", storage="float16")
    assert [f["image"] for f in store.failures] == [0, 1]
    assert "store float32" in store.failures[0]["reason"]
    assert np.isnan(store[:]).all()


def test_a_full_disk_keeps_what_is_complete(tmp_path, monkeypatch):
    pixels = images(6)
    append, calls = ChunkWriter.append, []

    def full_disk(writer, values):
        calls.append(len(values))
        if len(calls) == 2:
            writer._stream.write(b"half a")
            raise OSError(errno.ENOSPC, "No space left on device")
        append(writer, values)

    monkeypatch.setattr(ChunkWriter, "append", full_disk)
    with pytest.raises(DataError, match="disk is full"):
        compute(pixels, tmp_path / "scores", chunk_images=2)
    left = sorted(p.name for p in (tmp_path / "scores").iterdir())
    assert left == ["chunk-00000.json", "chunk-00000.npy", "manifest.json"]
    monkeypatch.undo()
    made = []
    store = compute(pixels, tmp_path / "scores", chunk_images=2, on_chunk=made.append)
    assert made == [1, 2]
    assert not store.damaged()


def test_a_budget_smaller_than_one_image_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"engine.memory_mb is 0.001, but one image of 8 x 8"):
        compute(images(2), tmp_path / "scores", memory_mb=0.001)
    assert not (tmp_path / "scores").exists()
    with pytest.raises(ConfigError, match="chunk_images is 500"):
        compute(images(2), tmp_path / "scores", memory_mb=1, chunk_images=500)


def test_a_small_budget_makes_small_chunks_and_the_same_numbers(tmp_path):
    pixels = images(20)
    whole = compute(pixels, tmp_path / "whole")
    small = compute(pixels, tmp_path / "small", memory_mb=0.1, workers=2)
    assert small.n_chunks > whole.n_chunks
    np.testing.assert_allclose(small[:], whole[:], rtol=0, atol=1e-12 * np.abs(whole[:]).max())


def test_other_settings_are_not_mixed(tmp_path):
    compute(images(3), tmp_path / "scores")
    for pixels, options in ((images(3, seed=1), {}), (images(3), {"method": "batched"})):
        with pytest.raises(DataError, match="other images or settings"):
            compute(pixels, tmp_path / "scores", **options)
    store = compute(images(3), tmp_path / "scores", method="batched", overwrite=True)
    assert store.summary()["method"] == "batched"


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no scores"):
        compute(images(2), tmp_path)
    with pytest.raises(DataError, match=r"manifest.json is missing"):
        ScoreStore.open(tmp_path)


def test_a_store_of_another_format_is_refused(tmp_path):
    compute(images(2), tmp_path / "scores")
    manifest = tmp_path / "scores" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    with pytest.raises(DataError, match="not of format 2"):
        ScoreStore.open(tmp_path / "scores")


def test_images_need_four_axes(tmp_path):
    with pytest.raises(ShapeError, match=r"\(N, C, H, W\)"):
        compute(np.zeros((3, 8, 8)), tmp_path / "scores")


@pytest.fixture
def folder(tmp_path):
    """A folder with photographs of different sizes, one of them damaged."""
    path = tmp_path / "photographs"
    path.mkdir()
    rng = np.random.default_rng(3)
    for number in range(5):
        pixels = rng.integers(0, 255, (20 + number, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{number}.png")
    return path


def run(*arguments):
    return main([str(a) for a in arguments])


def test_command_line_on_a_folder(tmp_path, folder, capsys):
    output = tmp_path / "scores"
    command = ["precompute", folder, "--size", 16, "-o", output, "--time-steps", 20, "--quiet"]
    assert run(*command) == 0
    assert "5 images by exact" in capsys.readouterr().out
    store = ScoreStore.open(output)
    assert store.shape == (5, 10, 2, 16, 16)
    assert store[:].dtype == np.float16
    assert run("info", output) == 0
    assert run(*command) == 0  # nothing to do
    store.array_path(0).write_bytes(b"x")
    assert run("info", output) == 1
    assert "damaged" in capsys.readouterr().err


def test_command_line_with_a_damaged_file_completes_the_rest_and_fails(tmp_path, folder, capsys):
    (folder / "2.png").write_bytes(b"not a picture")
    output = tmp_path / "scores"
    command = ["precompute", folder, "--size", 16, "-o", output, "--time-steps", 20, "--quiet"]
    assert run(*command, "--engine", "batched") == 1
    error = capsys.readouterr().err
    assert "2.png" in error
    assert "1 of 5 images have no scores" in error
    scores = ScoreStore.open(output)[:]
    assert np.isnan(scores[2]).all()
    assert np.isfinite(scores[[0, 1, 3, 4]]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/", "--size", "16"], "nowhere does not exist"),
        (["--source", "phtos", "--n-images", "3", "--size", "16"], "did you mean 'photos'"),
        (["--source", "photos", "--n-images", "3", "--size", "16", "--memory-mb", "0.01"], "raise"),
    ],
)
def test_command_line_errors_are_one_sentence(tmp_path, capsys, arguments, message):
    assert run("precompute", *arguments, "-o", tmp_path / "scores") == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


def test_command_line_needs_images_or_a_source(tmp_path):
    with pytest.raises(SystemExit) as caught:
        run("precompute", "--size", 16, "-o", tmp_path / "scores")
    assert caught.value.code == 2


def test_kill_9_in_the_middle_loses_nothing_but_the_chunk(tmp_path):
    arguments = "--source photos --n-images 14 --size 16 --chunk-images 2 --engine batched --quiet"
    command = [sys.executable, "-m", "crosskrylov", "precompute", *arguments.split()]
    command += ["--time-steps", "100", "--workers", "1", "-o"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    output = tmp_path / "killed"
    process = subprocess.Popen([*command, str(output)], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not (output / "chunk-00001.json").exists():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    store = ScoreStore.open(output)
    complete = [chunk for chunk in range(store.n_chunks) if store.record(chunk)]
    assert 2 <= len(complete) < store.n_chunks
    assert all(store.is_intact(chunk) for chunk in complete)
    untouched = {chunk: store.array_path(chunk).stat().st_mtime_ns for chunk in complete}
    assert run(*command[3:], output) == 0
    assert all(store.array_path(c).stat().st_mtime_ns == t for c, t in untouched.items())
    assert run(*command[3:], tmp_path / "undisturbed") == 0
    assert bytes_of(store) == bytes_of(ScoreStore.open(tmp_path / "undisturbed"))


def test_three_lines_and_no_torch_before_they_are_called(tmp_path, folder):
    code = (
        "import crosskrylov, sys\n"
        "assert 'torch' not in sys.modules\n"
        "from crosskrylov import precompute_scores\n"
        f"scores = precompute_scores({str(folder)!r}, {str(tmp_path / 's')!r}, size=16)\n"
        "assert scores[4].shape == (10, 2, 16, 16)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "image/s" in done.stderr  # the progress bar has a rate


@pytest.mark.parametrize(
    ("n_images", "n_parts", "chunk_images"), [(10, 3, None), (4, 3, None), (7, 2, 2), (1, 4, 5)]
)
def test_parts_cover_all_images_in_whole_chunks(n_images, n_parts, chunk_images):
    parts, chunk = part_rows(n_images, n_parts, chunk_images)
    assert len(parts) == n_parts
    assert [row for part in parts for row in part] == list(range(n_images))
    assert all(part.start % chunk == 0 for part in parts if len(part))


@pytest.mark.parametrize("density", [{}, {"method": "kde", "n_samples": 300}])
def test_gathered_parts_are_the_whole(tmp_path, density):
    pixels = images(11)
    pixels[8, 0, 0, 0] = np.nan
    parts, chunk = part_rows(11, 3, 2)
    paths = [tmp_path / f"part{n}" for n in range(3)]
    for rows, path in zip(parts, paths, strict=True):
        piece = pixels[rows.start : rows.stop]
        compute(piece, path, chunk_images=chunk, density=density, first_image=rows.start)
    whole = gather_scores(paths, tmp_path / "whole")
    alone = compute(pixels, tmp_path / "alone", chunk_images=2, density=density)
    np.testing.assert_array_equal(whole[:], alone[:])
    assert not whole.damaged()
    assert [f["image"] for f in whole.failures] == [8]
    assert whole.summary()["images"] == 11


def test_parts_of_different_settings_are_not_gathered(tmp_path):
    compute(images(2), tmp_path / "a", chunk_images=2)
    compute(images(2), tmp_path / "b", chunk_images=2, storage="float32")
    with pytest.raises(DataError, match="other settings"):
        gather_scores([tmp_path / "a", tmp_path / "b"], tmp_path / "whole")
    (tmp_path / "a" / "chunk-00000.npy").write_bytes(b"")
    with pytest.raises(DataError, match="damaged"):
        gather_scores([tmp_path / "a"], tmp_path / "whole")
    assert not (tmp_path / "whole").exists()
