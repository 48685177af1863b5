"""What the report says about the run itself.

REQUIRED INPUTS: every other table and figure, for where the seconds went
OUTPUTS: results/tables/{provenance, seconds}.tsv, results/figures/seconds.{svg,png}, results/config.yaml
The report proper is written by `snakemake --report results/report.html` (see Makefile).
"""

SECONDS = [
    "results/tables/seconds.tsv",
    "results/figures/seconds.svg",
    "results/figures/seconds.png",
]
add_targets("tables", ["results/tables/provenance.tsv", "results/config.yaml", *SECONDS])


rule record_provenance:
    """Record the configuration in force, the machine and the versions of the main packages."""
    input:
        library=code("record_provenance.py"),
    output:
        table=report(
            "results/tables/provenance.tsv",
            caption="../report/provenance.rst",
            category="Provenance",
            labels={"part": "machine and software", "form": "table"},
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


rule seconds_by_rule:
    """Gather where the seconds went; runs last, since it reads the benchmark files of all others."""
    input:
        results=lambda wildcards: [path for path in all_targets() if path not in SECONDS],
        library=code("seconds_by_rule.py"),
    output:
        table=report(
            "results/tables/seconds.tsv",
            caption="../report/seconds.rst",
            category="Provenance",
            labels={"part": "seconds by rule", "form": "table"},
        ),
        svg=report(
            "results/figures/seconds.svg",
            caption="../report/seconds.rst",
            category="Provenance",
            labels={"part": "seconds by rule", "form": "figure"},
        ),
        png="results/figures/seconds.png",
    log:
        "results/logs/seconds_by_rule.log",
    benchmark:
        "results/benchmarks/seconds_by_rule.tsv"
    localrule: True
    conda:
        "../../envs/numerics.yaml"
    params:
        folder=lambda wildcards, output: str(Path(output.table).parent.parent / "benchmarks"),
        patterns=lambda wildcards: benchmark_patterns(but="seconds_by_rule"),
    script:
        "../scripts/seconds_by_rule.py"
