"""Figures, each a function of the tables that it shows."""
