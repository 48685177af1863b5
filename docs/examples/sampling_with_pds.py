"""Sampling with and without PDS: python sampling_with_pds.py [PICTURE.png]."""

import sys

import matplotlib.pyplot as plt
import torch

from crosskrylov import load_images
from crosskrylov.learning.ready_made.loading import load_ready_made
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.sampling.pds import preconditioner_from_images
from crosskrylov.metrics.distances import frechet_distance
from crosskrylov.metrics.features import extract_features

images = load_images("digits", 16, color="grey", seed=1).images
made = load_ready_made("digits")
filters = preconditioner_from_images(torch.from_numpy(images) * 2 - 1)
reference = extract_features("digit_classifier", images)
evaluations = (10, 20)
figure, axes = plt.subplots(2, 2, figsize=(7, 4.2), layout="constrained")
for row, sampler in zip(axes, ("reverse_sde", "pds_reverse_sde")):
    for axis, count in zip(row, evaluations):
        drawn = draw_samples(
            made.network, made.drawing.levels(), sampler, count, 100, made.image_shape, 0,
            preconditioner=filters,
        ).images.numpy()  # fmt: skip
        distance = frechet_distance(extract_features("digit_classifier", drawn), reference)
        shown = drawn[:12, 0].reshape(2, 6, 16, 16).swapaxes(1, 2).reshape(32, 96)
        axis.imshow(shown, cmap="gray", interpolation="nearest")
        axis.set_title(f"{sampler}, {count} evaluations\nFréchet distance {distance:.3g}", size=9)
        axis.set_axis_off()
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "sampling_with_pds.png", dpi=75)
