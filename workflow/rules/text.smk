# Item texts -> one matrix of text vectors per dataset and encoder.
rule encode:
    input:
        f"{DATA}/items.parquet",
    output:
        f"{DATA}/text/{{encoder}}.safetensors",
    log:
        f"{RESULTS}/logs/encode/{{dataset}}/{{encoder}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/encode/{{dataset}}/{{encoder}}.tsv"
    conda:
        CONDA
    threads: SHARE
    resources:
        mem_mb=3000,
        runtime=120,
        gpu=1,
    params:
        data=lambda w, input: os.path.dirname(input[0]),
        spec=lambda w: sorted_json(STUDY.encoder_spec(w.encoder)),
    shell:
        "python -m alterrec encode --data {params.data} --spec {params.spec:q} --out {output} > {log} 2>&1"
