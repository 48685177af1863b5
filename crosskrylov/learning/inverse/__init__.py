"""Inverse problems: linear measurements of images, their exact posterior, and methods for them."""
