# summary/ -> tables and figures: one script of paper_figures/ each, reading summary/ only.
TABLES = sorted(path.stem for path in SCRIPTS.glob("table_*.py"))
FIGURES = sorted(path.stem for path in SCRIPTS.glob("figure_*.py"))
SUMMARY_FILES = [f"{SUMMARY}/{table}.parquet" for table in SUMMARIES] + [f"{SUMMARY}/study.json"]


for name in TABLES:

    rule:
        name:
            name
        input:
            script=str(SCRIPTS / f"{name}.py"),
            modules=imported(name),
            summary=SUMMARY_FILES,
        output:
            report(
                f"{RESULTS}/tables/{name}.html",
                caption=f"../report/{name}.rst",
                category="Tables",
                labels={"table": name.removeprefix("table_").replace("_", " ")},
            ),
            f"{RESULTS}/tables/{name}.md",
            f"{RESULTS}/tables/{name}.csv",
            f"{RESULTS}/tables/{name}.tex",
        log:
            f"{RESULTS}/logs/paper/{name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/{name}.tsv"
        conda:
            CONDA
        threads: SHARE
        resources:
            mem_mb=500,
            runtime=5,
        params:
            summary=lambda w, input: os.path.dirname(input.summary[0]),
            out=lambda w, output: os.path.dirname(output[0]),
        shell:
            "python {input.script} {params.summary} {params.out} > {log} 2>&1"


for name in FIGURES:

    rule:
        name:
            name
        input:
            script=str(SCRIPTS / f"{name}.py"),
            modules=imported(name),
            summary=SUMMARY_FILES,
        output:
            report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": name.removeprefix("figure_").replace("_", " ")},
            ),
            f"{RESULTS}/figures/{name}.pdf",
        log:
            f"{RESULTS}/logs/paper/{name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/{name}.tsv"
        conda:
            CONDA
        threads: SHARE
        resources:
            mem_mb=500,
            runtime=5,
        params:
            summary=lambda w, input: os.path.dirname(input.summary[0]),
            out=lambda w, output: os.path.dirname(output[0]),
        shell:
            "python {input.script} {params.summary} {params.out} > {log} 2>&1"


rule tables:
    input:
        expand(f"{RESULTS}/tables/{{name}}.{{kind}}", name=TABLES, kind=["md", "html", "csv", "tex"]),


rule figures:
    input:
        expand(f"{RESULTS}/figures/{{name}}.{{kind}}", name=FIGURES, kind=["pdf", "png"]),
