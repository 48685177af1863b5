"""Image similarity, distances between image distributions, memorisation and score error."""
