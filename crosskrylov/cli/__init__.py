"""The subcommands of the command line, a module each; `crosskrylov.__main__` runs one of them."""
