"""The figures about solvers: a module each, found by itself."""
