"""CIFAR-10 and CelebA, on tiny archives of the official layout made here (no network)."""

import hashlib
import io
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crosskrylov.datasets import torchvision_sets
from crosskrylov.datasets.loading import iter_image_batches, load_images
from crosskrylov.datasets.torchvision_sets import dataset_class, default_root
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime import torchvision_compat

PROJECT = Path(__file__).parents[3]
CLASSES = ["airplane", "automobile", "bird", "cat", "deer"]
RNG = np.random.default_rng(99)


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def downloads(monkeypatch):
    """Replace the network: addresses asked for, each answered with content or failure."""
    asked = []
    answers = {}

    def urlopen(request, *args, **kwargs):
        url = request.full_url
        asked.append(url)
        if url not in answers:
            raise urllib.error.URLError("no network in tests")
        response = io.BytesIO(answers[url])
        response.url, response.length = url, len(answers[url])
        return response

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked, answers


# --- CIFAR-10 ------------------------------------------------------------------------------------


@pytest.fixture
def cifar(monkeypatch):
    """Bytes of an archive with 12 training and 4 test images, known to torchvision's class."""
    cifar10 = dataset_class("CIFAR10")
    contents = {}
    images = {"train": [], "test": []}
    for name, split, count in (("data_batch_1", "train", 12), ("test_batch", "test", 4)):
        pixels = RNG.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        labels = [index % len(CLASSES) for index in range(count)]
        images[split] = pixels
        contents[name] = pickle.dumps({"data": pixels.reshape(count, -1), "labels": labels})
    contents["batches.meta"] = pickle.dumps({"label_names": CLASSES})
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    archive = stream.getvalue()
    monkeypatch.setattr(cifar10, "tgz_md5", md5(archive))
    monkeypatch.setattr(cifar10, "train_list", [["data_batch_1", md5(contents["data_batch_1"])]])
    monkeypatch.setattr(cifar10, "test_list", [["test_batch", md5(contents["test_batch"])]])
    monkeypatch.setattr(cifar10, "meta", {**cifar10.meta, "md5": md5(contents["batches.meta"])})
    return archive, images


def place_cifar(root, cifar):
    root.mkdir(exist_ok=True)
    (root / "cifar-10-python.tar.gz").write_bytes(cifar[0])
    return root


@pytest.mark.parametrize("split", ["train", "test"])
def test_archive_is_unpacked_and_read(tmp_path, cifar, downloads, split):
    root = place_cifar(tmp_path, cifar)
    loaded = load_images("cifar10", 32, seed=1, root=root, split=split, download=False)
    np.testing.assert_array_equal(loaded.images, cifar[1][split].astype(np.float32) / 255)
    assert loaded.class_names == tuple(CLASSES)
    assert loaded.labels.tolist() == [i % len(CLASSES) for i in range(len(loaded.images))]
    assert loaded.names[1] == f"{split}/automobile/00001"
    assert "torchvision" in loaded.packages
    assert downloads[0] == []


def test_unpacked_folder_is_enough(tmp_path, cifar, downloads):
    root = place_cifar(tmp_path, cifar)
    load_images("cifar10", 32, seed=1, root=root)
    (root / "cifar-10-python.tar.gz").unlink()
    assert len(load_images("cifar10", 32, seed=1, root=root).images) == 12
    assert downloads[0] == []


def test_download_is_fetched_verified_and_kept(tmp_path, cifar, downloads, monkeypatch):
    asked, answers = downloads
    answers[dataset_class("CIFAR10").url] = cifar[0]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    loaded = load_images("cifar10", 32, 5, seed=1)
    assert loaded.images.shape == (5, 3, 32, 32)
    assert (default_root() / "cifar-10-python.tar.gz").read_bytes() == cifar[0]
    asked.clear()
    load_images("cifar10", 32, 5, seed=1)
    assert asked == []


def test_failed_download_says_what_to_do(tmp_path, cifar, downloads):
    timeout = socket.getdefaulttimeout()
    with pytest.raises(
        DataError,
        match=r"CIFAR-10 is not complete in .* could not be downloaded \(.*no network in tests.*\)"
        r": check the network, or set root to a folder with cifar-10-python\.tar\.gz",
    ):
        load_images("cifar10", 32, seed=1, root=tmp_path)
    assert socket.getdefaulttimeout() == timeout


def test_download_of_wrong_bytes_is_refused(tmp_path, cifar, downloads):
    downloads[1][dataset_class("CIFAR10").url] = cifar[0][:-5]
    with pytest.raises(DataError, match=r"could not be downloaded \(File not found or corrupted\)"):
        load_images("cifar10", 32, seed=1, root=tmp_path)


def test_corrupted_archive_is_not_unpacked(tmp_path, cifar, downloads):
    root = place_cifar(tmp_path, cifar)
    damaged = bytearray(cifar[0])
    damaged[len(damaged) // 2] ^= 1
    (root / "cifar-10-python.tar.gz").write_bytes(damaged)
    with pytest.raises(DataError, match=r"the checksum of cifar-10-python\.tar\.gz is wrong"):
        load_images("cifar10", 32, seed=1, root=root, download=False)
    assert not (root / "cifar-10-batches-py").exists()
    assert downloads[0] == []


def test_half_unpacked_folder_is_completed_from_the_archive(tmp_path, cifar, downloads):
    root = place_cifar(tmp_path, cifar)
    load_images("cifar10", 32, seed=1, root=root)
    (root / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cut off")
    assert len(load_images("cifar10", 32, seed=1, root=root, download=False).images) == 12
    assert downloads[0] == []


def test_damaged_batch_without_archive(tmp_path, cifar, downloads):
    root = place_cifar(tmp_path, cifar)
    load_images("cifar10", 32, seed=1, root=root)
    (root / "cifar-10-python.tar.gz").unlink()
    (root / "cifar-10-batches-py" / "test_batch").write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"not found or corrupted.*; set download: true, or root"):
        load_images("cifar10", 32, seed=1, root=root, download=False)


def test_missing_root_starts_no_download(tmp_path, cifar, downloads):
    with pytest.raises(DataError, match=r"root is .*typo, which does not exist"):
        load_images("cifar10", 32, seed=1, root=tmp_path / "typo")
    assert downloads[0] == []


def test_classes_batches_and_sizes(tmp_path, cifar, downloads):
    arguments = {"seed": 1, "root": place_cifar(tmp_path, cifar), "classes": ["bird", "cat"]}
    loaded = load_images("cifar10", 16, **arguments)
    assert {loaded.class_names[label] for label in loaded.labels} == {"bird", "cat"}
    batches = list(iter_image_batches("cifar10", 16, batch_size=2, **arguments))
    np.testing.assert_array_equal(np.concatenate(batches), loaded.images)
    with pytest.raises(DataError, match=r"32 x 32 .* image_size 64"):
        load_images("cifar10", 64, **arguments)
    assert load_images("cifar10", 64, upscale=True, **arguments).images.shape[-1] == 64


def test_image_files_instead_of_the_archive(tmp_path, downloads):
    for split, count in (("train", 3), ("test", 1)):
        for name in ("cat", "airplane"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index:04d}.png")
    loaded = load_images("cifar10", 32, seed=1, root=tmp_path)
    assert loaded.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.class_names == ("airplane", "cat")
    assert len(load_images("cifar10", 32, seed=1, root=tmp_path, split="test").images) == 2
    assert downloads[0] == []


@pytest.mark.parametrize("source", ["cifar10", "celeba"])
def test_unknown_split(source, tmp_path):
    with pytest.raises(ConfigError, match=r"split is 'tests', .*did you mean 'test'\?"):
        load_images(source, 32, seed=1, root=tmp_path, split="tests")


def test_torchvision_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(
        DataError, match=r"cannot be imported .*: install the training requirements"
    ):
        load_images("cifar10", 32, seed=1, root=tmp_path)


# --- CelebA --------------------------------------------------------------------------------------

FILES = [f"{number:06d}.jpg" for number in range(1, 8)]
PARTITION = [0, 0, 0, 1, 1, 2, 2]
IDENTITIES = [2880, 2937, 2880, 8692, 5805, 9295, 4153]


@pytest.fixture
def celeba(monkeypatch, tmp_path):
    """A root with lists and archive of seven faces, known to torchvision's class."""
    folder = tmp_path / "celeba"
    folder.mkdir()
    lists = {
        "list_eval_partition.txt": [f"{f} {p}" for f, p in zip(FILES, PARTITION, strict=True)],
        "identity_CelebA.txt": [f"{f} {i}" for f, i in zip(FILES, IDENTITIES, strict=True)],
        "list_attr_celeba.txt": ["7", "Bald Young", *(f"{f} -1  1" for f in FILES)],
        "list_bbox_celeba.txt": [
            "7",
            "image_id x_1 y_1 width height",
            *(f"{f} 1 2 3 4" for f in FILES),
        ],
        "list_landmarks_align_celeba.txt": ["7", "x y", *(f"{f} 5 6" for f in FILES)],
    }
    checksums = {}
    for name, lines in lists.items():
        content = ("\n".join(lines) + "\n").encode()
        (folder / name).write_bytes(content)
        checksums[name] = md5(content)
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for value, name in enumerate(FILES):
            stream = io.BytesIO()
            Image.new("RGB", (178, 218), (36 * value, 0, 100)).save(stream, "JPEG", quality=95)
            archive.writestr(f"img_align_celeba/{name}", stream.getvalue())
    checksums["img_align_celeba.zip"] = md5((folder / "img_align_celeba.zip").read_bytes())
    celeba = dataset_class("CelebA")
    monkeypatch.setattr(
        celeba, "file_list", [(f"id-{name}", digest, name) for name, digest in checksums.items()]
    )
    return tmp_path


@pytest.mark.parametrize(("split", "wanted"), [("train", 3), ("valid", 2), ("test", 2), ("all", 7)])
def test_faces_of_the_official_partition(celeba, split, wanted):
    loaded = load_images("celeba", 64, seed=1, root=celeba, split=split, download=False)
    assert loaded.images.shape == (wanted, 3, 64, 64)
    numbers = [FILES.index(name) for name in loaded.names]
    assert [IDENTITIES[number] for number in numbers] == loaded.labels.tolist()
    np.testing.assert_allclose(
        loaded.images.mean(axis=(2, 3))[:, 0], np.array(numbers) * 36 / 255, atol=0.03
    )


def test_root_may_be_the_folder_itself(celeba):
    assert len(load_images("celeba", 32, seed=1, root=celeba / "celeba").images) == 3


def test_central_crop_of_the_faces(celeba):
    assert load_images("celeba", 64, seed=1, root=celeba, crop_size=140).images.shape[-1] == 64
    with pytest.raises(DataError, match=r"000001\.jpg is 178 x 218 .* crop_size 200"):
        load_images("celeba", 64, seed=1, root=celeba, crop_size=200)


def test_lost_images_come_back_from_the_archive(celeba):
    load_images("celeba", 32, seed=1, root=celeba)
    (celeba / "celeba" / "img_align_celeba" / FILES[0]).unlink()
    assert len(load_images("celeba", 32, seed=1, root=celeba, download=False).images) == 3


def test_lost_images_without_archive(celeba):
    load_images("celeba", 32, seed=1, root=celeba)
    (celeba / "celeba" / "img_align_celeba" / FILES[0]).unlink()
    (celeba / "celeba" / "img_align_celeba.zip").unlink()
    with pytest.raises(DataError, match=r"1 images are missing, for example 000001\.jpg"):
        load_images("celeba", 32, seed=1, root=celeba, download=False)


def test_damaged_archive_of_faces(celeba):
    path = celeba / "celeba" / "img_align_celeba.zip"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"the checksum of img_align_celeba\.zip is wrong"):
        load_images("celeba", 32, seed=1, root=celeba, download=False)


def test_damaged_list_is_refused(celeba):
    (celeba / "celeba" / "identity_CelebA.txt").write_text("000001.jpg 1\n")
    with pytest.raises(DataError, match="CelebA is not complete in"):
        load_images("celeba", 32, seed=1, root=celeba, download=False)


def test_failed_download_of_faces_says_what_to_do(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("To download files from GDrive, 'gdown' is required.")

    monkeypatch.setattr("torchvision.datasets.celeba.download_file_from_google_drive", fail)
    with pytest.raises(
        DataError,
        match=r"could not be downloaded \(.*'gdown' is required\): .* set root .* celeba/",
    ):
        load_images("celeba", 32, seed=1, root=tmp_path)


# --- torchvision beside a torch that its extension does not fit ----------------------------------


def test_torchvision_can_be_imported():
    assert dataset_class("CIFAR10").__name__ == "CIFAR10"
    assert torchvision_compat.declare_missing_operators() == []  # done when it was imported


#: A torchvision whose extension does not fit: it wants the operators that only the shim declares.
MISMATCHED = """
import torch

if not hasattr(torch.ops.torchvision, "nms"):
    raise RuntimeError("operator torchvision::nms does not exist")
"""


def imported_beside(folder, text):
    """Run dataset_class in a process of its own, with a torchvision made of ``text``."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(text)
    (package / "datasets.py").write_text("class CIFAR10:\n    pass\n")
    script = "from crosskrylov.datasets.torchvision_sets import dataset_class as f; f('CIFAR10')"
    path = os.pathsep.join([str(folder), str(PROJECT)])
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_the_shim_comes_before_torchvision(tmp_path):
    done = imported_beside(tmp_path, MISMATCHED)
    assert done.returncode == 0, done.stderr


def test_a_torchvision_that_does_not_fit_torch_is_one_sentence(tmp_path):
    broken = "raise RuntimeError('operator torchvision::roi_align does not exist')\n"
    done = imported_beside(tmp_path, broken)
    last = done.stderr.strip().splitlines()[-1]
    assert "DataError: CIFAR10 is read through torchvision, which cannot be imported" in last
    assert "roi_align" in last


def test_nothing_is_declared_where_the_extension_loads(monkeypatch):
    monkeypatch.setattr(torchvision_compat, "extension_loads", lambda: True)
    monkeypatch.setattr(torchvision_compat, "SCHEMAS", {"never": "never() -> ()"})
    assert torchvision_compat.declare_missing_operators() == []


def test_only_missing_operators_are_declared(monkeypatch):
    monkeypatch.setattr(torchvision_compat, "extension_loads", lambda: False)
    monkeypatch.setattr(torchvision_compat, "_declared", [])
    schemas = {
        **torchvision_compat.SCHEMAS,
        "crosskrylov_test": "crosskrylov_test(Tensor x) -> Tensor",
    }
    monkeypatch.setattr(torchvision_compat, "SCHEMAS", schemas)
    assert torchvision_compat.declare_missing_operators() == ["crosskrylov_test"]
    assert torchvision_compat.declare_missing_operators() == []


def test_a_missing_torchvision_is_no_extension(monkeypatch):
    monkeypatch.setattr(torchvision_compat.importlib.util, "find_spec", lambda name: None)
    assert torchvision_compat.extension_loads() is False


def test_default_root_needs_no_environment(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert torchvision_sets.default_root().parts[-2:] == (".cache", "crosskrylov")
    assert default_root().is_absolute()
