"""The scripts of training and generation: what they write, and what they leave when they fail."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crosskrylov.errors import DataError
from crosskrylov.learning.objectives.index import registered_models
from crosskrylov.planning.config import load_config
from crosskrylov.runtime.files import load_npz, read_json, read_tsv, save_npz, write_json

PROJECT = Path(__file__).parents[2]
SCRIPTS = PROJECT / "workflow" / "scripts"
STEPS, TIMES = [1, 3, 6], np.array([1 / 6, 0.5, 1.0])
RUN = {"dataset": "toy", "image_size": 8, "seed": 7}


def script_main(name):
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]


def run_as_job(name, log, **parts):
    """Run the guarded block as Snakemake would; inputs may be asked for by ``get``."""
    job = SimpleNamespace(log=[str(log)], **parts)
    runpy.run_path(str(SCRIPTS / f"{name}.py"), {"snakemake": job}, "__main__")


class Named(dict):
    """Inputs as Snakemake hands them over: by attribute or by ``get``."""

    __getattr__ = dict.__getitem__


@pytest.fixture(scope="module")
def sections():
    config = load_config(PROJECT / "config.yaml", PROJECT / "tests" / "config" / "toy.yaml")
    training = config["training"]
    training["single_image"].update(max_steps=3, first_evaluation=2, targets=[0.01, 0.999])
    training["budget"].update(max_steps=3, n_samples=60)
    return SimpleNamespace(
        unet=config["unet"],
        training=training,
        metrics=config["metrics"],
        equation=config["equation"],
        density=config["density"],
        embedding=config["embedding"],
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory, sections):
    """Images, scores, and images embedded with them."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    images = rng.random((60, 1, 8, 8), dtype=np.float32)
    save_npz(folder / "images.npz", images=images)
    save_npz(
        folder / "log_density.npz", log_density=rng.random((60, 3, 8, 8)), times=TIMES, steps=STEPS
    )
    write_json(folder / "summary.json", {"seconds": {"setup": 2.0, "solve": 4.0}})
    script_main("embed_scores")(
        folder / "images.npz",
        folder / "log_density.npz",
        folder / "summary.json",
        folder / "embedded.npz",
        sections.equation,
        sections.embedding,
        seed=7,
    )
    return folder


def train_single(data, sections, folder, model="score_embedding", embedded=None):
    folder.mkdir(parents=True, exist_ok=True)
    script_main("train_single_image")(
        data / "images.npz",
        folder / "curve.tsv",
        folder / "training.json",
        folder / "checkpoint",
        folder / "state",
        model,
        3,
        sections.equation,
        sections.unet,
        sections.training,
        seed=7,
        threads=1,
        embedded_path=embedded or embedded_for(model, data),
    )


def calibrate(data, sections, folder, models):
    """Time the steps of the models; return the file."""
    path = folder / "seconds_per_step.tsv"
    script_main("calibrate_training")(
        data / "images.npz",
        path,
        {"experiment": "single_image", "dataset": "toy", "image_size": 8},
        models,
        3,
        sections.equation,
        sections.unet,
        sections.training,
        seed=7,
        threads=1,
    )
    return path


def embedded_for(model, data):
    return data / "embedded.npz" if registered_models()[model].scores else None


def test_embedding_counts_the_seconds_of_the_scores(data):
    arrays = load_npz(data / "embedded.npz")
    assert arrays["embedded"].shape == (60, 3, 1, 8, 8)
    assert arrays["embedded"].dtype == np.float32
    assert 6.0 / 60 < arrays["precompute_seconds_per_image"] < 6.0 / 60 + 1.0
    assert arrays["displacement_rms"].shape == (60, 3)


def test_images_embedded_on_the_fly_are_those_of_the_stored_scores(data, sections, tmp_path):
    """The chain density, exact scores, embedding in one job, without the files between."""
    density, scores, stored, made = (
        tmp_path / f"{name}.npz" for name in ("density", "exact_scores", "stored", "made")
    )
    script_main("estimate_density")(data / "images.npz", density, 7, sections.density)
    summary = tmp_path / "exact_scores.json"
    script_main("exact_scores")(density, scores, summary, sections.equation, n_threads=1)
    shared = sections.equation, sections.embedding
    script_main("embed_scores")(data / "images.npz", scores, summary, stored, *shared, seed=7)
    before = set(tmp_path.iterdir())
    run_as_job(
        "embed_on_the_fly",
        tmp_path / "embed_on_the_fly.log",
        input=Named(images=data / "images.npz"),
        output=Named(embedded=made),
        params=Named(
            equation=sections.equation,
            density=sections.density,
            embedding=sections.embedding | {"scores": "on_the_fly"},
            n_threads=1,
        ),
        wildcards=Named(seed="7"),
        threads=1,
    )
    assert set(tmp_path.iterdir()) - before == {made, tmp_path / "embed_on_the_fly.log"}
    expected, found = load_npz(stored), load_npz(made)
    assert set(found) == set(expected)
    np.testing.assert_array_equal(found["times"], expected["times"])
    np.testing.assert_allclose(found["embedded"], expected["embedded"], rtol=0, atol=1e-6)
    assert found["precompute_seconds_per_image"] > 0


@pytest.mark.parametrize(
    "model", ["score_embedding", "score_embedding_scaled", "ddpm", "ddpm_from_noise"]
)
def test_single_image_from_training_to_result(data, sections, tmp_path, model):
    train_single(data, sections, tmp_path, model)
    assert not (tmp_path / "state").exists()
    assert read_json(tmp_path / "checkpoint" / "drawing.json")["model"] == model
    curve = read_tsv(tmp_path / "curve.tsv")
    assert {"step", "train_seconds", "loss", "ssim", "ssim_global", "psnr_db", "mse"} <= set(curve)
    script_main("denoise")(
        data / "images.npz",
        tmp_path / "checkpoint",
        tmp_path / "denoised.npz",
        model,
        sections.training,
        1.0,
        seed=7,
        threads=1,
    )
    script_main("evaluate_single_image")(
        tmp_path / "curve.tsv",
        tmp_path / "training.json",
        tmp_path / "result.json",
        {**RUN, "experiment": "single_image", "model": model},
        sections.training["single_image"]["targets"],
        n_images=1,
        denoised_path=tmp_path / "denoised.npz",
        embedded_path=embedded_for(model, data),
    )
    result = read_json(tmp_path / "result.json")
    assert result["steps"] == 3 and result["stopped_by"] == "max_steps"
    reached = {(row["metric"], row["target_ssim"]): row["reached"] for row in result["targets"]}
    assert set(reached) == {(m, t) for m in ("ssim_global", "ssim") for t in (0.01, 0.999)}
    assert not reached["ssim", 0.999]
    # the saved network is the one that was evaluated last
    assert result["final"]["ssim"] == pytest.approx(curve["ssim"].iloc[-1], abs=1e-5)
    assert (result["precompute_seconds"] > 0) == registered_models()[model].scores


def test_a_bounded_run_stops_at_its_multiple_of_the_methods_steps(data, sections, tmp_path):
    at = {"target_ssim": 0.999, "reached": True, "step": 1, "train_seconds": 1.0}
    targets = [at | {"metric": metric} for metric in ("ssim_global", "ssim")]
    write_json(tmp_path / "method.json", {"precompute_seconds": 0.0, "targets": targets})
    training = {**sections.training}
    training["single_image"] = {**training["single_image"], "targets": [0.999], "max_steps": 9}
    script_main("train_single_image")(
        data / "images.npz",
        tmp_path / "curve.tsv",
        tmp_path / "training.json",
        tmp_path / "checkpoint",
        tmp_path / "state",
        "ddpm",
        3,
        sections.equation,
        sections.unet,
        training,
        seed=7,
        threads=1,
        method_path=tmp_path / "method.json",
        stop_multiples=[[0.999, 3.5]],
    )
    summary = read_json(tmp_path / "training.json")
    assert (summary["stopped_by"], summary["steps"]) == ("bound", 4)


@pytest.mark.parametrize("model", ["score_embedding", "exact_target"])
def test_budget_from_training_to_result_and_samplers(data, sections, tmp_path, model):
    embedded = embedded_for(model, data)
    checkpoint = tmp_path / "checkpoint"
    script_main("train_budget")(
        data / "images.npz",
        tmp_path / "curve.tsv",
        tmp_path / "training.json",
        checkpoint,
        tmp_path / "state",
        model,
        "digit_classifier",
        sections.unet,
        sections.training,
        seed=7,
        threads=1,
        embedded_path=embedded,
    )
    assert "frechet_digit_classifier" in read_tsv(tmp_path / "curve.tsv")
    script_main("sample")(
        data / "images.npz",
        checkpoint,
        tmp_path / "samples.npz",
        model,
        sections.training,
        seed=7,
        threads=1,
    )
    run = {**RUN, "experiment": "budget", "model": model}
    script_main("evaluate_budget")(
        data / "images.npz",
        tmp_path / "samples.npz",
        checkpoint,
        tmp_path / "training.json",
        tmp_path / "result.json",
        run,
        model,
        "ddim",
        "digit_classifier",
        sections.training,
        sections.metrics,
        threads=1,
        embedded_path=embedded,
    )
    found = {entry["metric"]: entry for entry in read_json(tmp_path / "result.json")["quality"]}
    assert {
        "frechet_digit_classifier",
        "kernel_digit_classifier",
        "nearest_rms",
        "nearest_ratio",
        "score_error_mean_over_sigma",
        "score_error_normalised_mean_over_sigma",
        "score_own_error_mean_over_sigma",
        "score_own_error_normalised_mean_over_sigma",
    } == set(found)  # and neither fid nor kid, which were not measured
    assert found["nearest_rms"]["n_samples"] == 60
    own, shared = (found[f"score_{key}_mean_over_sigma"]["value"] for key in ("own_error", "error"))
    assert (own == shared) == (embedded is None)
    script_main("compare_samplers")(
        data / "images.npz",
        checkpoint,
        tmp_path / "samplers.json",
        {**run, "experiment": "samplers"},
        model,
        "digit_classifier",
        sections.training,
        sections.metrics,
        threads=1,
    )
    quality = read_json(tmp_path / "samplers.json")["quality"]
    assert {entry["sampler"] for entry in quality} == {"ddim", "pds_reverse_sde"}
    # the configured sampler of the budget experiment appears with the same value
    again = [
        entry["value"]
        for entry in quality
        if entry["sampler"] == "ddim" and entry["metric"] == "frechet_digit_classifier"
    ]
    assert again == [pytest.approx(found["frechet_digit_classifier"]["value"])]


def test_weights_with_a_wrong_checksum_stop_the_evaluation(data, sections, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"something else")
    metrics = {
        **sections.metrics,
        "inception": {"weights": str(weights), "download": False, "sha256": "6726825d" * 8},
    }
    from crosskrylov.experiments.quality import measure_samples

    images = load_npz(data / "images.npz")["images"]
    with pytest.raises(DataError, match="SHA-256"):
        measure_samples(images, images, "digit_classifier", metrics)


def test_failing_training_leaves_an_error_in_the_log_and_no_result(data, sections, tmp_path):
    broken = {**sections.training, "device": "cuda"}
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(SystemExit):
        run_as_job(
            "train_single_image",
            tmp_path / "job.log",
            input=Named(images=data / "images.npz", embedded=data / "embedded.npz"),
            output=Named(
                curve=tmp_path / "curve.tsv",
                summary=tmp_path / "training.json",
                checkpoint=tmp_path / "checkpoint",
            ),
            params=SimpleNamespace(
                state=tmp_path / "state",
                objective="score_embedding",
                embedded_steps=3,
                equation=sections.equation,
                unet=sections.unet,
                training=broken,
            ),
            wildcards=SimpleNamespace(seed="7"),
            threads=1,
        )
    assert "training.device is 'cuda'" in (tmp_path / "job.log").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["job.log"]


def test_tables_and_figures_of_finished_runs(data, sections, tmp_path):
    results, curves, strips = [], [], []
    for model in ("dsm", "ddpm"):
        folder = tmp_path / model
        train_single(data, sections, folder, model)
        script_main("denoise")(
            data / "images.npz",
            folder / "checkpoint",
            folder / "denoised.npz",
            model,
            sections.training,
            1.0,
            seed=7,
            threads=1,
        )
        script_main("evaluate_single_image")(
            folder / "curve.tsv",
            folder / "training.json",
            folder / "result.json",
            {**RUN, "experiment": "single_image", "model": model},
            [0.01],
            n_images=1,
            denoised_path=folder / "denoised.npz",
        )
        results.append(folder / "result.json")
        curves.append(folder / "curve.tsv")
        strips.append(folder / "denoised.npz")
    table = tmp_path / "training.tsv"
    gather, steps = script_main("gather_results"), tmp_path / "steps.tsv"
    calibration = calibrate(data, sections, tmp_path, ["dsm", "ddpm"])
    gather(table, "training", {"baselines": ["ddpm"]}, results, [calibration])
    gather(steps, "seconds_per_step", {}, calibration_paths=[calibration])
    cost = read_tsv(steps).set_index("model")["seconds_per_step"]
    made = read_tsv(table)
    assert list(made["model"]) == ["ddpm", "dsm"] * 2
    assert list(made["metric"]) == ["ssim", "ssim", "ssim_global", "ssim_global"]
    expected = (made["steps"] * made["model"].map(cost)).where(made["reached"])
    np.testing.assert_allclose(made["seconds"], expected, rtol=1e-3)
    draw, show = script_main("plot_training"), script_main("plot_training_images")
    for figure in ("time_to_ssim", "survival"):
        draw(figure, *pictures(tmp_path, figure), {}, table_path=table)
    paired = tmp_path / "paired.tsv"
    gather(paired, "paired", {"against": ["ddpm"]}, training_paths=[table])
    assert list(read_tsv(paired)["model"]) == ["dsm"] * 2
    options = {"targets": [0.01]}
    draw(
        "ssim_against_seconds",
        *pictures(tmp_path, "ssim"),
        options,
        curve_paths=curves,
        result_paths=results,
    )
    options = {"target": 0.01, "main_variants": {"dsm": "published"}}
    ablation = tmp_path / "ablation.tsv"
    gather(ablation, "ablation", options, results)
    draw("ablation", *pictures(tmp_path, "ablation"), {}, table_path=ablation)
    show(*pictures(tmp_path, "strip"), {}, denoised_paths=strips, result_paths=results)
    show(*pictures(tmp_path, "grid"), {"models": []}, images_path=data / "images.npz")
    for name in ("time_to_ssim", "survival", "ssim", "ablation", "strip", "grid"):
        svg, png = pictures(tmp_path, name)
        assert svg.stat().st_size > 1000 and png.is_file()


def test_controls_and_rates_from_embedding_to_figures(data, sections, tmp_path):
    """Two variants and a DDPM on the visited levels, then two rates: tables and figures of them."""
    script_main("embed_scores")(
        data / "images.npz",
        data / "log_density.npz",
        data / "summary.json",
        tmp_path / "absent.npz",
        sections.equation,
        {**sections.embedding, "field": "absent"},
        seed=7,
    )
    # the noise alone has no scores to pay for
    assert load_npz(tmp_path / "absent.npz")["precompute_seconds_per_image"] < 3.0 / 60
    runs = {
        "row": ("score_embedding", data / "embedded.npz"),
        "noise_only": ("score_embedding", tmp_path / "absent.npz"),
        "ddpm": ("ddpm_restricted", None),
    }
    results = []
    for name, (model, embedded) in runs.items():
        folder = tmp_path / name
        train_single(data, sections, folder, model, embedded)
        run = {**RUN, "experiment": "ablation_single_image", "model": name, "image": "0"}
        script_main("evaluate_single_image")(
            folder / "curve.tsv",
            folder / "training.json",
            folder / "result.json",
            run | {"learning_rate": 1e-3},
            [0.01, 0.999],
            n_images=1,
            embedded_path=embedded,
        )
        results.append(folder / "result.json")
    controls = {
        f"ablation_single_image/{name}": {
            "control": name,
            "scaled": name == "ddpm",
            "model": model,
            "against": [["row", False]],
        }
        for name, (model, _) in runs.items()
    }
    calibration = calibrate(data, sections, tmp_path, ["score_embedding", "ddpm_restricted"])
    gather, draw = script_main("gather_results"), script_main("plot_training")
    for name in ("controls", "control_effects"):
        gather(tmp_path / f"{name}.tsv", name, {"controls": controls}, results, [calibration])
        draw(name, *pictures(tmp_path, name), {}, table_path=tmp_path / f"{name}.tsv")
    made = read_tsv(tmp_path / "controls.tsv")
    assert len(made) == 3 * 4 and (made["seconds_per_step"] > 0).all()
    assert list(made["seconds"].notna()) == list(made["reached"])
    effects = read_tsv(tmp_path / "control_effects.tsv")
    assert len(effects) == 2 * 4 and set(effects["verdict"]) == {"undecided"}
    swept = []
    for rate in (1e-3, 2e-3):
        result = read_json(results[2]) | {"experiment": "learning_rates", "learning_rate": rate}
        swept.append(tmp_path / f"{rate}.json")
        write_json(swept[-1], result | {"model": "ddpm_restricted"})
    families = {"families": {"ddpm_restricted": "visited_levels"}}
    gather(tmp_path / "rates.tsv", "learning_rates", families, swept, [calibration])
    goal = {"target": 0.01, "metric": "ssim_global"}
    gather(tmp_path / "best.tsv", "best_rates", families | goal, swept)
    draw("learning_rates", *pictures(tmp_path, "rates"), {}, table_path=tmp_path / "best.tsv")
    assert read_tsv(tmp_path / "best.tsv")["chosen"].sum() == 1
    assert len(read_tsv(tmp_path / "rates.tsv")) == 2 * 4
    for name in ("controls", "control_effects", "rates"):
        assert pictures(tmp_path, name)[0].stat().st_size > 1000


def pictures(folder, name):
    return folder / f"{name}.svg", folder / f"{name}.png"


def test_embedding_follows_the_drift(data, sections, tmp_path):
    """Eq. 24: without scores, the linear drift -r (x - 1/2) alone moves the pixels."""
    save_npz(tmp_path / "flat.npz", log_density=np.zeros((60, 3, 8, 8)), times=TIMES, steps=STEPS)
    drift = {"kind": "linear", "rate": 0.3, "center": 0.5}
    script_main("embed_scores")(
        data / "images.npz",
        tmp_path / "flat.npz",
        data / "summary.json",
        tmp_path / "embedded.npz",
        {**sections.equation, "drift": drift},
        {**sections.embedding, "variant": "sum"},
        seed=7,
    )
    row, column = np.indices((8, 8)) / 7
    moved = load_npz(tmp_path / "embedded.npz")["embedded"][:, -1]
    expected = load_npz(data / "images.npz")["images"] - 0.3 * (row + column - 1.0)
    np.testing.assert_allclose(moved, expected, atol=1e-6)
