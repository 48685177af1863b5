"""Score pre-computation by cross-matrix Krylov projection: from images to the finished report."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

from crosskrylov.planning.config import check_or_exit


# Your own config.yaml in the working directory (--directory), else the one beside this file.
configfile: "config.yaml" if Path("config.yaml").exists() else workflow.source_path("config.yaml")


check_or_exit(
    config,
    workflow.source_path("crosskrylov/planning/config.schema.yaml"),
    workflow.config_settings.config,
)


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/kept_functions.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/systems.smk"
include: "workflow/rules/seeds.smk"
include: "workflow/rules/solve.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/engine.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/records.smk"
include: "workflow/rules/targets.smk"


onstart:
    # Snakemake's limit of job starts, on by default, weighs up all waiting jobs once a second for every
    # job that has finished: in a run of hundreds of jobs that takes half a core beside the jobs that are
    # timed. On one machine there is nothing to limit.
    if workflow.local_exec and hasattr(workflow, "scheduler"):
        workflow.scheduler.job_rate_limiter = None


rule all:
    """Everything that the configuration asks for."""
    default_target: True
    input:
        all_targets(),
