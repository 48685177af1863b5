"""Every committed configuration can be planned; every mistake ends with one sentence."""

import re
import shutil

import pytest

from tests.conftest import PROJECT, TOY

BLANK = PROJECT / "presets" / "blank.yaml"
# settings that stand under other presets and plan nothing alone
SHARED = {PROJECT / "presets" / name for name in ("claims.yaml", "learning-rates.yaml")}
# the preset for your own images has its line to fill in, see test_your_images.py
PRESETS = set((PROJECT / "presets").glob("*.yaml")) - {
    BLANK,
    *SHARED,
    PROJECT / "presets" / "your-images.yaml",
}
OVERLAYS = [None, TOY, *sorted(PRESETS)]


def layers(overlay):
    """The config files of a preset, which says itself on what it lies."""
    if overlay is None:
        return []
    said = re.search(r"((?:presets/\S+ )*)presets/" + overlay.name, overlay.read_text())
    return [*(PROJECT / name for name in said[1].split()), overlay] if said else [overlay]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda file: file.stem if file else "default")
def test_configuration_can_be_planned(snakemake, overlay, tmp_path):
    arguments = ["--configfile", *layers(overlay)] if overlay else []
    plan = snakemake(
        *("--snakefile", PROJECT / "Snakefile", "--directory", tmp_path, "--dry-run", "--quiet"),
        *arguments,
        cwd=PROJECT,
    )
    assert "rror" not in plan.stdout


def test_on_the_blank_preset_only_what_an_overlay_names_is_planned(snakemake, tmp_path):
    """A new study, set of images or experiment in config.yaml needs its line there."""
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(
        "image_sets: {mine: {source: noise, image_size: 16, n_images: 4}}\n"
        "studies: {system_summary: {image_sets: [mine]}}\n"
    )
    plan = snakemake(
        *("--directory", tmp_path, "--dry-run", "--configfile", BLANK, overlay), cwd=PROJECT
    ).stdout
    jobs = plan.split("Job stats:")[-1].split("total")[0].splitlines()
    planned = {line.split()[0] for line in jobs if line and line.split()[-1].isdigit()}
    assert {name for name in planned if name.startswith(("study_", "march", "train"))} == {
        "study_system_summary"
    }
    assert not planned & {"gather_scores", "precompute_scores", "denoise", "sample"}
    assert plan.count("results/mine/seed") and "results/photos32" not in plan


@pytest.mark.parametrize("entry", ["Snakefile", "workflow/Snakefile"])
def test_default_target_is_everything(snakemake, entry):
    plan = snakemake("--snakefile", entry, "--dry-run", cwd=PROJECT).stdout
    assert "rule all:" in plan


def test_small_run_of_the_catalog_can_be_planned(snakemake, tmp_path):
    folder = shutil.copytree(PROJECT / ".test" / "config", tmp_path / "config").parent
    plan = snakemake(
        *("--snakefile", PROJECT / "workflow" / "Snakefile", "--directory", folder, "--dry-run"),
        cwd=PROJECT,
    ).stdout
    assert "wildcards: images=digits, seed=7" in plan
    assert "rule train_" not in plan


def test_named_targets_exist(snakemake):
    listed = snakemake("--list-rules", cwd=PROJECT).stdout.split()
    assert {"solvers", "single_image", "budget", "figures", "tables", "export_systems"} <= set(
        listed
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "march: {tolerence: 1.0e-6}",
            "Unknown configuration key march.tolerence: did you mean march.tolerance?",
        ),
        ("march: {picard_tolerance: 1e-8}", "YAML reads 1e-8 as text, so write 1.0e-8."),
        (
            "march: {picard_tolerance: 0}",
            "picard_tolerance is 0, but must be a finite number",
        ),
        ("image_sets: {photos32: {image_size: wide}}", "image_size is 'wide', but must be a whole"),
        (
            "seeds: {n_seeds: 1000}",
            "seeds.n_seeds is 1000, but image_sets.",
        ),
        ("random_seeds: 3", "random_seeds is 3, but must be a list with at least 1 entry"),
    ],
)
def test_mistake_ends_with_one_sentence(snakemake, tmp_path, text, sentence):
    (tmp_path / "mistake.yaml").write_text(text)
    done = snakemake(
        *("--snakefile", PROJECT / "Snakefile", "--directory", tmp_path),
        *("--configfile", tmp_path / "mistake.yaml"),
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    errors = [line for line in done.stdout.splitlines() if "Configuration error" in line]
    assert len(errors) == 1
    assert sentence in errors[0]
    assert not (tmp_path / "results").exists()


def test_command_line_values_are_typed(snakemake, tmp_path):
    snakemake(
        *("results/config.yaml", "--snakefile", PROJECT / "Snakefile", "--directory", tmp_path),
        *("--config", "march={max_picard: 3}"),
        cwd=PROJECT,
    )
    assert "max_picard: 3\n" in (tmp_path / "results" / "config.yaml").read_text()
