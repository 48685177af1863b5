"""Images as float32 [N, C, H, W] in [0, 1], from sources that are found by name."""
