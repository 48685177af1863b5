"""Where a trained network errs, by noise level: python diagnose_a_network.py [PICTURE.png]."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import torch

from crosskrylov import load_images
from crosskrylov.learning.ready_made.loading import load_ready_made
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.unet import build_unet
from crosskrylov.metrics.score_error import score_matching_error

images = torch.from_numpy(load_images("digits", 16, color="grey", seed=1).images) * 2 - 1
made = load_ready_made("digits")
levels = made.drawing.levels()
sigmas = np.geomspace(levels.sigmas[0], levels.sigmas[-1], 12)
networks = {
    "ready-made digits": made.network,
    "the same network, untrained": build_unet(made.provenance["training"]["unet"], 16, 1, 0),
    "exact for the first 100 digits alone": ExactNetwork(images[:100], levels),
}
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, network in networks.items():
    rows = score_matching_error(network, images, levels, sigmas, n_draws=32)
    error = {row["sigma"]: row["error"] for row in rows}
    axis.loglog(list(error), list(error.values()), "o-", markersize=4, label=name)
    print(name, {f"{sigma:.2g}": round(value, 4) for sigma, value in error.items()})
axis.set(
    xlabel="noise sigma, for images in [-1, 1]",
    ylabel="mean square error of the\npredicted noise, per pixel",
    title="Against the exact score of the noised 1,797 digits",
)
axis.legend(frameon=False)
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "diagnose_a_network.png", dpi=90)
