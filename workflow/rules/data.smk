# Data source -> sessions, items and dataset card. Downloads are local jobs: a cluster's nodes often have no internet.
rule download_data:
    output:
        f"{RESULTS}/downloads/data/{{dataset}}.txt",
    log:
        f"{RESULTS}/logs/download/data/{{dataset}}.log",
    localrule: True
    conda:
        CONDA
    threads: SHARE
    params:
        spec=lambda w: sorted_json(STUDY.dataset(w.dataset)),
    shell:
        "python -m alterrec download --spec {params.spec:q} --out {output} > {log} 2>&1"


rule prepare:
    input:
        data_downloads,
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
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        spec=lambda w: sorted_json(STUDY.dataset(w.dataset)),
        out=lambda w, output: os.path.dirname(output[0]),
    shell:
        "python -m alterrec prepare --spec {params.spec:q} --out {params.out} > {log} 2>&1"


# Every (prefix, target) that is ranked, for the rules of models that another program trains.
rule instances:
    input:
        f"{DATA}/sessions.parquet",
        f"{DATA}/items.parquet",
    output:
        f"{DATA}/instances.parquet",
    log:
        f"{RESULTS}/logs/instances/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/instances/{{dataset}}.tsv"
    localrule: True
    conda:
        CONDA
    threads: SHARE
    params:
        data=lambda w, input: os.path.dirname(input[0]),
    shell:
        "python -m alterrec instances --data {params.data} --out {output} > {log} 2>&1"


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
    localrule: True
    conda:
        CONDA
    threads: SHARE
    shell:
        "python -m alterrec.html {input} {output} > {log} 2>&1"


rule cards:
    input:
        expand(f"{DATA}/card.html", dataset=STUDY.config.datasets),
