"""CelebA from a folder of its aligned images, with and without its lists."""

import numpy as np
import pytest
from PIL import Image

from crosskrylov.datasets.loading import load_images
from crosskrylov.errors import ConfigError, DataError

FILES = [f"{number:06d}.jpg" for number in range(1, 8)]
PARTITION = "".join(f"{f} {p}\n" for f, p in zip(FILES, [0, 0, 0, 1, 1, 2, 2], strict=True))
IDENTITIES = "".join(f"{f} {11 * i}\n" for i, f in enumerate(FILES))


@pytest.fixture(autouse=True)
def no_torchvision(monkeypatch):
    """Fail where a folder of images would need torchvision, or the network."""

    def refuse(name):
        raise AssertionError("torchvision was asked for")

    monkeypatch.setattr("crosskrylov.datasets.celeba.dataset_class", refuse)


def faces(folder, size=(178, 218)):
    """Write seven pictures of CelebA's size that are no faces, told apart by their colour."""
    folder.mkdir(parents=True)
    for value, name in enumerate(FILES):
        Image.new("RGB", size, (36 * value, 0, 100)).save(folder / name, quality=95)
    return folder


LAYOUTS = ["", "img_align_celeba", "img_align_celeba/img_align_celeba", "celeba/img_align_celeba"]


@pytest.mark.parametrize("below", LAYOUTS)
@pytest.mark.parametrize("image_size", [64, 128])
def test_folder_without_lists_gives_all_images(tmp_path, below, image_size):
    faces(tmp_path / "mine" / below)
    loaded = load_images("celeba", image_size, seed=1, root=tmp_path / "mine")
    assert loaded.images.shape == (7, 3, image_size, image_size)
    assert list(loaded.names) == FILES
    assert set(loaded.labels.tolist()) == {-1}
    expected = np.arange(7) * 36 / 255
    np.testing.assert_allclose(loaded.images.mean(axis=(2, 3))[:, 0], expected, atol=0.03)
    assert "Pillow" in loaded.packages and "torchvision" not in loaded.packages


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(
    ("split", "wanted"),
    [(None, FILES[:3]), ("train", FILES[:3]), ("valid", FILES[3:5]), ("all", FILES)],
)
def test_lists_in_or_beside_the_folder_are_used(tmp_path, beside, split, wanted):
    images = faces(tmp_path / "img_align_celeba")
    place = tmp_path if beside else images
    (place / "list_eval_partition.txt").write_text(PARTITION)
    (place / "identity_CelebA.txt").write_text(IDENTITIES)
    options = {} if split is None else {"split": split}
    loaded = load_images("celeba", 32, seed=1, root=images, **options)
    assert list(loaded.names) == wanted
    assert loaded.labels.tolist() == [11 * FILES.index(name) for name in wanted]


def test_some_of_the_images_are_enough(tmp_path):
    images = faces(tmp_path / "celeba" / "img_align_celeba")
    (images.parent / "list_eval_partition.txt").write_text(PARTITION)
    for name in FILES[1:3]:
        (images / name).unlink()
    for root in (tmp_path, images.parent, images):
        assert list(load_images("celeba", 32, seed=1, root=root).names) == FILES[:1]


def test_hidden_copies_are_no_images(tmp_path):
    images = faces(tmp_path / "faces")
    (images / "._000001.jpg").write_bytes(b"metadata")
    assert len(load_images("celeba", 32, seed=1, root=images).images) == 7


def test_central_crop(tmp_path):
    images = faces(tmp_path / "faces")
    assert load_images("celeba", 64, seed=1, root=images, crop_size=140).images.shape[-1] == 64
    with pytest.raises(DataError, match=r"000001\.jpg is 178 x 218 .* crop_size 200"):
        load_images("celeba", 64, seed=1, root=images, crop_size=200)


def test_a_split_needs_its_list(tmp_path):
    images = faces(tmp_path / "faces")
    with pytest.raises(ConfigError, match=r"split is 'test', but list_eval_partition\.txt is miss"):
        load_images("celeba", 32, seed=1, root=images, split="test")


def test_a_split_without_images_says_so(tmp_path):
    images = faces(tmp_path / "faces")
    (images / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(DataError, match=r"holds no image that .* counts to split 'valid'"):
        load_images("celeba", 32, seed=1, root=images, split="valid")


def test_a_damaged_list_says_so(tmp_path):
    images = faces(tmp_path / "faces")
    (images / "list_eval_partition.txt").write_text("000001.jpg train\n")
    with pytest.raises(DataError, match=r"list_eval_partition\.txt is damaged"):
        load_images("celeba", 32, seed=1, root=images)


def test_other_images_are_not_taken_for_celeba(tmp_path):
    images = faces(tmp_path / "faces", size=(64, 64))
    with pytest.raises(DataError, match=r"000001\.jpg is 64 x 64 pixels, but CelebA's aligned"):
        load_images("celeba", 32, seed=1, root=images)


def test_unknown_folder_and_split(tmp_path):
    with pytest.raises(DataError, match=r"root is .*typo, which does not exist"):
        load_images("celeba", 32, seed=1, root=tmp_path / "typo")
    with pytest.raises(ConfigError, match=r"split is 'tests', .*did you mean 'test'\?"):
        load_images("celeba", 32, seed=1, root=tmp_path, split="tests")
