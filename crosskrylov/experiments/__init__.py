"""The training experiments: what is trained, how it is judged, and the result of a run."""
