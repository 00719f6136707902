# Item texts -> one matrix of text vectors per dataset and encoder. A model is downloaded by a local job.
rule download_model:
    output:
        f"{RESULTS}/downloads/models/{{encoder}}.txt",
    log:
        f"{RESULTS}/logs/download/models/{{encoder}}.log",
    localrule: True
    conda:
        CONDA
    threads: SHARE
    params:
        spec=lambda w: sorted_json(STUDY.encoder_spec(w.encoder)),
    shell:
        "python -m alterrec download --spec {params.spec:q} --out {output} > {log} 2>&1"


rule encode:
    input:
        f"{DATA}/items.parquet",
        model_downloads,
    output:
        f"{DATA}/{run_paths.TEXT}",
    log:
        f"{RESULTS}/logs/encode/{{dataset}}/{{encoder}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/encode/{{dataset}}/{{encoder}}.tsv"
    conda:
        CONDA
    threads: SHARE
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
        gpu=lambda w: int(getattr(encoder_module(w.encoder), "neural", False)),
    params:
        data=lambda w, input: os.path.dirname(input[0]),
        spec=lambda w: sorted_json(STUDY.encoder_spec(w.encoder)),
    shell:
        "python -m alterrec encode --data {params.data} --spec {params.spec:q} --out {output} > {log} 2>&1"
