"""The front door: `snakemake --cores N` in the checkout.  The workflow is workflow/Snakefile."""


include: "workflow/Snakefile"


# Snakemake never takes its default target from an included file.
workflow.default_target = rules.all.rule.name
