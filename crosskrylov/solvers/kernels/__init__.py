"""Kernels of the solvers: batched Krylov iterations, operators, subspaces, split products."""
