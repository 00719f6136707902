# Data source -> sessions, items and dataset card.
rule prepare:
    output:
        f"{DATA}/sessions.parquet",
        f"{DATA}/items.parquet",
        f"{DATA}/card.json",
        f"{DATA}/card.md",
    log:
        f"{RESULTS}/logs/prepare/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/{{dataset}}.tsv"
    conda:
        CONDA
    threads: SHARE
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spec=lambda w: sorted_json(STUDY.dataset(w.dataset)),
        out=lambda w, output: os.path.dirname(output[0]),
    shell:
        "python -m alterrec prepare --spec {params.spec:q} --out {params.out} > {log} 2>&1"


rule card_page:
    input:
        f"{DATA}/card.md",
    output:
        report(
            f"{DATA}/card.html",
            caption="../report/card.rst",
            category="Datasets",
            labels={"dataset": "{dataset}"},
        ),
    log:
        f"{RESULTS}/logs/card_page/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/card_page/{{dataset}}.tsv"
    conda:
        CONDA
    threads: SHARE
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "python -m alterrec.html {input} {output} > {log} 2>&1"


rule cards:
    input:
        expand(f"{DATA}/card.html", dataset=STUDY.config.datasets),
