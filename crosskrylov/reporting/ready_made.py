"""Turn the networks that presets/ready-made.yaml trained into ready-made ones (make ready-made).

The averaged weights are stored in half precision; what is measured, is measured with the stored
ones.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from crosskrylov.datasets.index import source_entry
from crosskrylov.errors import ConfigError, CrosskrylovError
from crosskrylov.experiments.common import stream_seed
from crosskrylov.experiments.quality import measure_samples
from crosskrylov.learning.ready_made.index import READY_MADE_FOLDER
from crosskrylov.learning.ready_made.loading import load_ready_made, write_ready_made
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.learning.training.drawing import read_drawing
from crosskrylov.learning.unet import build_unet
from crosskrylov.metrics.distances import frechet_distance
from crosskrylov.metrics.features import extract_features
from crosskrylov.runtime.files import load_npz, read_json
from crosskrylov.runtime.provenance import machine, revision

#: Licence and author of what a ready-made network may be trained on; anything else is refused.
DIGITS_LICENCE = (
    "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning "
    "Repository (CC BY 4.0); test set as distributed with scikit-learn (BSD-3-Clause)"
)
PHOTOGRAPH_LICENCES = {
    "chelsea": "CC0, Stefan van der Walt",
    "coffee": "CC0, Rachel Michetti",
    "rocket": "public domain, SpaceX",
    "retina": "CC0, Mikael Häggström",
    "hubble_deep_field": "public domain, NASA",
}


def licences(image_set: Mapping[str, Any]) -> dict[str, str]:
    """Return the licence of everything that an image set is made of.

    Raises
    ------
    ConfigError
        If there is an image whose licence is not known to be free.
    """
    source = image_set["source"]
    if source == "digits":
        return {"digits": DIGITS_LICENCE}
    names = image_set.get("photographs") or [] if source == "photos" else []
    unknown = [name for name in names if name not in PHOTOGRAPH_LICENCES]
    if unknown or not names:
        raise ConfigError(
            "A ready-made network is trained on source digits, or on photos with photographs: some "
            f"of {', '.join(PHOTOGRAPH_LICENCES)}; found source {source} with "
            f"{', '.join(unknown) or 'none named'}."
        )
    return {name: PHOTOGRAPH_LICENCES[name] for name in names}


def pack(
    results: str | Path, name: str, command: str, commit: str = "", to: Path = READY_MADE_FOLDER
) -> dict[str, Any]:
    """Write the ready-made network ``name`` from the results of a run; return its provenance.

    Parameters
    ----------
    results : path
        Folder ``results`` of the run, with config.yaml.
    name : str
        Its image set.
    command : str
        The command that makes it.
    commit : str
        Revision of the code that trained it.
    to : path
        Where it is written.

    Raises
    ------
    ConfigError
        If the configuration asks for several models or seeds, or the licence is not known.
    DataError
        If a file of the run is missing.
    """
    results = Path(results)
    config = yaml.safe_load((results / "config.yaml").read_text(encoding="utf-8"))
    models, seeds = config["training"]["budget"]["models"], config["random_seeds"]
    if len(models) != 1 or len(seeds) != 1:
        raise ConfigError(
            f"Ready-made networks need one model and one seed in the configuration; found "
            f"{', '.join(models)} and {', '.join(map(str, seeds))}."
        )
    image_set, (model,), (seed,) = config["image_sets"][name], models, seeds
    run = results / "training" / "budget" / name / model / f"seed{seed}"
    network = load_network(run / "checkpoint")
    summary = read_json(run / "training.json")
    images = load_npz(results / name / f"seed{seed}" / "images.npz")["images"]
    said = {
        "what": f"{len(images)} images of {images.shape[2]} x {images.shape[3]} pixels, "
        f"{'grey' if images.shape[1] == 1 else 'colour'}, model {model}",
        "drawing": read_drawing(run / "checkpoint").as_json(),
        "data": {"image_set": image_set, "licences": licences(image_set)},
        "training": {
            "command": command,
            "commit": commit,
            "seed": seed,
            "steps": summary["steps"],
            "seconds": round(summary["train_seconds"], 1),
            "threads": summary["threads"],
            "device": summary["device"],
            "parameters": summary["parameters"],
            "unet": config["unet"],
            "training": {k: v for k, v in config["training"].items() if not isinstance(v, dict)}
            | {"budget": config["training"]["budget"]},
            "versions": {k: v for k, v in machine().items() if k in ("python", "torch")},
        },
    }
    write_ready_made(to, name, network, said)
    said["quality"] = _quality(name, to, images, config, seed)
    write_ready_made(to, name, network, said)
    return said


def _quality(name, folder, images, config, seed) -> dict[str, Any]:
    """Return metrics of samples of the stored weights, of untrained ones, and of images."""
    made = load_ready_made(name, folder=folder)
    features = source_entry(config["image_sets"][name]["source"]).facts.features
    count = config["training"]["budget"]["n_samples"]
    drawn = made.draw(count, stream_seed(seed, "sampling"))
    values = measure_samples(drawn.images.numpy(), images, features, config["metrics"])
    untrained = build_unet(config["unet"], images.shape[-1], images.shape[1], seed).eval()
    noise = draw_samples(
        untrained,
        made.drawing.levels(),
        made.drawing.sampler,
        made.drawing.function_evaluations,
        count,
        made.image_shape,
        stream_seed(seed, "sampling"),
    )
    found = {key: extract_features(features, value) for key, value in _split(images, seed)}
    return {
        "n_samples": count,
        "function_evaluations": drawn.function_evaluations,
        "sampling_seconds": round(drawn.seconds, 1),
        **{key: round(value, 4) for key, value in values.items()},
        "untrained": round(
            frechet_distance(
                extract_features(features, noise.images.numpy()), extract_features(features, images)
            ),
            4,
        ),
        "halves_of_the_images": round(frechet_distance(found["first"], found["second"]), 4),
    }


def _split(images, seed):
    order = np.random.default_rng(seed).permutation(len(images))
    half = len(images) // 2
    return ("first", images[order[:half]]), ("second", images[order[half:]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m crosskrylov.reporting.ready_made", description=__doc__
    )
    parser.add_argument("names", nargs="+", help="image sets that the networks were trained on")
    parser.add_argument("--results", default="results", help="folder to read (%(default)s)")
    parser.add_argument("--command", default="make ready-made", help="what made the results")
    parser.add_argument("--commit", help="code that trained them (default: that of this folder)")
    parser.add_argument("--to", type=Path, default=READY_MADE_FOLDER, help="folder to write")
    options = parser.parse_args(arguments)
    try:
        commit = options.commit or revision()
        for name in options.names:
            said = pack(options.results, name, options.command, commit, options.to)
            print(f"{name}: {said['quality']}")
    except CrosskrylovError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
