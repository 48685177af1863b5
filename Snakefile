"""Score pre-computation by cross-matrix Krylov projection: from images to the finished report."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

from crosskrylov.config import check_or_exit


# Your own config.yaml in the working directory (--directory), else the one beside this file.
configfile: "config.yaml" if Path("config.yaml").exists() else workflow.source_path("config.yaml")


check_or_exit(
    config,
    workflow.source_path("workflow/schemas/config.schema.yaml"),
    workflow.config_settings.config,
)


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


# While the stages are being built: those that exist.
for stage in ("data", "systems", "seeds", "solve", "studies", "engine", "train", "evaluate"):
    if Path(workflow.basedir, "workflow", "rules", f"{stage}.smk").exists():

        include: f"workflow/rules/{stage}.smk"


include: "workflow/rules/report.smk"
include: "workflow/rules/targets.smk"


rule all:
    """Everything that the configuration asks for."""
    default_target: True
    input:
        all_targets(),
