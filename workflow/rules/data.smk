# Sources -> sessions and items, with a card for each dataset.
rule prepare:
    output:
        f"{DATA}/sessions.parquet",
        f"{DATA}/items.parquet",
        f"{DATA}/card.json",
        report(f"{DATA}/card.md", caption="../report/card.rst", category="Datasets"),
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
        spec=lambda w: plain(STUDY.dataset(w.dataset)),
        out=lambda w, output: os.path.dirname(output[0]),
    shell:
        "python -m alterrec prepare --spec {params.spec:q} --out {params.out} > {log} 2>&1"


rule cards:
    input:
        expand(f"{DATA}/card.md", dataset=STUDY.config.datasets),
