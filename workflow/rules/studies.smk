# Beyond the tables: the tuning grid, and whether stored results are today's.
rule tune_model:
    input:
        sessions=f"{DATA}/sessions.parquet",
        catalogue=f"{DATA}/items.parquet",
        text=cell_text,
    output:
        f"{RESULTS}/tuning/{{dataset}}/{{model}}.csv",
    log:
        f"{RESULTS}/logs/tune/{{dataset}}/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tune/{{dataset}}/{{model}}.tsv"
    conda:
        CONDA
    threads: SHARE
    resources:
        mem_mb=2500,
        runtime=1200,
        gpu=1,
    params:
        specs=lambda w: plain(grid(w.dataset, w.model)),
        data=lambda w, input: os.path.dirname(input.sessions),
    shell:
        "python -m alterrec tune --specs {params.specs:q} --data {params.data} --out {output} > {log} 2>&1"


rule tune:
    input:
        expand(f"{RESULTS}/tuning/{{dataset}}/{{model}}.csv", dataset=tuned_datasets(), model=tuned_models()),
    output:
        record=f"{RESULTS}/tuning/{NAME}.csv",
        chosen=f"{RESULTS}/tuning/{NAME}.yaml",
    log:
        f"{RESULTS}/logs/tune.log",
    conda:
        CONDA
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "python -m alterrec choose --record {output.record} --chosen {output.chosen} {input} > {log} 2>&1"


rule verify:
    log:
        f"{RESULTS}/logs/verify.log",
    conda:
        CONDA
    resources:
        mem_mb=500,
        runtime=5,
    params:
        study=plain(config),
    shell:
        "python -m alterrec verify --config {params.study:q} --results results 2>&1 | tee {log}"
