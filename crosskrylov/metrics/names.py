"""Names of metrics that rooms above agree on; apart, since the workflow asks without skimage."""

#: Similarity indices that targets are set in: the published one, over one window, and Wang's.
SSIM_METRICS = ("ssim_global", "ssim")

#: The model of rows that have real images in the place of samples.
REAL = "real"
