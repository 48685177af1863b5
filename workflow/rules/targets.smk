"""The named targets: what the files with rules gave to `add_targets`, under one name each."""


rule solvers:
    """The bank of systems, every solver on it, and what the solvers' tables and figures need."""
    input:
        targets("solvers"),


rule single_image:
    """The single-image denoising experiment."""
    input:
        targets("single_image"),


rule budget:
    """Generation under a fixed time budget."""
    input:
        targets("budget"),


rule figures:
    """Every figure."""
    input:
        targets("figures"),


rule tables:
    """Every table."""
    input:
        targets("tables"),


rule export_systems:
    """Chosen systems (A, b, x) as Matrix Market and NPZ, for other people's solvers."""
    input:
        targets("export_systems"),
