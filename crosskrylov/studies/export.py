"""Chosen systems as Matrix Market and NPZ, for solvers of other people."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse.linalg as spla

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.files import atomic_folder
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.studies.bank import SystemBank

_README = """\
Linear systems A x = b of the log-density Fokker-Planck equation
================================================================

Origin    image set {images}, random seed {seed}, {height} x {width} pixels, {time_steps} time steps
          to T = {final_time}, boundary {boundary}; made by crosskrylov {version}
Systems   backward Euler with the gradient of the last nonlinear iterate frozen (five-point stencil,
          row-major pixels); unknown x = log-density in nats; all systems of one step share their
          sparsity pattern and their constant part
Solution  x by sparse LU with one step of iterative refinement; the last column of the table is its
          true relative residual ||b - A x||_2 / ||b||_2
Start     x0 is the previous step's log-density: what an iterative solver would start from

NAME_A.mtx  matrix, Matrix Market coordinate format (scipy.io.mmread, Julia, MATLAB, PETSc, ...)
NAME_b.mtx, NAME_x.mtx, NAME_x0.mtx  vectors, Matrix Market array format
NAME.npz    data, indices, indptr, shape (CSR), b, x, x0 (numpy.load)

name                 step  image  unknowns  nonzeros  residual
"""


def export_systems(
    folder: str | Path,
    bank: SystemBank,
    images: Sequence[int],
    origin: dict,
) -> list[str]:
    """Write the systems of ``images`` at every step of the bank, with a README; return names.

    Parameters
    ----------
    folder : path-like
        Replaced as a whole, and only once it is complete.
    bank : SystemBank
    images : sequence of int
    origin : dict
        ``images`` (name of the image set), ``seed`` and ``version``, for the README.

    Raises
    ------
    ConfigError
        If an image is not in the bank.
    """
    outside = [k for k in images if not 0 <= k < bank.n_images]
    if outside:
        raise ConfigError(
            f"studies.export.images holds {outside[0]}, but the bank has images 0 to "
            f"{bank.n_images - 1}; correct it."
        )
    lines, names = [], []
    with atomic_folder(folder) as partial:
        for position, step in enumerate(bank.steps):
            for image in images:
                name = f"step{step:04d}_image{image:04d}"
                matrix, rhs = bank.matrix.take(position).take(image), bank.rhs[position, image]
                x = _accurate_solution(matrix.to_csr(), rhs.ravel())
                _write_system(
                    partial, name, matrix.to_csr(), rhs, x, bank.previous[position, image]
                )
                residual = relative_residuals(matrix, rhs, x.reshape(rhs.shape))
                lines.append(
                    f"{name:20s} {step:5d} {image:6d} {rhs.size:9d} {matrix.to_csr().nnz:9d}  "
                    f"{float(residual):.1e}"
                )
                names.append(name)
        problem = bank.problem
        header = _README.format(
            height=problem.height,
            width=problem.width,
            time_steps=problem.time_steps,
            final_time=problem.final_time,
            boundary=problem.boundary,
            **origin,
        )
        (partial / "README.txt").write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return names


def _accurate_solution(matrix, rhs: np.ndarray) -> np.ndarray:
    factors = spla.splu(matrix.tocsc())
    x = factors.solve(rhs)
    return x + factors.solve(rhs - matrix @ x)


def _write_system(folder: Path, name: str, matrix, rhs, x, start) -> None:
    vectors = {"b": rhs.ravel(), "x": x, "x0": start.ravel()}
    scipy.io.mmwrite(folder / f"{name}_A.mtx", matrix, precision=17)
    for key, vector in vectors.items():
        scipy.io.mmwrite(folder / f"{name}_{key}.mtx", vector[:, None], precision=17)
    np.savez_compressed(
        folder / f"{name}.npz",
        data=matrix.data,
        indices=matrix.indices,
        indptr=matrix.indptr,
        shape=np.array(matrix.shape),
        **vectors,
    )
