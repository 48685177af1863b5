"""Load the images of one image set and write them with a manifest."""

from typing import TYPE_CHECKING

import numpy as np

from crosskrylov.datasets.loading import load_images
from crosskrylov.runtime.files import save_npz, write_json
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(images_path, manifest_path, image_set: dict, seed: int) -> None:
    """Write images [N, C, H, W] (float32, in [0, 1]), labels and names, and what they are.

    Parameters
    ----------
    images_path : path-like
        Archive with ``images``, ``labels`` [N], ``names`` [N] and ``class_names``.
    manifest_path : path-like
        JSON with source, sizes, seed, options, package versions and a SHA-256 per image.
    image_set : dict
        Arguments of `load_images`: the entry of ``image_sets`` in the configuration.
    seed : int
        Seed of the choice and of random crops.
    """
    loaded = load_images(**image_set, seed=seed)
    save_npz(
        images_path,
        images=loaded.images,
        labels=loaded.labels,
        names=np.array(loaded.names),
        class_names=np.array(loaded.class_names, dtype=str),
    )
    given = {key: value for key, value in image_set.items() if value is not None}
    write_json(manifest_path, loaded.manifest(seed=seed, parameters=given))


if __name__ == "__main__":
    run_job(main, snakemake)
