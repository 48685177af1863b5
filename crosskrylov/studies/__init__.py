"""Studies of the solvers: each module turns marches or a bank of systems into one tidy table."""
