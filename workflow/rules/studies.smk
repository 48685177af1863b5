"""The studies of the solvers: each takes the bank of systems or the marches to tidy tables.

What a study needs and makes stands in its declaration, in its module in crosskrylov/studies; the
rules are made from there.

REQUIRED INPUTS: systems.npz, seeds.json, log_density.npz, trajectories/ of results/{images}/seed{seed}/
OUTPUTS: results/{images}/seed{seed}/studies/{table}.tsv, joined to results/tables/{table}.tsv;
         results/figures/{figure}.{svg,png}; results/systems/ (target export_systems)
"""

from crosskrylov.planning.studies import parts_by_solver, studies_on, study_rules, table_file
from crosskrylov.reporting.tables.papers import PAPERS_FILE, tables_read

for study in studies_on(config):
    add_targets("solvers", [f"results/tables/{table}.tsv" for table in study.tables])
for name in PRODUCTS.figures:
    add_targets("solvers", [f"results/figures/{name}.svg", f"results/figures/{name}.png"])
if {table for study in studies_on(config) for table in study.tables} & set(tables_read()):
    add_targets("tables", "results/tables/list.tsv")
add_targets(
    "export_systems",
    expand_runs("results/systems/{images}-seed{seed}", study_sets(config, "export")),
)


wildcard_constraints:
    table="|".join(PRODUCTS.studies) or "(?!)",
    figure="|".join(PRODUCTS.figures) or "(?!)",


for one in study_rules(config):

    rule:
        """Run one study, see its declaration; functions bind what they need, since the loop goes on."""
        name:
            one.name
        input:
            **one.inputs,
            # another edition of the baseline's code must not solve with all the others again
            reference=ancient(one.reference) if one.reference else [],
            library=lambda wildcards, one=one: code("run_study.py", *one.files(wildcards)),
        output:
            # a study that runs once writes the gathered table itself
            tables=[
                (
                    file
                    if one.study.runs
                    else report(
                        file,
                        caption="../report/study_table.rst",
                        category="Solvers",
                        labels={"table": name},
                    )
                )
                for name, file in zip(one.study.tables, one.tables)
            ],
            arrays=one.arrays or [],
        log:
            f"results/logs/{one.log}.log",
        benchmark:
            f"results/benchmarks/{one.log}.tsv"
        wildcard_constraints:
            solver=one.solver,
        conda:
            "../../envs/training.yaml" if one.study.torch else "../../envs/numerics.yaml"
        threads: workflow.cores if one.study.timed else 1
        params:
            **one.params,
            equation=equation if "equation" in one.study.needs else None,
        script:
            "../scripts/run_study.py"


for study in studies_on(config):
    if study.per == "solver":

        rule:
            """Make a study's tables of all solvers' rows."""
            name:
                f"join_{study.name}"
            input:
                parts=partial(kept_parts, parts_by_solver(config, study)),
                library=code("join_study.py", study.file),
            output:
                tables=[table_file(study, table) for table in study.tables],
            log:
                f"results/logs/{{images}}/seed{{seed}}/join_{study.name}.log",
            benchmark:
                f"results/benchmarks/{{images}}/seed{{seed}}/join_{study.name}.tsv"
            localrule: True
            conda:
                "../../envs/numerics.yaml"
            params:
                function=f"{study.module}:{study.join}",
                tables=list(study.tables),
            script:
                "../scripts/join_study.py"


rule gather_study:
    """Join a study's tables of all image sets and random seeds."""
    input:
        parts=lambda wildcards: kept_or_made(PRODUCTS.parts(config, wildcards.table)),
        library=code("gather_study.py"),
    output:
        table=report(
            "results/tables/{table}.tsv",
            caption="../report/study_table.rst",
            category="Solvers",
            labels={"table": "{table}"},
        ),
    log:
        "results/logs/gather_study-{table}.log",
    benchmark:
        "results/benchmarks/gather_study-{table}.tsv"
    localrule: True
    conda:
        "../../envs/numerics.yaml"
    params:
        runs=lambda wildcards: PRODUCTS.labels(config, wildcards.table),
        caption=lambda wildcards: PRODUCTS.studies[wildcards.table].tables[wildcards.table],
    script:
        "../scripts/gather_study.py"


rule plot_study:
    """Plot one table of the solvers or of a study."""
    input:
        table=lambda wildcards: f"results/tables/{PRODUCTS.figures[wildcards.figure].table}.tsv",
        library=lambda wildcards: code("plot_study.py", PRODUCTS.figures[wildcards.figure].file),
    output:
        svg=report(
            "results/figures/{figure}.svg",
            caption="../report/study_figure.rst",
            category="Solvers",
            labels={"figure": "{figure}"},
        ),
        png="results/figures/{figure}.png",
    log:
        "results/logs/plot_study-{figure}.log",
    benchmark:
        "results/benchmarks/plot_study-{figure}.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        function=lambda wildcards: PRODUCTS.figures[wildcards.figure].function,
        caption=lambda wildcards: PRODUCTS.figures[wildcards.figure].caption,
    script:
        "../scripts/plot_study.py"


rule list_table:
    """Set the papers of the list against what was measured."""
    input:
        tables=lambda wildcards: [path for name in tables_read() for path in made_table(name)],
        papers=code_file(PAPERS_FILE),
        library=code("list_table.py"),
    output:
        table=report(
            "results/tables/list.tsv",
            caption="../report/study_table.rst",
            category="Summary",
            labels={"table": "papers of the list"},
        ),
    log:
        "results/logs/list_table.log",
    benchmark:
        "results/benchmarks/list_table.tsv"
    localrule: True
    conda:
        "../../envs/numerics.yaml"
    params:
        caption="The papers of the list: what each claims, what was tested here, and a verdict on that.",
    script:
        "../scripts/list_table.py"


rule export_study_systems:
    """Write chosen systems (A, b, x) as Matrix Market and NPZ for other people's solvers."""
    input:
        bank="results/{images}/seed{seed}/systems.npz",
        library=code("export_study_systems.py"),
    output:
        folder=directory("results/systems/{images}-seed{seed}"),
    log:
        "results/logs/{images}/seed{seed}/export_study_systems.log",
    benchmark:
        "results/benchmarks/{images}/seed{seed}/export_study_systems.tsv"
    conda:
        "../../envs/numerics.yaml"
    params:
        chosen=section(config, "export").get("images"),
    script:
        "../scripts/export_study_systems.py"
