"""The preset for one's own images: one line to fill in, six small pictures."""

import numpy as np
import pytest
from PIL import Image

from crosskrylov.runtime.files import read_tsv
from crosskrylov.scores.store import ScoreStore
from tests.conftest import PROJECT


@pytest.fixture
def filled_in(tmp_path):
    """Six pictures, and the preset with its one line edited."""
    (tmp_path / "pictures").mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{index}.png")
    lines = (PROJECT / "presets" / "your-images.yaml").read_text().splitlines()
    (place,) = [n for n, line in enumerate(lines) if line.startswith("    root:")]
    lines[place] = f"    root: {tmp_path / 'pictures'}"
    (tmp_path / "mine.yaml").write_text("\n".join(lines))
    return tmp_path


def test_one_edited_line_plans_solvers_engine_and_training(snakemake, filled_in):
    plan = snakemake(
        *("--snakefile", PROJECT / "Snakefile", "--directory", filled_in, "--dry-run"),
        *("--configfile", filled_in / "mine.yaml"),
        *("--config", "image_sets={yours: {image_size: 16}}"),
        cwd=PROJECT,
    ).stdout
    assert "images=yours" in plan
    assert "images=photos32" not in plan
    for rule in (
        "solve_baseline",
        "project_targets",
        "study_warm_start",
        "precompute_scores",
        "train_single_image",
    ):
        assert f"rule {rule}" in plan
    assert "train_budget" not in plan
    assert "Nothing uses" not in plan


#: The same at the size of a test; the image set keeps its source, root and upscaling.
SMALL = """
image_sets: {yours: {image_size: 16, n_images: null}}
equation: {time_steps: 6, stored_steps: 3}
embedding: {steps: 3}
unet: {channels: [8, 8], attention_resolution: 0, norm_groups: 4}
solvers: {bicgstab: , no_projection: , cross_matrix_joint: , cross_matrix_pod: , seed_lu: , transform_bicgstab: }
studies: {time_to_residual: , projection_residuals: , warm_start: , system_summary: , clocks: {windows: [[1, 2]]}}
engine: {parts: 1}
training: {single_image: {models: [dsm], max_steps: 6, first_evaluation: 3, denoising_steps: 4}}
"""  # noqa: E501


@pytest.mark.slow
def test_one_edited_line_gives_solvers_scores_and_training(snakemake, filled_in):
    """Without n_images, all six pictures are taken."""
    (filled_in / "small.yaml").write_text(SMALL)
    tables = [f"results/tables/{name}.tsv" for name in ("solvers", "engine", "training")]
    snakemake(
        *("--snakefile", PROJECT / "Snakefile", "--directory", filled_in, *tables),
        *("--configfile", filled_in / "mine.yaml", filled_in / "small.yaml"),
        cwd=PROJECT,
    )
    solvers, engine, training = (read_tsv(filled_in / table) for table in tables)
    assert {"spsolve", "cross_matrix_galerkin"} <= set(solvers["solver"])
    assert list(engine["dataset"]) == ["yours"]
    assert "dsm" in set(training["model"])
    assert ScoreStore.open(filled_in / "results" / "yours" / "seed17" / "scores").shape[0] == 6


def test_forgotten_line_is_named(snakemake, tmp_path):
    done = snakemake(
        *("--snakefile", PROJECT / "Snakefile", "--directory", tmp_path, "--dry-run"),
        *("--configfile", PROJECT / "presets" / "your-images.yaml"),
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode != 0
    assert "image_sets.yours.root is missing: name the folder" in done.stdout


def test_repeated_key_is_refused_before_the_last_wins(snakemake, tmp_path):
    (tmp_path / "twice.yaml").write_text("random_seeds: [1]\nrandom_seeds: [2]\n")
    done = snakemake(
        *("--snakefile", PROJECT / "Snakefile", "--directory", tmp_path, "--dry-run"),
        *("--configfile", tmp_path / "twice.yaml"),
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode != 0
    assert "twice.yaml, line 2: the key 'random_seeds' stands in line 1 already" in done.stdout
