"""Judge real images as if they were samples: the floor of every distance."""

from typing import TYPE_CHECKING

from crosskrylov.experiments.final_quality import judge_real
from crosskrylov.runtime.files import load_npz, write_json
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(images_path, held_out_path, result_path, run: dict, options: dict) -> None:
    """Write the distances between training and held-out images (.json)."""
    images, held_out = (load_npz(path)["images"] for path in (images_path, held_out_path))
    write_json(result_path, {**run, "quality": judge_real(options, images, held_out)})


if __name__ == "__main__":
    run_job(main, snakemake)
