"""Files, job logs, measurement and provenance: what every room may use, and no science."""
