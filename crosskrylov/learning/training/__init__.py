"""The training loop, its checkpoints and averaged weights."""
