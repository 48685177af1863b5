"""Score pre-computation for diffusion models by cross-matrix Krylov projection."""

__version__ = "0.1.0"
