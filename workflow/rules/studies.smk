# Beyond the tables: the tuning grid, and whether stored results are today's.
def tuned_models():
    """The models that the grid is tried on: neural ones that train networks of their own."""
    chosen = STUDY.config.tuning.models or STUDY.config.models
    fields = {name: STUDY.model(name).module.Config.model_fields for name in chosen if name in TRAINED}
    return [n for n in fields if "learning_rate" in fields[n] and not STUDY.model(n).requires and n in STUDY.registered]


def tuned_datasets():
    chosen = STUDY.config.tuning.datasets or STUDY.config.datasets
    return [name for name in chosen if not STUDY.twin_of(name)]


def grid(dataset, model):
    """The specifications of a model's tuning runs on a dataset."""
    tuning = STUDY.config.tuning
    return [
        STUDY.spec(dataset, model, tuning.seed, initialisation=kind, learning_rate=rate)
        for kind in tuning.initialisation
        for rate in tuning.learning_rate
    ]


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
    params:
        study=plain(config),
    log:
        f"{RESULTS}/logs/verify.log",
    conda:
        CONDA
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "python -m alterrec verify --config {params.study:q} --results results 2>&1 | tee {log}"
