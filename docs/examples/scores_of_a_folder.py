"""Scores of a folder of images, kept in a store: python scores_of_a_folder.py [PICTURE.png]."""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from crosskrylov import load_images, precompute_scores

with tempfile.TemporaryDirectory() as folder:
    # a folder of images: put the path of yours here
    pictures = Path(folder) / "pictures"
    pictures.mkdir()
    crops = load_images("photos", 32, 4, seed=3, photographs=["chelsea", "coffee"])
    for number, crop in enumerate(crops.images):
        pixels = np.rint(crop.transpose(1, 2, 0) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number}.png")

    store = precompute_scores(pictures, Path(folder) / "scores", size=32, progress=False)
    print(store)
    figure, axes = plt.subplots(2, 4, figsize=(7, 3.9), layout="constrained")
    lengths = np.hypot(*store[:][:, 1].swapaxes(0, 1))  # [N, H, W], at the second stored time
    for (above, below), (image, _), length in zip(axes.T, store.torch_dataset(True), lengths):
        above.imshow(image.permute(1, 2, 0), interpolation="nearest")
        shown = below.imshow(length, vmin=0, vmax=lengths.max(), interpolation="nearest")
    figure.colorbar(shown, ax=axes[1], label="|score|", shrink=0.9)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.suptitle(
        f"Images of the folder, and the length of their scores at t = {store.times[1]:g}"
    )
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "scores_of_a_folder.png", dpi=60)
