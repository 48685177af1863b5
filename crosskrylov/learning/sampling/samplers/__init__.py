"""Samplers, one file each; see `crosskrylov.learning.sampling.registry`."""
