"""Scores of a block of images, in memory that is there already (Eq. 5)."""

import torch


def block_score(log_density: torch.Tensor, spacing: float, out: torch.Tensor) -> torch.Tensor:
    """Put `crosskrylov.equation.stencil.score` of every field into ``out``, to the last bit.

    Parameters
    ----------
    log_density : Tensor, shape (..., H, W)
        In nats.
    spacing : float
        Grid spacing h.
    out : Tensor, shape (..., 2, H, W)

    Returns
    -------
    Tensor
        ``out``.
    """
    m, half = log_density, 0.5 / spacing
    rows, cols = out.unbind(-3)
    torch.sub(m[..., 2:, :], m[..., :-2, :], out=rows[..., 1:-1, :]).mul_(half)
    torch.sub(m[..., 2:], m[..., :-2], out=cols[..., 1:-1]).mul_(half)
    for edge, one, other in ((0, 1, 0), (-1, -1, -2)):
        rows[..., edge, :] = (m[..., one, :] - m[..., other, :]) / spacing
        cols[..., edge] = (m[..., one] - m[..., other]) / spacing
    return out
