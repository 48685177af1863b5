"""The store: reading it, what it knows of its images, whose chunks are whose, growth, damage."""

import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import crosskrylov
from crosskrylov import precompute_scores
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.scores.gather import gather_scores
from crosskrylov.scores.store import ScoreStore

EQUATION = {"time_steps": 6, "stored_steps": 2}
PROJECT = Path(crosskrylov.__file__).parent.parent


def compute(images, output, **options):
    options = {"equation": EQUATION, "progress": False, "storage": "float64", **options}
    return precompute_scores(images, output, **options)


def pixels(n=10, size=8, seed=5):
    return np.random.default_rng(seed).random((n, 3, size, size)).astype(np.float32)


def bytes_of(store):
    return [store.array_path(chunk).read_bytes() for chunk in range(store.n_chunks)]


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def folder(tmp_path):
    """Six images in two classes."""
    rng = np.random.default_rng(8)
    for name in ("b/1.png", "b/2.png", "b/3.png", "d/1.png", "d/2.png", "d/3.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pictures"


def add(folder, name, seed=1):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


# --- reading -------------------------------------------------------------------------------------


def test_any_choice_of_images_can_be_read(tmp_path):
    store = compute(pixels(), tmp_path / "scores", chunk_images=3)
    whole = store[:]
    for key in ([1, 2], [-1, 0, 0], np.array([9, 4]), slice(-3, None), slice(None, None, -2), []):
        np.testing.assert_array_equal(store[key], whole[key])
    mask = np.arange(10) % 3 == 0
    np.testing.assert_array_equal(store[mask], whole[mask])
    np.testing.assert_array_equal(store[torch.tensor([3, 1])], whole[[3, 1]])
    np.testing.assert_array_equal(store[np.int64(-2)], whole[8])
    assert len(list(store)) == 10


@pytest.mark.parametrize("key", [10, -11, [0, 10], 1.5, "1", [[1]], [True, False], None, True])
def test_what_is_no_choice_of_images_is_an_index_error(tmp_path, key):
    store = compute(pixels(), tmp_path / "scores")
    with pytest.raises(IndexError, match="10 images"):
        store[key]


def test_the_repr_is_short(tmp_path):
    store = compute(pixels(), tmp_path / "scores")
    assert repr(store) == f"<ScoreStore {tmp_path}/scores: score, float64, shape (10, 2, 2, 8, 8)>"


# --- what it knows -------------------------------------------------------------------------------


def test_names_labels_and_crop_rule_are_kept(tmp_path, folder):
    (folder / "b" / "2.png").write_bytes(b"")
    store = compute([folder], tmp_path / "scores", size=8, chunk_images=4)
    assert store.names == ["b/1.png", "b/2.png", "b/3.png", "d/1.png", "d/2.png", "d/3.png"]
    assert store.class_names == ["b", "d"]
    assert store.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert "central square" in store.settings["images"]["crop"]
    assert compute(pixels(2), tmp_path / "array").labels.tolist() == [-1, -1]


def test_labels_of_a_source_have_its_order(tmp_path):
    digits = {"source": "digits", "image_size": 8, "n_images": 40}
    store = compute(digits, tmp_path / "scores", chunk_images=7)
    loaded = crosskrylov.load_images("digits", 8, 40, seed=17)
    assert store.labels.tolist() == loaded.labels.tolist()
    assert store.class_names == list(loaded.class_names)
    assert store.names == loaded.names


def test_resolved_settings_are_kept(tmp_path):
    settings = compute(pixels(2), tmp_path / "scores", equation={}).settings
    assert settings["equation"]["final_time"] == 1.0
    assert settings["equation"]["time_steps"] == 100
    assert settings["equation"]["stored_steps"] == 10
    assert settings["equation"]["diffusion"] == {"kind": "constant", "g": 0.5}
    assert settings["density"]["intensity_offset"] == 0.1
    assert settings["density"]["method"] == "smoothed"
    assert settings["engine"]["method"] == "exact"
    vp = compute(pixels(2), tmp_path / "vp", equation={**EQUATION, "diffusion": {"kind": "vp"}})
    assert len(vp.settings["equation"]["diffusion"]["g"]) == 2


def test_a_default_that_is_spelled_out_is_the_same_setting(tmp_path):
    store = compute(pixels(2), tmp_path / "scores", equation={"time_steps": 6, "stored_steps": 2})
    spelled = {"time_steps": 6, "stored_steps": 2, "final_time": 1, "diffusion": {"g": 0.5}}
    made = []
    compute(
        pixels(2),
        store.path,
        equation=spelled,
        density={"method": "smoothed", "jitter": 0.01},
        on_chunk=made.append,
    )
    assert made == []


def test_torch_dataset_pairs_images_with_their_scores(tmp_path, folder):
    (folder / "b" / "2.png").write_bytes(b"")
    store = compute([folder], tmp_path / "scores", size=8)
    data = store.torch_dataset(images=True, labels=True)
    assert len(data) == 5  # without the one that failed
    assert data.numbers.tolist() == [0, 2, 3, 4, 5]
    image, scores, label = data[2]
    (folder / "b" / "2.png").unlink()
    expected = crosskrylov.load_images("folder", 8, root=folder, seed=1, upscale=True).images
    np.testing.assert_array_equal(image, expected[2])
    np.testing.assert_array_equal(scores, store[3])
    assert label == 1
    assert torch.is_tensor(store.torch_dataset()[0])


def test_torch_dataset_works_in_batches_and_processes(tmp_path, folder):
    store = compute([folder], tmp_path / "scores", size=8)
    loader = torch.utils.data.DataLoader(
        store.torch_dataset(images=True), batch_size=4, num_workers=1
    )
    shapes = [(image.shape, scores.shape) for image, scores in loader]
    assert shapes[0] == ((4, 3, 8, 8), (4, 2, 2, 8, 8))


def test_torch_dataset_draws_one_of_the_stored_steps(tmp_path):
    for channels, images in (("mean", pixels(2)), ("each", pixels(2))):
        store = compute(images, tmp_path / channels, density={"channels": channels})
        data = store.torch_dataset(one_step=True)
        torch.manual_seed(0)
        seen = set()
        for _ in range(20):
            time, score = data[1]
            step = store.times.astype(np.float32).tolist().index(float(time))
            expected = store[1][:, step] if channels == "each" else store[1][step]
            np.testing.assert_array_equal(score, expected)
            seen.add(step)
        assert seen == {0, 1}


def test_an_open_chunk_that_is_made_anew_is_read_anew(tmp_path):
    store = compute(pixels(3), tmp_path / "scores")
    before = store[0]
    other = compute(pixels(3)[::-1].copy(), tmp_path / "scores", overwrite=True)
    np.testing.assert_array_equal(store[0], other[0])
    assert not np.array_equal(before, store[0])


def test_a_store_travels_to_a_process_without_its_arrays(tmp_path):
    store = compute(pixels(3), tmp_path / "scores")
    scores = store[2]
    reduced = store.__reduce_ex__(4)[2]  # what a process that is not forked gets
    assert reduced == {"path": store.path, "manifest": store.manifest, "_sizes": {0: 3}}
    np.testing.assert_array_equal(copy.copy(store)[2], scores)


def test_torch_dataset_refuses_other_images(tmp_path, folder):
    store = compute([folder], tmp_path / "scores", size=8)
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="does not exist"):
        store.torch_dataset(images=True)
    data = store.torch_dataset(images=[moved])
    assert data[0][0].shape == (3, 8, 8)
    add(moved, "b/1.png", seed=99)
    with pytest.raises(DataError, match=r"b/1\.png is not the one"):
        data[0]
    (moved / "d" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1 images .* d/1\.png among them"):
        store.torch_dataset(images=[moved])


def test_torch_dataset_of_an_array_needs_the_array(tmp_path):
    images = pixels(3)
    store = compute(images, tmp_path / "scores")
    with pytest.raises(DataError, match="made from an array: give it again"):
        store.torch_dataset(images=True)
    np.testing.assert_array_equal(store.torch_dataset(images=images)[1][0], images[1])
    with pytest.raises(DataError, match="is not the one"):
        store.torch_dataset(images=images[::-1])[0]


# --- whose images --------------------------------------------------------------------------------


def test_a_folder_may_be_renamed_copied_and_named_relatively(tmp_path, folder, monkeypatch):
    compute([folder], tmp_path / "scores", size=8)
    monkeypatch.chdir(tmp_path)
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    for place in ("pictures", "./copy/", copy, tmp_path / "renamed"):
        if place == tmp_path / "renamed":
            folder.rename(place)
        made = []
        compute(place, tmp_path / "scores", size=8, on_chunk=made.append)
        assert made == []


def test_new_images_are_appended_without_computing_the_old_again(tmp_path, folder, monkeypatch):
    store = compute([folder], tmp_path / "scores", size=8, chunk_images=4)
    before, names = store[:], store.names
    add(folder, "a/1.png", 1)  # sorts before all others
    add(folder, "d/1a.png", 2)
    add(folder, "e/1.png", 3)
    from crosskrylov.scores import images

    read, files = images.read_square, []
    monkeypatch.setattr(
        images, "read_square", lambda path, *a, **k: files.append(path.name) or read(path, *a, **k)
    )
    made = []
    store = compute([folder], tmp_path / "scores", size=8, chunk_images=4, on_chunk=made.append)
    assert sorted(files) == ["1.png", "1.png", "1a.png"]
    assert made == [1, 2]  # the first chunk was full
    assert store.names == [*names, "a/1.png", "d/1a.png", "e/1.png"]
    assert store.labels.tolist() == [1, 1, 1, 2, 2, 2, 0, 2, 3]
    np.testing.assert_array_equal(store[:6], before)
    assert np.isfinite(store[:]).all()
    assert not store.damaged()
    alone = compute([folder], tmp_path / "alone", size=8)
    np.testing.assert_allclose(store[6], alone[0], rtol=1e-12)


def test_a_run_that_is_killed_while_the_store_grows_is_resumed(tmp_path, folder):
    store = compute([folder], tmp_path / "scores", size=8, chunk_images=4)
    before, manifest = store[:], (store.path / "manifest.json").read_bytes()
    add(folder, "a/1.png", 1)

    class PulledPlugError(Exception):
        pass

    def pull_plug(chunk):
        raise PulledPlugError

    with pytest.raises(PulledPlugError):
        compute([folder], store.path, size=8, on_chunk=pull_plug)
    for killed_earlier in (False, True):
        (store.path / "chunk-00001.json").unlink()  # as between array and record
        if killed_earlier:  # as between the names and the manifest
            (store.path / "manifest.json").write_bytes(manifest)
        made = []
        again = compute([folder], store.path, size=8, on_chunk=made.append)
        assert made == [1]
        assert again.names[6] == "a/1.png"
        np.testing.assert_allclose(again[:6], before, rtol=1e-12)


def test_arrays_and_samples_grow_at_their_end(tmp_path):
    images = pixels(9)
    first = compute(images[:5], tmp_path / "scores", chunk_images=3)
    before = first[:]
    grown = compute(images, tmp_path / "scores", chunk_images=3)
    np.testing.assert_array_equal(grown[:5], before)
    np.testing.assert_allclose(grown[:], compute(images, tmp_path / "whole")[:], rtol=1e-12)
    digits = {"source": "digits", "image_size": 8, "n_images": 5}
    compute(digits, tmp_path / "digits")
    more = compute({**digits, "n_images": 8}, tmp_path / "digits")
    assert more.shape[0] == 8
    assert np.isfinite(more[:]).all()


def test_an_image_that_changed_or_went_is_refused(tmp_path, folder):
    compute([folder], tmp_path / "scores", size=8)
    add(folder, "d/2.png", seed=4)
    with pytest.raises(DataError, match=r"other images or settings \(image d/2\.png has changed"):
        compute([folder], tmp_path / "scores", size=8)
    (folder / "b" / "1.png").unlink()
    with pytest.raises(DataError, match=r"\(1 images are gone, b/1\.png the first\)"):
        compute([folder], tmp_path / "scores", size=8)
    store = compute([folder], tmp_path / "scores", size=8, overwrite=True)
    assert store.names == ["b/2.png", "b/3.png", "d/1.png", "d/2.png", "d/3.png"]
    assert not store.failures
    images = pixels(6)
    compute(images, tmp_path / "array")
    with pytest.raises(DataError, match=r"\(6 images there, 4 here\)"):
        compute(images[:4], tmp_path / "array")


def test_the_setting_that_differs_is_named(tmp_path):
    compute(pixels(2), tmp_path / "scores")
    with pytest.raises(DataError, match=r"\(equation.diffusion.g: 0.5 there, 0.7 here\)"):
        compute(pixels(2), tmp_path / "scores", equation={**EQUATION, "diffusion": {"g": 0.7}})


def test_a_failed_image_is_tried_again_and_the_others_are_kept(tmp_path, folder):
    good = (folder / "d" / "1.png").read_bytes()
    (folder / "d" / "1.png").write_bytes(good[:40])
    store = compute([folder], tmp_path / "scores", size=8)
    before = store[:]
    (folder / "d" / "1.png").write_bytes(good)
    store = compute([folder], tmp_path / "scores", size=8)
    assert store.failures == []
    others = [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(store[others], before[others])
    assert np.isfinite(store[3]).all()


def test_draws_belong_to_the_numbers_of_the_images(tmp_path):
    density = {"method": "kde", "n_samples": 100}
    compute(pixels(2), tmp_path / "scores", density=density, first_image=4)
    with pytest.raises(DataError, match=r"\(first_image: 4 there, 0 here\)"):
        compute(pixels(2), tmp_path / "scores", density=density)


# --- whose chunks --------------------------------------------------------------------------------


def test_a_chunk_of_other_settings_is_never_accepted(tmp_path, capsys):
    from crosskrylov.__main__ import main

    store = compute(pixels(), tmp_path / "scores", chunk_images=4)
    expected = bytes_of(store)
    other = compute(
        pixels(), tmp_path / "other", chunk_images=4, equation={**EQUATION, "final_time": 2}
    )
    for path in (store.array_path(1), store.record_path(1)):
        shutil.copyfile(other.path / path.name, path)
    assert store.damaged() == [1]
    with pytest.raises(DataError, match=r"chunk-00001.* of other settings"):
        ScoreStore.open(store.path)[5]
    assert main(["info", str(store.path)]) == 1
    assert "1 of 3 chunks are missing or damaged" in capsys.readouterr().err
    made = []
    store = compute(pixels(), tmp_path / "scores", chunk_images=4, on_chunk=made.append)
    assert made == [1]
    assert bytes_of(store) == expected


def test_a_chunk_of_other_images_or_rows_is_never_accepted(tmp_path):
    store = compute(pixels(), tmp_path / "scores", chunk_images=4)
    other = compute(pixels(seed=6), tmp_path / "other", chunk_images=4)
    for path in (store.array_path(1), store.record_path(1)):
        shutil.copyfile(path, path.with_name(path.name.replace("1", "0")))
    assert store.damaged() == [0]
    compute(pixels(), tmp_path / "scores", chunk_images=4)
    for path in (store.array_path(0), store.record_path(0)):
        shutil.copyfile(other.path / path.name, path)
    with pytest.raises(DataError, match="image 0 has changed"):
        compute(pixels(), tmp_path / "scores", chunk_images=4)


def test_two_writers_of_one_store_exclude_each_other(tmp_path):
    """A slow run and one with other settings and --overwrite: the second is told to wait."""
    started, go_on, outcome = threading.Event(), threading.Event(), []

    def slow():
        def wait(chunk):
            started.set()
            go_on.wait(60)

        outcome.append(compute(pixels(), tmp_path / "scores", chunk_images=4, on_chunk=wait))

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        assert started.wait(60)
        for options in ({"storage": "float32", "overwrite": True}, {}):
            with pytest.raises(DataError, match=rf"is being written by process {os.getpid()}"):
                compute(pixels(), tmp_path / "scores", chunk_images=4, **options)
    finally:
        go_on.set()
        thread.join()
    assert not outcome[0].damaged()
    assert not (tmp_path / "scores" / ".lock").exists()
    store = compute(pixels(), tmp_path / "scores", storage="float32", overwrite=True)
    assert store[:].dtype == np.float32


@pytest.mark.slow
def test_an_identical_second_run_leaves_the_first_alone(tmp_path):
    arguments = "--source photos --n-images 12 --size 16 --chunk-images 2 --engine batched --quiet"
    command = [sys.executable, "-m", "crosskrylov", "precompute", *arguments.split()]
    command += ["--time-steps", "40", "--workers", "1", "-o", str(tmp_path / "scores")]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    runs = [
        subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        for _ in range(2)
    ]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    codes = [run.returncode for run in runs]
    assert 0 in codes
    if 1 in codes:  # they met
        error = errors[codes.index(1)]
        assert "is being written by process" in error
        assert error.count("\n") == 1
    assert not ScoreStore.open(tmp_path / "scores").damaged()


def test_foreign_files_beside_the_chunks_stay(tmp_path):
    store = compute(pixels(2), tmp_path / "scores")
    foreign = ["chunk-holiday.json", ".chunk-holiday.partial.jpg", "notes.txt", "chunk-1.npy"]
    for name in foreign:
        (store.path / name).write_text("mine")
    leftover = store.path / ".chunk-00000.host.99-abcdef01.partial.npy"
    leftover.write_text("half")
    compute(pixels(2), store.path, storage="float32", overwrite=True)
    assert all((store.path / name).read_text() == "mine" for name in foreign)
    assert not leftover.exists()


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", '{"format": 2, "n_im', "[]", None])
@pytest.mark.parametrize("names", [True, False])
def test_a_lost_manifest_is_repaired_where_the_settings_are_the_same(tmp_path, folder, text, names):
    store = compute([folder], tmp_path / "scores", size=8, chunk_images=4)
    expected, manifest = bytes_of(store), (store.path / "manifest.json").read_text()
    (store.path / "manifest.json").unlink()
    if text is not None:
        (store.path / "manifest.json").write_text(text)
        with pytest.raises(DataError, match=r"manifest\.json is damaged .* run the pre-comp"):
            ScoreStore.open(store.path)
    if not names:
        (store.path / "names.json").unlink()
    (store.path / "notes.txt").write_text("mine")
    made = []
    with pytest.raises(DataError, match=r"made with other settings; .*--overwrite"):
        compute([folder], tmp_path / "scores", size=8, storage="float32")
    store = compute([folder], tmp_path / "scores", size=8, on_chunk=made.append)
    assert made == []
    assert bytes_of(store) == expected
    assert (store.path / "manifest.json").read_text() == manifest
    (store.path / "manifest.json").write_text(text or "{")
    store = compute([folder], store.path, size=8, storage="float32", overwrite=True)
    assert store[:].dtype == np.float32


def test_a_manifest_of_another_program_is_left_alone(tmp_path):
    text = '{"name": "a web application"}'
    (tmp_path / "manifest.json").write_text(text)
    for overwrite in (False, True):
        with pytest.raises(DataError, match="holds no scores"):
            compute(pixels(2), tmp_path, overwrite=overwrite)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["manifest.json"]
    assert (tmp_path / "manifest.json").read_text() == text


def test_a_store_of_the_first_format_is_refused_with_the_way_on(tmp_path):
    store = compute(pixels(2), tmp_path / "scores")
    edit(store.path / "manifest.json", format=1)
    for action in (ScoreStore.open, lambda path: compute(pixels(2), path)):
        with pytest.raises(
            DataError, match=r"of format 1, not of format 2: .*--overwrite replaces"
        ):
            action(store.path)
    assert not compute(pixels(2), store.path, overwrite=True).damaged()


@pytest.mark.parametrize(
    "changes",
    [
        {"n_images": None},
        {"n_images": -1},
        {"n_images": True},
        {"n_images": 10**30},
        {"chunk_images": 0},
        {"item_shape": [2, 2, 8]},
        {"item_shape": [3, 2, 8, 8]},
        {"item_shape": "large"},
        {"dtype": "object"},
        {"steps": []},
        {"steps": ["1", "6"]},
        {"times": [0.5]},
        {"times": ["a", "b"]},
        {"fingerprint": 3},
        {"quantity": None},
        {"settings": []},
    ],
)
def test_an_impossible_manifest_is_a_sentence(tmp_path, capsys, changes):
    from crosskrylov.__main__ import main

    store = compute(pixels(2), tmp_path / "scores")
    edit(store.path / "manifest.json", **changes)
    assert main(["info", str(store.path)]) == 1
    error = capsys.readouterr().err
    assert "manifest.json is damaged" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "changes", [{"dtype": "float32"}, {"item_shape": [2, 2, 9, 8]}, {"n_images": 9}]
)
def test_a_manifest_that_does_not_fit_its_chunks_is_found(tmp_path, capsys, changes):
    from crosskrylov.__main__ import main

    store = compute(pixels(2), tmp_path / "scores")
    edit(store.path / "manifest.json", **changes)
    assert main(["info", str(store.path)]) == 1
    assert "1 of 1 chunks are missing or damaged" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"expected|no scores yet"):
        ScoreStore.open(store.path)[-1]


def test_a_manifest_that_promises_millions_of_images_is_answered_at_once(tmp_path, capsys):
    from crosskrylov.__main__ import main

    store = compute(pixels(2), tmp_path / "scores")
    edit(store.path / "manifest.json", n_images=10**12, chunk_images=1)
    assert main(["info", str(store.path)]) == 1
    error = capsys.readouterr().err
    assert "1000000000000 of 1000000000000 chunks" in error


@pytest.mark.parametrize(
    "changes",
    [
        {"failures": None},
        {"failures": [1]},
        {"images": [1, 2]},
        {"images": []},
        {"n_images": 0},
        {"seconds": "long"},
        {"sha256": 1},
        {"first_image": 2},
    ],
)
def test_an_impossible_record_counts_as_a_missing_chunk(tmp_path, changes):
    store = compute(pixels(4), tmp_path / "scores", chunk_images=2)
    edit(store.record_path(0), **changes)
    store = ScoreStore.open(store.path)
    assert store.damaged() == [0]
    assert store.failures == []
    assert store.summary()["images"] == 2
    assert not compute(pixels(4), store.path, chunk_images=2).damaged()


def test_a_folder_in_the_place_of_a_record_is_a_sentence(tmp_path):
    store = compute(pixels(4), tmp_path / "scores", chunk_images=2)
    store.record_path(1).unlink()
    store.record_path(1).mkdir()
    assert store.damaged() == [1]
    with pytest.raises(DataError, match=r"chunk-00001\.json cannot be replaced .*: remove it"):
        compute(pixels(4), tmp_path / "scores", chunk_images=2)


def test_gathered_parts_are_a_store_that_can_be_resumed(tmp_path):
    images = pixels(7)
    density = {"method": "kde", "n_samples": 100}
    for start, stop in ((0, 4), (4, 7)):
        compute(
            images[start:stop],
            tmp_path / str(start),
            chunk_images=2,
            density=density,
            first_image=start,
        )
    whole = gather_scores([tmp_path / "0", tmp_path / "4"], tmp_path / "whole")
    assert whole.names == [str(n) for n in range(7)]
    made = []
    compute(images, tmp_path / "whole", chunk_images=2, density=density, on_chunk=made.append)
    assert made == []
    with pytest.raises(DataError, match="other settings"):
        gather_scores([tmp_path / "4", tmp_path / "0"], tmp_path / "wrong")


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"equation": {"time_step": 3}}, r"time_step is unknown \(did you mean 'time_steps'\?\)"),
        ({"equation": {"diffusion": {"sigm": 3}}}, "equation.diffusion.sigm is unknown"),
        ({"equation": {"diffusion": {"g": float("nan")}}}, "equation.diffusion.g is nan"),
        ({"equation": {"diffusion": {"g": 1e200}}}, r"equation.diffusion.g is 1e\+200"),
        ({"equation": {"diffusion": {"g": 1e80}}}, "both must be finite"),
        ({"equation": {"diffusion": {"g": -1}}}, "equation.diffusion.g is -1"),
        ({"equation": {"diffusion": 0.5}}, "must be a section"),
        ({"equation": {"final_time": float("inf")}}, "equation.final_time is inf"),
        ({"equation": {"time_steps": 5, "stored_steps": 6}}, "stored_steps is 6, but"),
        ({"equation": {"time_steps": 5.5}}, "whole number"),
        ({"density": {"jiter": 1}}, "density.jiter is no option"),
        ({"memory_mb": float("nan")}, "engine.memory_mb is nan"),
        ({"memory_mb": float("inf")}, "engine.memory_mb is inf"),
        ({"memory_mb": -1}, "engine.memory_mb is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"method": "solver", "solver": {"method": "spslove"}}, "did you mean 'spsolve'"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        compute(pixels(2), tmp_path / "scores", **options)
    assert not (tmp_path / "scores").exists()


def test_a_chunk_is_the_file_that_numpy_would_save_whatever_the_blocks(tmp_path):
    pixels = np.random.default_rng(2).random((7, 1, 8, 8))
    store = precompute_scores(
        pixels, tmp_path / "scores", block_images=2, chunk_images=5, progress=False
    )
    for chunk in range(store.n_chunks):
        np.save(tmp_path / "own.npy", store.chunk(chunk))
        own = (tmp_path / "own.npy").read_bytes()
        assert store.array_path(chunk).read_bytes() == own
        assert store.record(chunk)["sha256"] == hashlib.sha256(own).hexdigest()


def test_a_chunk_with_missing_images_does_not_come_to_be(tmp_path):
    pixels = np.random.default_rng(2).random((4, 1, 8, 8))
    store = precompute_scores(pixels, tmp_path / "scores", progress=False)
    before = store.array_path(0).read_bytes()
    with pytest.raises(ShapeError, match="needs 4 images, found 3"):
        with store.writing_chunk(0) as writer:
            writer.append(store[:3])
    assert store.is_intact(0)
    assert store.array_path(0).read_bytes() == before
