"""The how-to on CIFAR-10 and CelebA, followed on folders of the right layout made here."""

import os
import re

import numpy as np
import pytest
import yaml
from PIL import Image

from crosskrylov.datasets.loading import load_images
from crosskrylov.runtime.files import load_npz, read_json, read_tsv
from tests.conftest import PROJECT, run_snakemake

HOW_TO = PROJECT / "docs" / "how-to" / "use-cifar10-and-celeba.md"


def overlay():
    """Return the overlay that the how-to prints."""
    return yaml.safe_load(re.search(r"```yaml\n(.*?)```", HOW_TO.read_text("utf-8"), re.S)[1])


def write_images(folder, names, size):
    """Write pictures that are no photographs: smooth fields of random waves."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for name in names:
        waves = rng.normal(size=(5, 5, 3)) * 60 + 128
        field = Image.fromarray(waves.clip(0, 255).astype(np.uint8))
        field.resize(size, Image.Resampling.BICUBIC).save(folder / name)


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    for split in ("train", "test"):
        for name in ("cat", "ship"):
            files = [f"{number:04d}.png" for number in range(3)]
            write_images(folder / "cifar" / split / name, files, (32, 32))
    faces = [f"{number:06d}.jpg" for number in range(1, 7)]
    write_images(folder / "celeba" / "img_align_celeba", faces, (178, 218))
    return folder


def test_every_set_of_the_how_to_loads(copies, tmp_path):
    roots = {"cifar10": copies / "cifar", "celeba": copies / "celeba"}
    for name, images in overlay()["image_sets"].items():
        images |= {"n_images": 4} | {"root": roots.get(images["source"])}
        loaded = load_images(images.pop("source"), seed=1, **images.pop("options", {}), **images)
        assert loaded.images.shape == (4, 3, images["image_size"], images["image_size"]), name


@pytest.mark.slow
def test_the_solver_study_runs_on_copies_named_on_the_command_line(copies, tmp_path):
    small = overlay()
    for name in ("celeba128", "faces64_upscaled"):  # to be quick
        del small["image_sets"][name]
    for images in small["image_sets"].values():
        images |= {"n_images": 4, "image_size": 16}
    small["studies"]["trajectory"]["image_sets"] = list(small["image_sets"])
    small["studies"]["trajectory"]["solvers"] = ["spsolve"]
    small |= {"equation": {"time_steps": 6, "stored_steps": 3}, "seeds": {"n_seeds": 1}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(small))
    roots = f"cifar32: {{root: {copies / 'cifar'}}}, celeba64: {{root: {copies / 'celeba'}}}"
    run_snakemake(
        *("results/tables/solvers.tsv", "results/tables/claims.tsv"),
        *("--directory", tmp_path, "--configfile", PROJECT / "presets" / "blank.yaml"),
        *(tmp_path / "mine.yaml", "--config", f"image_sets={{{roots}}}"),
        cwd=PROJECT,
    )
    marched = read_tsv(tmp_path / "results" / "tables" / "solvers.tsv")
    assert set(marched.dataset) == set(small["image_sets"])
    claims = read_tsv(tmp_path / "results" / "tables" / "claims.tsv")
    # what was not trained on says so
    assert (claims[claims.dataset == "celeba"].evidence == "not run").all()


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("source: celeba, root: nowhere", r"root is .*nowhere, which does not exist: correct the"),
        (
            "source: celeba, root: {faces}, options: {{split: test}}",
            r"split is 'test', but list_eval_partition\.txt is missing",
        ),
        ("source: cifar10, root: nowhere", r"root is .*nowhere, which does not exist: correct the"),
    ],
)
def test_a_wrong_folder_is_one_sentence(copies, tmp_path, entry, sentence):
    entry = entry.format(faces=copies / "celeba")
    done = run_snakemake(
        *("results/wrong/seed17/images.npz", "--directory", tmp_path, "--config"),
        f"image_sets={{wrong: {{image_size: 32, n_images: 4, {entry}}}}}",
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert re.search(sentence, line), line
    assert "Traceback" not in done.stdout


@pytest.mark.skipif(
    "CROSSKRYLOV_CIFAR10" not in os.environ,
    reason="set CROSSKRYLOV_CIFAR10 to a folder with {train,test}/<class>/*.png",
)
def test_a_real_tree_of_cifar10(tmp_path):
    root = os.environ["CROSSKRYLOV_CIFAR10"]
    images = {"source": "cifar10", "image_size": 32, "n_images": 4, "root": root}
    images["options"] = {"split": "test"}
    run_snakemake(
        *("results/cifar32/seed17/images.npz", "results/cifar32/seed17/log_density.npz"),
        *("--directory", tmp_path, "--config", f"image_sets={{cifar32: {images}}}"),
        cwd=PROJECT,
    )
    folder = tmp_path / "results" / "cifar32" / "seed17"
    assert load_npz(folder / "images.npz")["images"].shape == (4, 3, 32, 32)
    named = {
        entry["name"].split("/")[0]
        for entry in read_json(folder / "images.manifest.json")["images"]
    }
    assert named <= {
        *("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    }
