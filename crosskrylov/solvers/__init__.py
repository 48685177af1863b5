"""Linear solvers, one file per family, behind one small protocol and a registry of names."""
