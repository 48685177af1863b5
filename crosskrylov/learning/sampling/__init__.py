"""Samplers: from a trained network to images."""
