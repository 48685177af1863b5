"""Exact scores inside a training loop of torch: python scores_on_the_fly.py [PICTURE.png]."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import torch

from crosskrylov import initial_log_density, load_images, problem_from_config, score
from crosskrylov.learning.embedding import embed_images
from crosskrylov.scores.engines.exact_transform import ExactTransform

torch.manual_seed(0)
images = load_images("digits", 16, 256, color="grey", seed=1).images
problem = problem_from_config({}, 16, 16)
steps = [1, 10, 50, 100]
engine, times = ExactTransform(problem, steps), [problem.time(step) for step in steps]
layers = [torch.nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 32), (32, 32), (32, 1))]
network = torch.nn.Sequential(layers[0], torch.nn.SiLU(), layers[1], torch.nn.SiLU(), layers[2])
optimiser, losses = torch.optim.Adam(network.parameters(), 2e-3), []
for _ in range(150):
    batch = images[torch.randint(len(images), (16,)).numpy()]
    found = engine.run(initial_log_density(batch))  # a millisecond or two: nothing is stored
    scores = score(found.log_density.numpy(), problem.spacing)
    moved = embed_images(batch, scores, np.array(times), diffusion=0.5, variant="sum", steps=4)
    clean = torch.from_numpy(moved.images).flatten(0, 1)  # the batch, at each of the four times
    noise = torch.randn_like(clean)
    loss = (network(clean + 0.1 * noise) - noise).square().mean()
    optimiser.zero_grad(), loss.backward(), optimiser.step()
    losses.append(loss.item())

figure, (top, bottom) = plt.subplots(2, 1, figsize=(6, 4), layout="constrained")
top.imshow(np.hstack([batch[0, 0], *moved.images[0, :, 0]]), cmap="gray", vmin=0, vmax=1)
top.set(title=f"A digit, and at t = {times[0]:g}, {times[1]:g}, {times[2]:g}, {times[3]:g}")
top.set_axis_off()
bottom.plot(losses)
bottom.set(xlabel="step", ylabel="loss", title=f"Loss from {losses[0]:.2f} to {losses[-1]:.2f}")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "scores_on_the_fly.png", dpi=80)
