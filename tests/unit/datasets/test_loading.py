"""Sources that need no files of the user, the registry, and what all sources have in common."""

import hashlib
import inspect
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crosskrylov.datasets import photographs
from crosskrylov.datasets.base import SOURCES, Item, Source, choose, open_source, register
from crosskrylov.datasets.index import declared_sources
from crosskrylov.datasets.loading import (
    ImageReader,
    held_out_images,
    image_digest,
    iter_image_batches,
    load_images,
)
from crosskrylov.datasets.photographs import PHOTOGRAPHS, photograph_path, photograph_size
from crosskrylov.datasets.pixels import decode_image, resize
from crosskrylov.errors import ConfigError, DataError

SHIPPED = {"photos": 24, "digits": 24, "faces": 20, "noise": 20}  # source: an image size

quick = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a shipped source opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)


# --- what all sources have in common -------------------------------------------------------------


@pytest.mark.parametrize("color", ["rgb", "grey"])
@pytest.mark.parametrize("source", SHIPPED)
def test_contract(source, color):
    size = SHIPPED[source]
    loaded = load_images(source, size, 9, color=color, seed=31)
    assert loaded.images.shape == (9, 3 if color == "rgb" else 1, size, size)
    assert loaded.images.dtype == np.float32
    assert loaded.images.min() >= 0 and loaded.images.max() <= 1
    assert loaded.images.std(axis=(1, 2, 3)).min() > 0.01, "an image without content"
    assert loaded.labels.shape == (9,) and loaded.labels.dtype == np.int64
    assert len(set(loaded.names)) == 9
    for image, digest in zip(loaded.images, loaded.sha256, strict=True):
        assert digest == hashlib.sha256(image.astype("<f4").tobytes()).hexdigest()


@pytest.mark.parametrize("source", SHIPPED)
@quick
@given(seed=seeds)
def test_same_seed_same_pixels_other_seed_others(source, seed):
    size = SHIPPED[source]
    first = load_images(source, size, 5, seed=seed)
    again = load_images(source, size, 5, seed=seed)
    other = load_images(source, size, 5, seed=seed + 1)
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.names, first.sha256) == (again.names, again.sha256)
    assert first.sha256 != other.sha256


@pytest.mark.parametrize("source", SHIPPED)
def test_a_larger_set_begins_with_the_smaller_one(source):
    size = SHIPPED[source]
    small = load_images(source, size, 4, seed=5)
    large = load_images(source, size, 15, seed=5)
    assert large.names[:4] == small.names
    np.testing.assert_array_equal(large.images[:4], small.images)


@pytest.mark.parametrize("batch_size", [1, 4, 12, 50])
@pytest.mark.parametrize("source", SHIPPED)
def test_batches_hold_what_load_images_loads(source, batch_size):
    size = SHIPPED[source]
    arguments = {"source": source, "image_size": size, "n_images": 12, "seed": 8}
    batches = list(iter_image_batches(**arguments, batch_size=batch_size))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert all(batch.dtype == np.float32 for batch in batches)
    np.testing.assert_array_equal(np.concatenate(batches), load_images(**arguments).images)


def test_images_can_be_read_in_any_order():
    reader = ImageReader("photos", 16, 10, seed=3)
    backwards = [reader[index] for index in reversed(range(10))][::-1]
    loaded = load_images("photos", 16, 10, seed=3)
    np.testing.assert_array_equal(np.stack([item.pixels for item in backwards]), loaded.images)
    assert [item.name for item in backwards] == loaded.names


def test_rgb_and_grey_show_the_same_images():
    rgb = load_images("photos", 24, 6, seed=2)
    grey = load_images("photos", 24, 6, seed=2, color="grey")
    assert rgb.names == grey.names
    luma = np.tensordot(rgb.images, [0.299, 0.587, 0.114], axes=(1, 0))
    np.testing.assert_allclose(grey.images[:, 0], luma, atol=1e-6)


def test_manifest_is_json_and_complete():
    loaded = load_images("photos", 16, 3, seed=9)
    manifest = json.loads(json.dumps(loaded.manifest(seed=9, parameters={"jitter": 0})))
    assert manifest["source"] == "photos"
    assert (manifest["n_images"], manifest["channels"]) == (3, 3)
    assert (manifest["height"], manifest["width"], manifest["seed"]) == (16, 16, 9)
    assert {"numpy", "Pillow", "scikit-image", "scikit-learn"} <= set(manifest["packages"])
    assert [entry["sha256"] for entry in manifest["images"]] == loaded.sha256
    assert [entry["name"] for entry in manifest["images"]] == loaded.names
    assert manifest["class_names"] == list(PHOTOGRAPHS)


def test_digest_notices_one_bit():
    image = np.zeros((1, 2, 2), dtype=np.float32)
    changed = image.copy()
    changed[0, 0, 0] = np.nextafter(np.float32(0), np.float32(1))
    assert image_digest(image) != image_digest(changed)


@quick
@given(n_available=st.integers(1, 50), seed=seeds, data=st.data())
def test_choice_is_a_nested_sample_without_replacement(n_available, seed, data):
    n_images = data.draw(st.integers(1, n_available))
    chosen = choose(n_available, n_images, seed, "x")
    assert len(set(chosen.tolist())) == n_images
    assert set(chosen.tolist()) <= set(range(n_available))
    np.testing.assert_array_equal(chosen, choose(n_available, n_available, seed, "x")[:n_images])
    np.testing.assert_array_equal(choose(n_available, None, seed, "x"), np.arange(n_available))


def test_numerics_need_no_torch():
    code = (
        "import sys; from crosskrylov import load_images; "
        "load_images('photos', 8, 2, seed=1); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"torch", "torchvision", "snakemake"} & set(done.stdout.split())


# --- photographs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photograph_ships_with_its_package(name):
    pixels = decode_image(photograph_path(name))
    assert pixels.shape == (*photograph_size(name), 3)


def test_photographs_share_the_crops_evenly():
    labels = load_images("photos", 8, 30, seed=4).labels
    counts = np.bincount(labels, minlength=len(PHOTOGRAPHS))
    assert counts.max() - counts.min() <= 1


def test_unscaled_crop_is_a_piece_of_the_photograph():
    loaded = load_images("photos", 40, 11, seed=6, crop_scale=[0.001, 0.001])
    for image, label, name in zip(loaded.images, loaded.labels, loaded.names, strict=True):
        photograph = list(PHOTOGRAPHS)[label]
        _, shown, top, left, side = name.split("-")
        assert (shown, side) == (photograph, "side40")
        top, left = int(top.removeprefix("top")), int(left.removeprefix("left"))
        piece = decode_image(photograph_path(photograph))[top : top + 40, left : left + 40]
        np.testing.assert_allclose(image.transpose(1, 2, 0), piece, atol=1e-6)


def test_crop_from_a_halved_copy_looks_like_the_direct_one():
    """Halving first, for speed, differs by little from resizing the crop in one go."""
    loaded = load_images("photos", 16, 22, seed=6, crop_scale=[0.6, 1])
    for image, label, name in zip(loaded.images, loaded.labels, loaded.names, strict=True):
        top, left, side = (int("".join(filter(str.isdigit, part))) for part in name.split("-")[2:])
        photograph = decode_image(photograph_path(list(PHOTOGRAPHS)[label]))
        direct = resize(photograph[top : top + side, left : left + side], 16)
        assert np.abs(image.transpose(1, 2, 0) - direct).mean() < 0.01


def test_crop_sides_follow_crop_scale():
    loaded = load_images("photos", 16, 200, seed=6, photographs=["retina"], crop_scale=[0.1, 0.5])
    sides = np.array([int(name.split("side")[1]) for name in loaded.names])
    shorter = min(photograph_size("retina"))
    assert sides.min() >= round(0.1 * shorter) and sides.max() <= round(0.5 * shorter)
    # log-uniform: the median is the geometric mean of the ends
    assert np.median(sides) == pytest.approx(shorter * np.sqrt(0.05), rel=0.25)


def test_even_crops_are_drawn_again():
    options = {"photographs": ["retina", "rocket"], "crop_scale": [0.05, 0.3], "color": "grey"}
    plain = load_images("photos", 16, 60, seed=1, min_contrast=0, **options)
    drawn = load_images("photos", 16, 60, seed=1, min_contrast=0.03, **options)
    assert (plain.images.std(axis=(1, 2, 3)) < 0.03).any()
    assert (drawn.images.std(axis=(1, 2, 3)) >= 0.03).mean() > 0.95


def test_jitter_changes_colours_but_not_places():
    plain = load_images("photos", 16, 6, seed=1)
    jittered = load_images("photos", 16, 6, seed=1, jitter=0.3)
    again = load_images("photos", 16, 6, seed=1, jitter=0.3)
    assert plain.names == jittered.names
    assert (plain.images != jittered.images).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(jittered.images, again.images)
    assert jittered.images.min() >= 0 and jittered.images.max() <= 1


def test_each_photograph_is_decoded_once(monkeypatch):
    decoded = []
    monkeypatch.setattr(
        photographs, "decode_image", lambda path: decoded.append(path) or decode_image(path)
    )
    load_images("photos", 8, 50, seed=1)
    assert len(decoded) == len(set(decoded)) == len(PHOTOGRAPHS)


def test_large_crops_leave_small_photographs_out():
    loaded = load_images("photos", 450, 8, seed=1)
    assert {list(PHOTOGRAPHS)[label] for label in loaded.labels} == {
        name for name in PHOTOGRAPHS if min(photograph_size(name)) >= 450
    }


# --- the other small sources ---------------------------------------------------------------------


def test_digits_have_their_labels():
    loaded = load_images("digits", 8, None, seed=1, color="grey", classes=[3, "7"])
    assert {loaded.class_names[label] for label in loaded.labels} == {"3", "7"}
    assert len(loaded.images) == 183 + 179
    assert loaded.images.max() == 1  # 16 of 16 grey levels: not divided by 255


def test_faces_are_enlarged_only_on_request():
    assert len(load_images("faces", 25, None, seed=1).images) == 100
    with pytest.raises(DataError, match=r"25 x 25 .* image_size 32.*upscale: true"):
        load_images("faces", 32, 2, seed=1)
    assert load_images("faces", 32, 2, seed=1, upscale=True).images.shape[-1] == 32


def test_noise_is_uniform_and_independent():
    images = load_images("noise", 32, 40, seed=1).images
    assert images.mean() == pytest.approx(0.5, abs=0.01)
    assert images.var() == pytest.approx(1 / 12, abs=0.005)
    shifted = np.corrcoef(images[..., :-1].ravel(), images[..., 1:].ravel())[0, 1]
    channels = np.corrcoef(images[:, 0].ravel(), images[:, 1].ravel())[0, 1]
    assert abs(shifted) < 0.02 and abs(channels) < 0.03


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "photo"}, r"source is 'photo', .*did you mean 'photos'\?\): use one of"),
        ({"source": "zzz"}, r"source is 'zzz', which is unknown: use one of"),
        ({"image_size": 0}, "image_size is 0: use a whole number of at least 2"),
        ({"image_size": 16.0}, r"image_size is 16\.0"),
        ({"image_size": True}, "image_size is True"),
        ({"n_images": 0}, "n_images is 0"),
        ({"n_images": None}, "n_images is missing, but source 'photos' has no end"),
        ({"seed": -1}, "seed is -1"),
        ({"color": "gray"}, "color is 'gray'.*'rgb' or 'grey'"),
        ({"jiter": 0.1}, r"no option 'jiter' \(did you mean 'jitter'\?\)"),
        ({"root": "somewhere"}, "source 'photos' has no option 'root': remove it"),
        ({"jitter": 1.5}, r"jitter is 1\.5"),
        ({"min_contrast": -1}, "min_contrast is -1"),
        ({"crop_scale": [0.5, 0.2]}, r"crop_scale is \[0\.5, 0\.2\]"),
        ({"crop_scale": 0.5}, r"crop_scale is 0\.5: use two numbers"),
        ({"photographs": []}, "photographs is an empty list"),
        ({"photographs": ["chelsey"]}, r"'chelsey', .*did you mean 'chelsea'\?"),
        ({"source": "noise", "jitter": 0.1}, "source 'noise' has no option 'jitter'.*no options"),
        ({"source": "digits", "classes": ["11"]}, "classes names '11', which source 'digits'"),
        ({"source": "digits", "classes": []}, "classes is an empty list"),
        ({"source": "folder"}, "root is missing, but source 'folder' needs a folder"),
        ({"source": "folder", "root": ""}, "root is '', but source 'folder' needs a folder"),
        ({"source": "folder", "root": "x", "crop_size": 0}, "crop_size is 0"),
    ],
)
def test_mistakes_in_the_config_are_named(arguments, message):
    arguments = {"source": "photos", "image_size": 16, "n_images": 4, "seed": 1, **arguments}
    with pytest.raises(ConfigError, match=message) as raised:
        load_images(**arguments)
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)
    with pytest.raises(ConfigError, match=message):
        iter_image_batches(**arguments, batch_size=2)  # before the first batch is asked for


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "digits", "n_images": 2000}, "n_images is 2000, .* has only 1797 images"),
        ({"source": "digits", "n_images": 200, "classes": ["1"]}, "has only 182 images"),
        ({"image_size": 5000}, "image_size is 5000, but the largest photograph allows 1411"),
        (
            {"image_size": 400, "photographs": ["chelsea"]},
            "'chelsea' is 451 x 300 .* image_size 400",
        ),
    ],
)
def test_too_few_or_too_small_is_a_data_error(arguments, message):
    with pytest.raises(DataError, match=message):
        load_images(**{"source": "photos", "image_size": 16, "n_images": 4, "seed": 1, **arguments})


def test_batch_size_is_checked():
    with pytest.raises(ConfigError, match="batch_size is 0"):
        iter_image_batches("noise", 8, 4, batch_size=0, seed=1)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(photographs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="scikit-learn, which is not installed"):
        photograph_path("china")


def test_photograph_missing_from_its_package(monkeypatch):
    monkeypatch.setitem(PHOTOGRAPHS, "china", ("scikit-learn", "sklearn", "gone.jpg"))
    with pytest.raises(DataError, match=r"missing from the installed scikit-learn \(.*gone\.jpg"):
        photograph_path("china")


def test_a_source_that_returns_nan_is_caught(monkeypatch):
    class Broken(Source):
        n_available = 1

        def read(self, index):
            return Item(np.full((8, 8, 1), np.nan, dtype=np.float32), -1, "only")

    monkeypatch.setitem(SOURCES, "broken", lambda image_size, *, seed: Broken())
    with pytest.raises(DataError, match="image only of source 'broken' has values that are NaN"):
        load_images("broken", 8, seed=1)


def test_a_new_source_is_one_function(monkeypatch):
    monkeypatch.setattr("crosskrylov.datasets.base.SOURCES", dict(SOURCES))

    @register("grey_ramps")
    def open_ramps(image_size, *, seed, height=1.0):
        class Ramps(Source):
            def read(self, index):
                ramp = np.linspace(0, height, image_size, dtype=np.float32)
                return Item(np.tile(ramp, (image_size, 1))[:, :, None], -1, str(index))

        return Ramps()

    source = open_source("grey_ramps", 8, seed=1, height=0.5)
    assert source.read(0).pixels.max() == pytest.approx(0.5)
    with pytest.raises(ConfigError, match=r"'hight' \(did you mean 'height'\?\)"):
        open_source("grey_ramps", 8, seed=1, hight=0.5)


@pytest.mark.parametrize("name", declared_sources())
def test_every_option_of_every_source_is_documented(name):
    opener = declared_sources()[name].load("crosskrylov.datasets")
    parameters = inspect.signature(opener).parameters
    documented = inspect.getdoc(opener)
    assert list(parameters)[:2] == ["image_size", "seed"]
    options = [key for key in parameters if key not in ("image_size", "seed")]
    assert all(f"\n{key} : " in documented for key in options)


def test_photographs_are_not_read_as_grey():
    """A guard of the table: an entry that names a grey file would fail only when it is drawn."""
    for name in PHOTOGRAPHS:
        with Image.open(photograph_path(name)) as image:
            assert image.mode == "RGB", name


def test_held_out_images_are_the_rest_of_the_source():
    """None of them is in the set, and together they are all of the source."""
    chosen = load_images("digits", 8, 1790, color="grey", seed=5)
    rest = held_out_images("digits", 8, 1790, color="grey", seed=5)
    everything = load_images("digits", 8, color="grey", seed=5)
    digests = [sorted(chosen.sha256), sorted(map(image_digest, rest))]
    assert sorted(digests[0] + digests[1]) == sorted(everything.sha256)
    assert len(rest) == 7 and not set(digests[1]) & set(digests[0])
    few = held_out_images("digits", 8, 1790, color="grey", seed=5, most=3)
    np.testing.assert_array_equal(few, rest[:3])


def test_nothing_held_out_is_one_sentence():
    with pytest.raises(DataError, match=r"All 1797 images .* none is held out"):
        held_out_images("digits", 8, 1797, seed=5)
    with pytest.raises(DataError, match="All 1797 images"):
        held_out_images("digits", 8, None, seed=5)
    with pytest.raises(ConfigError, match="'photos' has no end"):
        held_out_images("photos", 8, 5, seed=5)
