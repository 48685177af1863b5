"""Your solver against all of `solve_many`: python your_solver.py [PICTURE.png]."""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy import io, sparse

from crosskrylov import initial_log_density, load_images, make_solver, solve_many
from crosskrylov.solvers.many import METHODS
from crosskrylov.studies.bank import build_bank
from crosskrylov.studies.export import export_systems


def solve(A, b):
    """Return x and the relative residual after each iteration: put your solver here."""
    history = []
    x, _ = sparse.linalg.bicgstab(A, b, rtol=1e-8, callback=lambda x: history.append(b - A @ x))
    return x, [np.linalg.norm(residual) / np.linalg.norm(b) for residual in history]


density = initial_log_density(load_images("digits", 32, 4, seed=3).images)
bank = build_bank({}, density, [1, 20], make_solver("spsolve"))
names = export_systems("systems", bank, range(4), {"images": "digits", "seed": 3, "version": "-"})
A = [io.mmread(f"systems/{name}_A.mtx").tocsr() for name in names]
b = np.hstack([io.mmread(f"systems/{name}_b.mtx") for name in names]).T
ms = {name: [] for name in ("yours", *METHODS)}
for name in 4 * list(ms):  # in turn; the first round warms up
    start = time.perf_counter()
    [solve(*s) for s in zip(A, b)] if name == "yours" else solve_many(A, b, method=name)
    ms[name].append((time.perf_counter() - start) / len(A) * 1e3)
ranked = sorted(ms, key=lambda name: np.median(ms[name][1:]))
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for name, system in zip(names, zip(A, b)):
    left.semilogy(solve(*system)[1], color="C0" if "step0001" in name else "C1")
right.barh(ranked, [np.median(ms[name][1:]) for name in ranked])
figure.suptitle("Yours: relative residual at step 1 (blue), 20. All: ms per system, median of 3")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "your_solver.png", dpi=80)
