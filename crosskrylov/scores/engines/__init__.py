"""The engines: each advances a block of images to the stored steps."""
