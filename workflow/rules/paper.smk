# summary/ -> tables, figures and the report. Each script of paper_figures/ makes one and reads summary/ only.
SUMMARY_FILES = [f"{SUMMARY}/{table}.parquet" for table in COLUMNS] + [f"{SUMMARY}/study.json"]
CAPTIONS = [str(ROOT / "workflow" / "report" / f"{name}.rst") for name in scripts("figure")]
KINDS = {"table": ["html", "md", "csv", "tex"], "figure": ["png", "pdf"]}  # the report shows the first format


for kind, name in [(kind, name) for kind in KINDS for name in scripts(kind)]:

    rule:
        name:
            name
        input:
            script=str(SCRIPTS / f"{name}.py"),
            modules=sorted(map(str, shared_modules(SCRIPTS / f"{name}.py"))),
            summary=SUMMARY_FILES,
        output:
            report(
                f"{RESULTS}/{kind}s/{name}.{KINDS[kind][0]}",
                caption=f"../report/{name}.rst",
                category=f"{kind.capitalize()}s",
                labels={kind: name.removeprefix(f"{kind}_").replace("_", " ")},
            ),
            expand(f"{RESULTS}/{kind}s/{name}.{{end}}", end=KINDS[kind][1:]),
        log:
            f"{RESULTS}/logs/paper/{name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/{name}.tsv"
        localrule: True
        conda:
            CONDA
        threads: SHARE
        params:
            summary=lambda w, input: os.path.dirname(input.summary[0]),
            out=lambda w, output: os.path.dirname(output[0]),
        shell:
            "python {input.script:q} {params.summary} {params.out} > {log} 2>&1"


rule tables:
    input:
        expand(f"{RESULTS}/tables/{{name}}.{{end}}", name=scripts("table"), end=KINDS["table"]),


rule figures:
    input:
        expand(f"{RESULTS}/figures/{{name}}.{{end}}", name=scripts("figure"), end=KINDS["figure"]),


rule report_page:
    input:
        script=str(SCRIPTS / "study_report.py"),
        modules=sorted(map(str, shared_modules(SCRIPTS / "study_report.py"))),
        layout=str(ROOT / "workflow" / "report" / "study_report.html.jinja"),
        captions=CAPTIONS,
        summary=SUMMARY_FILES,
        figures=expand(f"{RESULTS}/figures/{{name}}.png", name=scripts("figure")),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/paper/report_page.log",
    benchmark:
        f"{RESULTS}/benchmarks/paper/report_page.tsv"
    localrule: True
    conda:
        CONDA
    threads: SHARE
    params:
        summary=lambda w, input: os.path.dirname(input.summary[0]),
        figures=lambda w, input: os.path.dirname(input.figures[0]),
    shell:
        "python {input.script:q} {params.summary} {params.figures} {output} > {log} 2>&1"


rule paper_pdf:
    input:
        script=str(SCRIPTS / "paper_pdf.py"),
        modules=sorted(map(str, shared_modules(SCRIPTS / "paper_pdf.py"))),
        captions=CAPTIONS,
        tables=expand(f"{RESULTS}/tables/{{name}}.tex", name=scripts("table")),
        figures=expand(f"{RESULTS}/figures/{{name}}.pdf", name=scripts("figure")),
    output:
        f"{RESULTS}/paper.pdf",
    log:
        f"{RESULTS}/logs/paper/paper_pdf.log",
    benchmark:
        f"{RESULTS}/benchmarks/paper/paper_pdf.tsv"
    localrule: True
    conda:
        CONDA
    threads: SHARE
    params:
        tables=lambda w, input: os.path.dirname(input.tables[0]),
        figures=lambda w, input: os.path.dirname(input.figures[0]),
    shell:
        "python {input.script:q} {params.tables} {params.figures} {output} > {log} 2>&1"
