"""Score embedding: images transported along the pre-computed scores by the probability flow.

Every pixel of every channel obeys the discrete flow (docs/method.md, Eq. 24)

    x^n = x^{n-1} + (f - g^2/2 * D m^{n-1}) (t_n - t_{n-1}),

where D m is one number per pixel made from the two-component score (d_row, d_col) of the image's
log-density. The published sources disagree about D; both readings are kept as variants.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crosskrylov.errors import ConfigError, DataError, ShapeError

if TYPE_CHECKING:  # training imports this module and depends on no equation
    from crosskrylov.equation.problem import FokkerPlanckProblem

#: ``row``: D = d_row, plus a little noise and clamping (single-image script of the method's
#: authors); ``sum``: D = d_row + d_col, deterministic (predecessor method); ``none``: images stay
#: as they are.
EMBEDDING_VARIANTS = ("row", "sum", "none")

#: What stands for the scores of an image. ``own``: its scores; the others are controls, which tell
#: what in an embedding comes from the scores. ``absent``: zeros, so that of ``row`` only its noise
#: is left; ``shuffled``: those of another image of the set; ``random``: a random field with the
#: Fourier amplitudes of its own, as large and as smooth as they are.
EMBEDDING_FIELDS = ("own", "absent", "shuffled", "random")


@dataclass(frozen=True)
class Embedding:
    """Embedded images of one data set.

    Attributes
    ----------
    images : ndarray, shape (N, S, C, H, W), float32
        Image n at embedded time s.
    times : ndarray, shape (S,), float64
        Embedded times, increasing.
    displacement_rms : ndarray, shape (N, S), float64
        Root mean square over pixels and channels of x^s - x^0, in units of the intensity range.
    """

    images: np.ndarray
    times: np.ndarray
    displacement_rms: np.ndarray


def select_embedded_steps(n_available: int, count: int) -> np.ndarray:
    """Return ``count`` indices spread evenly over the stored times, first and last included.

    The published rule is ``linspace(1, N, 10)``; where fewer times than asked for are stored, every
    stored time is used once.

    Parameters
    ----------
    n_available : int
        Number of stored times.
    count : int
        Number of embedded steps wanted.

    Returns
    -------
    ndarray of int64
        Increasing indices into the stored times, at most ``count``.
    """
    if count < 1:
        raise ConfigError(f"embedding.steps is {count}; give at least 1 embedded step.")
    if n_available < 1:
        raise DataError("The score file holds no time step; run exact_scores or the march again.")
    return np.unique(np.linspace(0, n_available - 1, min(count, n_available)).round().astype(int))


def embedded_times(final_time: float, time_steps: int, stored_steps: int, steps: int) -> np.ndarray:
    """Return the embedded times of a configuration, without any score at hand.

    Models that use no scores are trained at the same network times as those that do.

    Parameters
    ----------
    final_time : float
        T.
    time_steps, stored_steps : int
        Steps of the march, and how many of them are stored.
    steps : int
        Embedded steps.

    Returns
    -------
    ndarray, shape (S,), float64
    """
    # the published rule for the steps that are stored; written out here, since importing it from
    # the systems would make every training run depend on every solver
    spread = np.linspace(1, time_steps, min(stored_steps, time_steps))
    stored = np.unique(spread.round() if stored_steps > 1 else time_steps) * (
        final_time / time_steps
    )
    return stored[select_embedded_steps(len(stored), steps)]


def embed_images(
    images: np.ndarray,
    scores: np.ndarray,
    times: np.ndarray,
    *,
    diffusion: float | np.ndarray,
    variant: str = "row",
    field: str = "own",
    drift: np.ndarray | None = None,
    steps: int = 10,
    noise_scale: float = 0.1,
    seed: int = 0,
) -> Embedding:
    """Transport every image along its scores (Eq. 24) and keep ``steps`` of the times.

    The flow is integrated over *all* stored times, with the score at the left end of each interval;
    the interval from 0 to the first stored time uses the first stored score when time 0 itself is
    not stored. Afterwards ``steps`` times are selected.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), float32
        Images in [0, 1].
    scores : ndarray, shape (N, S, 2, H, W) or (N * C, S, 2, H, W)
        (d_row, d_col) of the log-density at the stored times, per unit length. The second form
        carries one log-density per channel, image-major.
    times : ndarray, shape (S,)
        Stored times, increasing.
    diffusion : float or ndarray, shape (S,)
        g at the stored times, that of the equation that the scores come from.
    variant : {"row", "sum", "none"}
        See `EMBEDDING_VARIANTS`.
    field : {"own", "absent", "shuffled", "random"}
        See `EMBEDDING_FIELDS`.
    drift : ndarray, shape (S, 2, H, W), optional
        (f_row, f_col) at the stored times; combined like the components of the score. None: f = 0.
    steps : int
        Number of embedded steps to keep.
    noise_scale : float
        Factor of g sqrt(dt) in the noise of the ``row`` variant (published: 0.1).
    seed : int
        Seed of that noise, and, in a stream of its own, of the fields ``shuffled`` and ``random``:
        the noise is the same numbers whatever the field.

    Returns
    -------
    Embedding

    Raises
    ------
    ConfigError
        If the variant or the field is unknown, if ``steps`` < 1, or if the scores of a single image
        are to be shuffled.
    ShapeError
        If images, scores and times do not fit together.
    DataError
        If a score is not finite.
    """
    if variant not in EMBEDDING_VARIANTS:
        raise ConfigError(
            f"embedding.variant is {variant!r}; allowed are {', '.join(EMBEDDING_VARIANTS)}."
        )
    images = np.asarray(images, dtype=np.float32)
    times = np.asarray(times, dtype=np.float64)
    if field not in EMBEDDING_FIELDS:
        raise ConfigError(
            f"embedding.field is {field!r}; allowed are {', '.join(EMBEDDING_FIELDS)}."
        )
    scores = _field(_scores_per_channel(images, scores, times), field, seed)
    if drift is not None and np.shape(drift) != (len(times), 2, *images.shape[-2:]):
        raise ShapeError(
            f"The drift has shape {np.shape(drift)}; images {images.shape} with {len(times)} times "
            f"need ({len(times)}, 2, {images.shape[-2]}, {images.shape[-1]})."
        )
    selected = select_embedded_steps(len(times), steps)
    g = np.broadcast_to(np.asarray(diffusion, dtype=np.float64), times.shape)
    kept = np.empty((len(images), len(selected), *images.shape[1:]), dtype=np.float32)
    rng = np.random.default_rng(seed)
    x = images.astype(np.float64)
    previous_time = 0.0
    slot = 0
    for s, time in enumerate(times):
        dt = time - previous_time
        if variant != "none" and dt > 0:
            left = max(s - 1, 0)
            direction = _combined(scores[:, :, left], variant)  # (N, C or 1, H, W)
            f = 0.0 if drift is None else _combined(drift[left], variant)  # (H, W)
            x = x + (f - 0.5 * g[left] ** 2 * direction.astype(np.float64)) * dt
            if variant == "row":
                x += noise_scale * g[left] * np.sqrt(dt) * rng.standard_normal(x.shape)
                np.clip(x, 0.0, 1.0, out=x)
        previous_time = time
        if slot < len(selected) and s == selected[slot]:
            kept[:, slot] = x
            slot += 1
    displacement = kept.astype(np.float64) - images[:, None]
    return Embedding(kept, times[selected], np.sqrt((displacement**2).mean(axis=(2, 3, 4))))


def takes_scores(variant: str, field: str) -> bool:
    """Return whether an embedding depends on scores at all: only then has it to pay for them."""
    return variant != "none" and field != "absent"


def _field(scores: np.ndarray, field: str, seed: int) -> np.ndarray:
    """Return what stands for scores (N, K, S, 2, H, W), see `EMBEDDING_FIELDS`."""
    rng = np.random.default_rng([seed, 1])
    if field == "absent":
        return np.zeros_like(scores)
    if field == "shuffled":
        return scores[other_images(len(scores), rng)]
    if field == "random":
        return np.stack([random_phases(of_image, rng) for of_image in scores])
    return scores


def other_images(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return another image for each of ``count``, every one once: a random cycle through all.

    Raises
    ------
    ConfigError
        If there is no other image.
    """
    if count < 2:
        raise ConfigError(
            "embedding.field is 'shuffled', which needs scores of another image, but the set holds "
            "one: raise image_sets.*.n_images to 2 at least."
        )
    cycle = rng.permutation(count)
    others = np.empty(count, dtype=np.int64)
    others[cycle] = np.roll(cycle, -1)
    return others


def random_phases(fields: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random field with the Fourier amplitudes of ``fields``, so with their size too.

    Every wave of the discrete Fourier transform is shifted by a phase drawn for it, the same one in
    all of ``fields``: components, times and channels stay related as they were (one is still the
    derivative of the other where it was). The mean keeps its value.

    Parameters
    ----------
    fields : ndarray, shape (..., H, W)
        Fields of one image, real.
    rng : Generator
        Of the phases.
    """
    height, width = fields.shape[-2:]
    # the transform of real noise: its phases are uniform and symmetric as a real field needs them
    noise = np.fft.rfft2(rng.standard_normal((height, width)))
    shift = noise / np.abs(noise)
    shift[0, 0] = 1.0
    shifted = np.fft.rfft2(fields.astype(np.float64)) * shift
    return np.fft.irfft2(shifted, s=(height, width)).astype(fields.dtype)


def _combined(vector: np.ndarray, variant: str) -> np.ndarray:
    """Return the scalar that a variant makes of (row, column) components, shape (..., 2, H, W)."""
    row = vector[..., 0, :, :]
    return row + vector[..., 1, :, :] if variant == "sum" else row


def drift_at_steps(problem: "FokkerPlanckProblem", steps: Iterable[int]) -> np.ndarray | None:
    """Return what `embed_images` takes as drift: (f_row, f_col) at the stored steps, None if f = 0.

    Parameters
    ----------
    problem : FokkerPlanckProblem
        The forward process.
    steps : iterable of int, length S
        Stored time steps.

    Returns
    -------
    ndarray, shape (S, 2, H, W), or None
    """
    if problem.drift is None:
        return None
    return np.stack([np.stack(problem.drift_field(int(step))[:2]) for step in steps])


def _scores_per_channel(images, scores, times) -> np.ndarray:
    """Return the scores as (N, 1 or C, S, 2, H, W), checked against the images."""
    n, channels, height, width = images.shape
    scores = np.asarray(scores)
    if scores.ndim != 5 or scores.shape[1:] != (len(times), 2, height, width):
        raise ShapeError(
            f"Scores have shape {scores.shape}, images {images.shape} with {len(times)} times need "
            f"({n}, {len(times)}, 2, {height}, {width}); make both from the same image set."
        )
    if np.any(np.diff(times) <= 0):
        raise ShapeError("Times of the scores must increase; the score file is damaged.")
    if not np.isfinite(scores).all():
        raise DataError("The scores hold NaN or infinity; run the stage that made them again.")
    if len(scores) == n:
        return scores[:, None]
    if len(scores) == n * channels:
        return scores.reshape(n, channels, *scores.shape[1:])
    raise ShapeError(
        f"There are {len(scores)} scores for {n} images of {channels} channels; expected {n} or "
        f"{n * channels}."
    )
