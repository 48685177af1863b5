"""One image, the log-density of its pixel positions and the score, at several times."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from crosskrylov.reporting.figures.style import PAGE_WIDTH, figure_style

#: Arrows along a side; more of them are a grey field.
_ARROWS = 16
_COLUMNS = 5


def plot_scores(
    image: np.ndarray,
    log_density: np.ndarray,
    scores: np.ndarray,
    times: Sequence[float],
    name: str,
) -> plt.Figure:
    """Return the image beside a panel per time: log-density as colour, score as arrows.

    Colours mean the same in all panels. Arrows are as long as they can be in each panel, whose
    title says the longest: the score falls by orders of magnitude as the density flattens.

    Parameters
    ----------
    image : ndarray, shape (H, W, C)
        In [0, 1].
    log_density : ndarray, shape (S, H, W)
        In nats.
    scores : ndarray, shape (S, 2, H, W)
        d/drow and d/dcolumn of it, per unit length (the image's side is 1).
    times : sequence of float, length S
    name : str
        What the image is called.
    """
    n_columns = min(_COLUMNS, len(times) + 1)
    n_rows = -(-(len(times) + 1) // n_columns)
    height, width = image.shape[:2]
    stride = max(1, -(-max(height, width) // _ARROWS))
    rows, columns = np.mgrid[stride // 2 : height : stride, stride // 2 : width : stride]
    with figure_style():
        figure, axes = plt.subplots(
            n_rows, n_columns, figsize=(PAGE_WIDTH, 1.75 * n_rows + 0.7), squeeze=False
        )
        for axis in axes.flat:
            axis.set_axis_off()
        first, *panels = axes.flat
        first.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        first.set_title(name if len(name) <= 18 else f"{name[:15]}...")
        lengths = np.hypot(scores[:, 0], scores[:, 1]).max(axis=(1, 2))
        low, high = float(log_density.min()), float(log_density.max())
        for axis, t, field, arrows, largest in zip(panels, times, log_density, scores, lengths):
            drawn = axis.imshow(field, cmap="cividis", vmin=low, vmax=high)
            d_row, d_column = arrows[:, rows, columns]
            length = np.hypot(d_row, d_column).max()
            axis.quiver(
                *(columns, rows, d_column, d_row),
                angles="xy",
                scale_units="xy",
                scale=max(length, np.finfo(float).tiny) / (1.5 * stride),
                color="white",
                width=0.008,
            )
            axis.set_title(f"t = {t:g}\n|score| ≤ {largest:.3g}")
        figure.colorbar(drawn, ax=axes, label="log-density (nats)", shrink=0.8)
        figure.suptitle(_finding(times, lengths))
    return figure


def _finding(times: Sequence[float], lengths: np.ndarray) -> str:
    if len(times) == 1:
        return "Log-density of the pixels' positions, and its score"
    # of one image, so that it is found anew for each
    verb = "falls" if lengths[-1] < lengths[0] else "rises"
    return (
        f"The largest score {verb} from {lengths[0]:.3g} to {lengths[-1]:.3g} between t = "
        f"{times[0]:g} and {times[-1]:g}"
    )
