"""What the report says about the run itself.

REQUIRED INPUTS: none
OUTPUTS: results/tables/provenance.tsv, results/config.yaml
The report proper is written by `snakemake --report results/report.html` (see Makefile).
"""

add_targets("tables", ["results/tables/provenance.tsv", "results/config.yaml"])


rule record_provenance:
    """Record the configuration in force, the machine and the versions of the main packages."""
    input:
        library=code("record_provenance.py"),
    output:
        table=report(
            "results/tables/provenance.tsv",
            caption="../report/provenance.rst",
            category="Provenance",
            labels={"table": "machine and software"},
        ),
        config="results/config.yaml",
    log:
        "results/logs/record_provenance.log",
    benchmark:
        "results/benchmarks/record_provenance.tsv"
    localrule: True
    conda:
        "../../envs/numerics.yaml"
    params:
        config=config,
    script:
        "../scripts/record_provenance.py"
