"""A user's own tree of image files."""

import os

import numpy as np
import pytest
from PIL import Image

from crosskrylov.datasets.folder import list_images
from crosskrylov.datasets.loading import iter_image_batches, load_images
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.files import write_json
from crosskrylov.runtime.fingerprint import folder_fingerprint

RNG = np.random.default_rng(4711)


def write(path, size=(12, 10), mode="RGB"):
    """Write noise; ``size`` is width x height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def tree(tmp_path):
    """Two classes of three images of several formats and shapes."""
    for label, suffix in (("dog", "png"), ("cat", "bmp")):
        for index in range(3):
            write(tmp_path / label / f"{index}.{suffix}", size=(10 + index, 12))
    return tmp_path


# --- which files ---------------------------------------------------------------------------------


def test_all_images_in_sorted_order_by_default(tree):
    loaded = load_images("folder", 8, seed=1, root=tree)
    assert loaded.names == [f"cat/{i}.bmp" for i in range(3)] + [f"dog/{i}.png" for i in range(3)]
    assert loaded.class_names == ("cat", "dog")
    assert loaded.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.images.shape == (6, 3, 8, 8)


def test_a_sample_depends_on_the_seed(tree):
    samples = [load_images("folder", 8, 3, seed=seed, root=tree).names for seed in range(8)]
    assert all(len(set(names)) == 3 for names in samples)
    assert len({tuple(names) for names in samples}) > 1
    assert samples[5] == load_images("folder", 8, 3, seed=5, root=tree).names


def test_pixels_do_not_depend_on_the_order_files_were_made(tmp_path):
    images = {name: RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8) for name in "abcde"}
    for folder, names in (("one", "abcde"), ("two", "decab")):
        (tmp_path / folder).mkdir()
        for name in names:
            Image.fromarray(images[name]).save(tmp_path / folder / f"{name}.png")
    one, two = (load_images("folder", 8, 4, seed=3, root=tmp_path / f) for f in ("one", "two"))
    assert one.sha256 == two.sha256


def test_nested_folders_belong_to_their_top_folder(tmp_path):
    write(tmp_path / "b" / "deep" / "er" / "x.png")
    write(tmp_path / "a" / "y.PNG")
    loaded = load_images("folder", 8, seed=1, root=tmp_path)
    assert loaded.names == ["a/y.PNG", "b/deep/er/x.png"]
    assert loaded.labels.tolist() == [0, 1]


def test_an_image_outside_the_subfolders_means_no_classes(tree):
    write(tree / "loose.png")
    loaded = load_images("folder", 8, seed=1, root=tree)
    assert loaded.class_names == ()
    assert set(loaded.labels) == {-1}


def test_classes_are_kept_with_their_labels(tree):
    loaded = load_images("folder", 8, seed=1, root=tree, classes=["dog"])
    assert loaded.labels.tolist() == [1, 1, 1]
    assert all(name.startswith("dog/") for name in loaded.names)


def test_split_is_a_subfolder(tmp_path):
    write(tmp_path / "train" / "x" / "1.png")
    write(tmp_path / "test" / "x" / "2.png")
    loaded = load_images("folder", 8, seed=1, root=tmp_path, split="test")
    assert loaded.names == ["x/2.png"]
    assert loaded.class_names == ("x",)


def test_hidden_and_foreign_files_are_left_out(tree):
    (tree / "README.txt").write_text("not an image")
    (tree / "dog" / "._0.png").write_bytes(b"macOS metadata")
    write(tree / ".cache" / "thumbnail.png")
    assert len(list_images(tree)) == 6


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
def test_linked_folders_are_followed_once(tree, tmp_path_factory):
    linked = tmp_path_factory.mktemp("linked")
    (linked / "here").symlink_to(tree, target_is_directory=True)
    assert list_images(linked) == [f"here/{name}" for name in list_images(tree)]
    (tree / "dog" / "loop").symlink_to(linked, target_is_directory=True)
    assert len(list_images(linked)) == 6
    assert len(folder_fingerprint(linked)) == 16


def test_home_folder_is_expanded(tree, monkeypatch):
    monkeypatch.setenv("HOME", str(tree))
    assert len(load_images("folder", 8, seed=1, root="~").names) == 6


# --- what is in them -----------------------------------------------------------------------------


def test_central_square_is_taken(tmp_path):
    pixels = np.zeros((6, 10, 3), dtype=np.uint8)
    pixels[:, 2:8] = (255, 0, 51)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    image = load_images("folder", 6, seed=1, root=tmp_path).images[0]
    np.testing.assert_allclose(image, np.broadcast_to([[[1.0]], [[0]], [[0.2]]], (3, 6, 6)))


def test_crop_size_is_in_pixels_of_the_file(tmp_path):
    pixels = np.zeros((16, 16), dtype=np.uint8)
    pixels[4:12, 4:12] = 255
    Image.fromarray(pixels).save(tmp_path / "framed.png")
    image = load_images("folder", 4, seed=1, root=tmp_path, crop_size=8).images
    np.testing.assert_allclose(image, 1)


def test_grey_and_colour_files_mix(tmp_path):
    write(tmp_path / "a.png", mode="L")
    write(tmp_path / "b.png")
    loaded = load_images("folder", 8, seed=1, root=tmp_path)
    assert (loaded.images[0, 0] == loaded.images[0, 1]).all()
    assert (loaded.images[1, 0] != loaded.images[1, 1]).any()


@pytest.mark.parametrize("n_images", [None, 4])
def test_batches_hold_what_load_images_loads(tree, n_images):
    arguments = {"image_size": 8, "n_images": n_images, "seed": 2, "root": tree}
    batches = list(iter_image_batches("folder", batch_size=4, **arguments))
    assert [len(batch) for batch in batches] == ([4, 2] if n_images is None else [4])
    np.testing.assert_array_equal(
        np.concatenate(batches), load_images("folder", **arguments).images
    )


def test_only_the_images_that_are_asked_for_are_read(tree):
    """A damaged file outside the sample does no harm, and reading is lazy."""
    chosen = load_images("folder", 8, 2, seed=1, root=tree).names
    for name in set(list_images(tree)) - set(chosen):
        (tree / name).write_bytes(b"")
    assert load_images("folder", 8, 2, seed=1, root=tree).names == chosen
    batches = iter_image_batches("folder", 8, batch_size=2, seed=1, root=tree, n_images=6)
    next(batches)
    with pytest.raises(DataError, match="cannot be read"):
        list(batches)


# --- mistakes ------------------------------------------------------------------------------------


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match=r"root is .*nowhere, which does not exist"):
        load_images("folder", 8, seed=1, root=tmp_path / "nowhere")


def test_file_instead_of_a_folder(tmp_path):
    path = write(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"root is .*a\.png, which is a file"):
        load_images("folder", 8, seed=1, root=path)


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="holds no images but no files"):
        load_images("folder", 8, seed=1, root=tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="holds no images but only 1 other files"):
        load_images("folder", 8, seed=1, root=tmp_path)


def test_missing_split(tree):
    with pytest.raises(DataError, match=r"root is .*valid, which does not exist"):
        load_images("folder", 8, seed=1, root=tree, split="valid")


def test_damaged_image_is_named(tree):
    path = tree / "cat" / "1.bmp"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"cat/1\.bmp cannot be read"):
        load_images("folder", 8, seed=1, root=tree)


def test_small_image_is_named(tree):
    with pytest.raises(DataError, match=r"cat/0\.bmp is 10 x 12 .* image_size 11.*upscale"):
        load_images("folder", 11, seed=1, root=tree)
    assert load_images("folder", 11, seed=1, root=tree, upscale=True).images.shape[-1] == 11


def test_nan_in_a_file_is_named(tmp_path):
    values = np.full((8, 8), np.nan, dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "bad.tiff")
    with pytest.raises(DataError, match=r"bad\.tiff has pixels that are NaN"):
        load_images("folder", 8, seed=1, root=tmp_path)


def test_more_images_than_there_are(tree):
    with pytest.raises(DataError, match="n_images is 7, but source 'folder' has only 6 images"):
        load_images("folder", 8, 7, seed=1, root=tree)


def test_unknown_class(tree):
    with pytest.raises(ConfigError, match=r"'dogs', .*did you mean 'dog'\?"):
        load_images("folder", 8, seed=1, root=tree, classes=["dogs"])
    write(tree / "loose.png")
    with pytest.raises(ConfigError, match="its images have no classes"):
        load_images("folder", 8, seed=1, root=tree, classes=["dog"])


# --- fingerprint ---------------------------------------------------------------------------------


def test_fingerprint_notices_every_change(tree):
    seen = [folder_fingerprint(tree)]
    assert folder_fingerprint(str(tree)) == seen[0]
    write(tree / "dog" / "9.png")
    seen.append(folder_fingerprint(tree))
    os.utime(tree / "dog" / "9.png", ns=(1, 1))  # rewritten with as many bytes
    seen.append(folder_fingerprint(tree))
    (tree / "dog" / "9.png").rename(tree / "cat" / "9.png")
    seen.append(folder_fingerprint(tree))
    (tree / "cat" / "9.png").unlink()
    assert len(set(seen)) == 4
    assert folder_fingerprint(tree) == seen[0]


def test_fingerprint_of_nothing(tmp_path):
    assert folder_fingerprint(None) == ""
    assert folder_fingerprint(tmp_path / "nowhere") == "missing"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert len(folder_fingerprint(tmp_path)) == 16


# --- what is no image ----------------------------------------------------------------------------


def test_a_folder_that_cannot_be_read_is_reported(tree, monkeypatch):
    scandir = os.scandir

    def guarded(path):
        if os.fspath(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    before = folder_fingerprint(tree)
    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(DataError, match=r"dog cannot be read \(Permission denied\): make it"):
        list_images(tree)
    locked = folder_fingerprint(tree)  # who reads the folder will say what is wrong
    assert len(locked) == 16
    assert locked != before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_among_the_images_is_named(tree):
    os.mkfifo(tree / "dog" / "f.png")
    with pytest.raises(DataError, match=r"dog/f\.png is no regular file"):
        load_images("folder", 8, seed=1, root=tree)


def test_a_name_that_is_no_text_can_be_stored(tmp_path):
    write(tmp_path / "a" / "1.png")
    try:
        os.rename(os.fsencode(tmp_path) + b"/a/1.png", os.fsencode(tmp_path) + b"/a/\xff.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    loaded = load_images("folder", 8, seed=1, root=tmp_path)
    assert loaded.names[0].encode() == rb"a/\udcff.png"
    write_json(tmp_path / "manifest.json", loaded.manifest())
