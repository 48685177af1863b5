"""The script of rule fetch_images: what it writes, and what it leaves when it fails."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from crosskrylov.datasets.loading import image_digest
from crosskrylov.runtime.files import load_npz

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "fetch_images.py"
main = runpy.run_path(str(SCRIPT))["main"]

PHOTOS = {"source": "photos", "image_size": 16, "n_images": 6, "color": "rgb", "root": None}


def run_as_job(folder, image_set, seed=17):
    """Run the guarded block as Snakemake would."""
    folder.mkdir(parents=True, exist_ok=True)
    job = SimpleNamespace(
        output=SimpleNamespace(
            images=folder / "images.npz", manifest=folder / "images.manifest.json"
        ),
        params=SimpleNamespace(image_set=image_set, seed=seed, files=""),
        log=[str(folder / "fetch_images.log")],
    )
    runpy.run_path(str(SCRIPT), {"snakemake": job}, "__main__")


def test_images_and_manifest_agree(tmp_path):
    main(tmp_path / "images.npz", tmp_path / "manifest.json", dict(PHOTOS), seed=17)
    arrays = load_npz(tmp_path / "images.npz")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert arrays["images"].shape == (6, 3, 16, 16)
    assert arrays["images"].dtype == np.float32
    assert [entry["sha256"] for entry in manifest["images"]] == [
        image_digest(image) for image in arrays["images"]
    ]
    assert [entry["name"] for entry in manifest["images"]] == arrays["names"].tolist()
    assert [entry["label"] for entry in manifest["images"]] == arrays["labels"].tolist()
    assert manifest["seed"] == 17
    assert manifest["parameters"] == {k: v for k, v in PHOTOS.items() if v is not None}


def test_same_seed_same_bytes(tmp_path):
    for name in ("one", "two"):
        run_as_job(tmp_path / name, dict(PHOTOS))
    for file in ("images.npz", "images.manifest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    run_as_job(tmp_path / "three", dict(PHOTOS), seed=18)
    one, three = (tmp_path / name / "images.npz" for name in ("one", "three"))
    assert one.read_bytes() != three.read_bytes()


def test_images_without_classes_can_be_stored(tmp_path):
    run_as_job(tmp_path, {"source": "noise", "image_size": 8, "n_images": 2})
    arrays = load_npz(tmp_path / "images.npz")
    assert arrays["class_names"].shape == (0,)
    assert arrays["labels"].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("image_set", "sentence"),
    [
        ({"source": "photo", "image_size": 16, "n_images": 2}, "did you mean 'photos'?"),
        ({"source": "folder", "image_size": 16, "root": "{folder}/nowhere"}, "does not exist"),
        ({"source": "folder", "image_size": 16, "root": "{folder}"}, "holds no images"),
        (
            {"source": "folder", "image_size": 4, "root": "{folder}/tree"},
            "broken.png cannot be read",
        ),
    ],
)
def test_failure_is_one_sentence_in_the_log_and_leaves_nothing(
    tmp_path, image_set, sentence, capfd
):
    empty = tmp_path / "data"
    (empty / "tree").mkdir(parents=True)
    if image_set.get("root", "").endswith("tree"):
        Image.new("RGB", (8, 8)).save(empty / "tree" / "a.png")
        (empty / "tree" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    image_set = {
        key: value.format(folder=empty) if key == "root" else value
        for key, value in image_set.items()
    }
    with pytest.raises(SystemExit) as left:
        run_as_job(tmp_path / "out", image_set)
    assert left.value.code == 1
    assert sentence in (tmp_path / "out" / "fetch_images.log").read_text()
    assert sentence in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["fetch_images.log"]
