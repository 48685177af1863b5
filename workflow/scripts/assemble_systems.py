"""Take the systems of chosen time steps from a converged march."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import load_npz
from crosskrylov.runtime.jobs import run_job
from crosskrylov.scores.march_options import march_options
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.bank import build_bank, resolve_steps, save_bank

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(log_density_path, bank_path, equation: dict, march: dict, bank: dict) -> None:
    """Write matrices (coefficient arrays), right-hand sides, starts and solutions (.npz)."""
    built = build_bank(
        equation,
        load_npz(log_density_path)["log_density"],
        resolve_steps(equation["time_steps"], bank["at"]),
        make_solver(bank["method"], bank["options"]),
        march_options(march, tolerance=bank["tolerance"]),
    )
    save_bank(bank_path, built)


if __name__ == "__main__":
    run_job(main, snakemake)
