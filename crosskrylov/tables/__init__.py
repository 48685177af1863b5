"""The tables of results, each a pure function of the artifacts that it summarises."""
