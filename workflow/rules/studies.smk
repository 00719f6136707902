# The tuning grid, and the check that stored runs match the present config, data and code.
from alterrec.study.tuning import grid_points, tuned_datasets, tuned_models


rule tune_point:
    input:
        sessions=f"{DATA}/sessions.parquet",
        catalogue=f"{DATA}/items.parquet",
        text=cell_text,
    output:
        f"{RESULTS}/tuning/{{dataset}}/{{model}}/{{point}}.csv",
    log:
        f"{RESULTS}/logs/tune/{{dataset}}/{{model}}/{{point}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tune/{{dataset}}/{{model}}/{{point}}.tsv"
    conda:
        CONDA
    threads: SHARE
    resources:
        mem_mb=2500,
        runtime=1200,
        gpu=1,
    params:
        spec=lambda w: sorted_json(
            STUDY.spec(w.dataset, w.model, STUDY.config.tuning.seed, **grid_points(STUDY, w.model)[w.point])
        ),
        data=lambda w, input: os.path.dirname(input.sessions),
    shell:
        "python -m alterrec tune --spec {params.spec:q} --data {params.data} --out {output} > {log} 2>&1"


rule tune:
    input:
        lambda w: [
            f"{RESULTS}/tuning/{dataset}/{model}/{point}.csv"
            for dataset in tuned_datasets(STUDY)
            for model in tuned_models(STUDY)
            for point in grid_points(STUDY, model)
        ],
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
        study=sorted_json(config),
    shell:
        "python -m alterrec verify --config {params.study:q} --results $(dirname {log})/../.. 2>&1 | tee {log}"
