"""Where images come from: arrays that are no pixels, files that are no pictures, who is who."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from crosskrylov import precompute_scores
from crosskrylov.datasets.pixels import BYTES_PER_PIXEL
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.scores.images import ArrayImages, FileImages, SourceImages, as_images

RNG = np.random.default_rng(77)


def compute(images, output, **options):
    options = {"equation": {"time_steps": 6, "stored_steps": 2}, "progress": False, **options}
    return precompute_scores(images, output, **options)


def pixels(n=4, size=8, channels=3):
    return RNG.random((n, channels, size, size)).astype(np.float32)


def picture(path, size=(12, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def tree(tmp_path):
    """Two classes of two images, a third image in a folder below."""
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/old/7.bmp"):
        picture(tmp_path / "tree" / name)
    return tmp_path / "tree"


# --- arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: (255 * x).astype(np.uint8), DataError, "divide by 255"),
        (lambda x: 255 * x, DataError, "4 of 4 images .* divide by 255"),
        (lambda x: 65535 * x, DataError, "divide by 65535"),
        (lambda x: 2 * x - 1, DataError, r"map \[-1, 1\] to \[0, 1\]"),
        (lambda x: x.transpose(0, 2, 3, 1), ShapeError, "transpose to"),
        (lambda x: x[:, :1].transpose(0, 2, 3, 1), ShapeError, "transpose to"),
        (lambda x: x.transpose(1, 0, 2, 3)[:, [0, 1]], ShapeError, "count the channels"),
        (lambda x: x * (1 + 1j), DataError, "complex"),
        (lambda x: x.astype(object), DataError, "object"),
        (lambda x: x.astype(str), DataError, "<U"),
        (lambda x: np.full((1, 3, 8, 8), 1e300), DataError, r"number 0 .*1e\+300"),
    ],
)
def test_an_array_that_is_no_pixels_is_refused_and_nothing_is_made(tmp_path, make, error, message):
    with pytest.raises(error, match=message):
        compute(make(pixels()), tmp_path / "scores")
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30, -0.5])
def test_one_image_with_impossible_values_fails_alone_and_by_name(tmp_path, bad):
    images = pixels()
    good = compute(images, tmp_path / "good")[:]
    images[2, 0, 0, 0] = bad
    store = compute(images, tmp_path / "scores")
    assert [(f["image"], f["name"]) for f in store.failures] == [(2, "2")]
    np.testing.assert_array_equal(store[[0, 1, 3]], good[[0, 1, 3]])
    assert np.isnan(store[2]).all()


def test_grey_images_with_three_equal_channels_are_fine(tmp_path):
    grey = pixels(channels=1)
    one = compute(grey, tmp_path / "one", storage="float32")
    three = compute(np.repeat(grey, 3, axis=1), tmp_path / "three", storage="float32")
    np.testing.assert_allclose(one[:], three[:], rtol=1e-5, atol=1e-5)


def test_other_pixels_are_other_images_whatever_their_precision():
    images = pixels().astype(np.float64)
    about = ArrayImages(images).read(1).about
    assert ArrayImages(images.copy()).is_same(1, about)
    assert not ArrayImages(images * (1 - 1e-12)).is_same(1, about)
    assert not ArrayImages(images.astype(np.float32)).is_same(1, about)


# --- files ---------------------------------------------------------------------------------------


def test_files_are_named_and_labelled_by_their_place_in_the_folder(tree):
    images = FileImages([tree], 8)
    assert images.names == ["cat/1.png", "cat/2.png", "dog/1.png", "dog/old/7.bmp"]
    assert [images.about(i)["label"] for i in range(4)] == ["cat", "cat", "dog", "dog"]
    picture(tree / "loose.png")
    assert FileImages([tree], 8).about(0) == {"name": "cat/1.png", "label": None}


def test_files_of_one_name_in_two_folders_stay_two_images(tree):
    images = FileImages([tree / "cat", tree / "dog", tree / "cat" / "1.png"], 8)
    assert images.names == ["1.png", "2.png", "1.png (2)", "old/7.bmp", "1.png (3)"]


def test_a_file_is_the_same_by_its_content_not_its_time_or_place(tree, tmp_path):
    about = FileImages([tree], 8).read(0).about
    shutil.copytree(tree, tmp_path / "copy", copy_function=shutil.copyfile)
    images = FileImages([tmp_path / "copy"], 8)
    os.utime(tmp_path / "copy" / "cat" / "1.png", ns=(1, 1))
    assert images.is_same(0, about)
    content = bytearray((tmp_path / "copy" / "cat" / "1.png").read_bytes())
    content[-20] ^= 1
    (tmp_path / "copy" / "cat" / "1.png").write_bytes(content)
    assert not images.is_same(0, about)


def test_every_file_fails_alone(tree, tmp_path):
    good = compute([tree], tmp_path / "good", size=8, storage="float32")
    (tree / "cat" / "3.png").symlink_to("nowhere")
    (tree / "cat" / "4.png").symlink_to("4.png")
    (tree / "cat" / "5.png").write_bytes(b"GIF89a")
    (tree / "cat" / "6.png").write_bytes(b"")
    (tree / "cat" / "7.png").mkdir()  # a folder, and so no image
    os.mkfifo(tree / "cat" / "8.png")
    store = compute([tree], tmp_path / "scores", size=8, storage="float32")
    failed = [failure["name"] for failure in store.failures]
    assert failed == ["cat/3.png", "cat/4.png", "cat/5.png", "cat/6.png", "cat/8.png"]
    fine = [i for i, name in enumerate(store.names) if name not in failed]
    np.testing.assert_array_equal(store[fine], good[:])


def test_any_exception_of_reading_is_that_image_s_failure(tree, tmp_path, monkeypatch):
    from crosskrylov.scores import images

    read = images.read_square

    def fragile(path, *arguments, **options):
        if path.name == "2.png":
            raise RuntimeError("decoder\nbroke")
        return read(path, *arguments, **options)

    monkeypatch.setattr(images, "read_square", fragile)
    store = compute([tree], tmp_path / "scores", size=8)
    assert [(f["name"], f["reason"]) for f in store.failures] == [
        ("cat/2.png", "RuntimeError: decoder broke")
    ]


def test_an_interruption_while_reading_stops_the_run(tree, tmp_path, monkeypatch):
    from crosskrylov.scores import images

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "read_square", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compute([tree], tmp_path / "scores", size=8)


def test_a_large_file_is_refused_by_the_memory_budget(tree, tmp_path):
    Image.new("RGB", (1500, 1500)).save(tree / "cat" / "large.png")
    store = compute([tree], tmp_path / "scores", size=8, memory_mb=10)
    assert [failure["name"] for failure in store.failures] == ["cat/large.png"]
    assert "1500 x 1500 pixels take 58 MB" in store.failures[0]["reason"]
    assert compute([tree], tmp_path / "scores", size=8).failures == []


@pytest.mark.parametrize("size", [8, 64, 512])
def test_a_photograph_fits_the_default_budget_whatever_the_workers(tree, size):
    from crosskrylov.equation.density import density_options
    from crosskrylov.equation.problem import problem_from_config
    from crosskrylov.scores.engine_options import EngineOptions
    from crosskrylov.scores.march_options import MarchOptions
    from crosskrylov.scores.stream import _Plan

    images = FileImages([tree], size)
    steps = np.arange(1, 11)
    for workers in (1, 16, 64):
        options = EngineOptions(workers=workers)
        plan = _Plan(
            *(images, problem_from_config({}, size, size), steps, density_options(), options),
            *(MarchOptions(), 0),
        )
        assert plan.sizes().decoding >= BYTES_PER_PIXEL * 24_000_000


def test_black_images_without_offset_fail_alone(tmp_path):
    images = pixels()
    images[1] = 0
    density = {"method": "kde", "intensity_offset": 0, "n_samples": 200}
    store = compute(images, tmp_path / "scores", density=density)
    assert [failure["image"] for failure in store.failures] == [1]
    assert "black" in store.failures[0]["reason"]


@pytest.mark.parametrize("size", [0, -3, 1, 2.5, True, "64"])
def test_an_impossible_size_is_a_sentence(tree, size):
    with pytest.raises(ConfigError, match="image size is"):
        FileImages([tree], size)


def test_names_that_lead_nowhere_are_a_sentence(tree):
    for path in ("nowhere.png", "x" * 5000, "a\0b"):
        with pytest.raises(DataError, match="name image files or folders"):
            as_images([tree, path], 8)


# --- sources -------------------------------------------------------------------------------------


def test_a_source_folder_is_known_by_its_files(tree, tmp_path):
    description = {"source": "folder", "image_size": 8, "root": tree, "color": "grey"}
    images = as_images(description)
    assert images.names == FileImages([tree], 8).names
    assert images.class_names == ["cat", "dog"]
    assert images.read(3).about["label"] == "dog"
    moved = as_images({**description, "root": tree.rename(tmp_path / "moved")})
    assert moved.identity() == images.identity()
    assert moved.is_same(2, moved.read(2).about)


def test_a_source_is_known_by_its_description():
    digits = SourceImages({"source": "digits", "image_size": 8, "n_images": 5})
    more = SourceImages({"source": "digits", "image_size": 8, "n_images": 9})
    assert digits.identity() == more.identity()
    assert more.is_same(4, digits.read(4).about)
    assert not more.is_same(5, digits.read(4).about)
    other = SourceImages({"source": "digits", "image_size": 8, "n_images": 5, "seed": 2})
    assert other.identity() != digits.identity()


def test_more_images_than_can_be_numbered_are_a_sentence():
    with pytest.raises(ConfigError, match="n_images is 1000000000000; it must be at most"):
        SourceImages({"source": "photos", "image_size": 8, "n_images": 10**12})
