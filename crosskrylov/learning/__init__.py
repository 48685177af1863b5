"""Embedding, network, noise schedules, objectives, training and sampling."""
