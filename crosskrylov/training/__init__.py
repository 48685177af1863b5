"""The training loop: one optimiser, one clock, one stopping rule for every model."""
