"""From a trained network to images: published denoiser, diffusers' samplers, ODE, SDE and PDS."""
