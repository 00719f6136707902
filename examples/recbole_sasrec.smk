# RecBole's SASRec as a model of a study. RecBole runs in an environment of its own: the one of envs/recbole.yaml with
# `--software-deployment-method conda`, or that of the interpreter `python` in the model's definition. The definition's other
# keys are settings of RecBole, such as `epochs` or `hidden_size`.
RECBOLE = f"{RESULTS}/recbole/{{dataset}}/seed-{{seed}}"


def recbole_definition(wildcards):
    return STUDY.model_config(wildcards.dataset, "recbole_sasrec")


def recbole_settings(wildcards):
    of_the_suite = ("label", "seeds", "python")
    return {key: value for key, value in recbole_definition(wildcards).items() if key not in of_the_suite}


rule recbole_scores:
    input:
        sessions=f"{DATA}/sessions.parquet",
        catalogue=f"{DATA}/items.parquet",
        instances=f"{DATA}/instances.parquet",
    output:
        scores=temp(f"{RECBOLE}/scores.npy"),
        seconds=f"{RECBOLE}/seconds.txt",
    log:
        f"{RESULTS}/logs/recbole_scores/{{dataset}}/seed-{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/recbole_scores/{{dataset}}/seed-{{seed}}.tsv"
    conda:
        str(ROOT / "envs" / "recbole.yaml")
    threads: max(SHARE, STUDY.config.threads)
    resources:
        mem_mb=growing(4000),
        runtime=growing(600),
        gpu=1,
    params:
        python=lambda w: recbole_definition(w).get("python", "python"),
        program=str(Path(str(workflow.current_basedir)) / "_recbole_adapter.py"),
        settings=lambda w: sorted_json(recbole_settings(w)),
        threads=STUDY.config.threads,
    shell:
        "SECONDS=0; {params.python:q} {params.program:q} {input} {output.scores} {params.settings:q} "
        "{wildcards.seed} {params.threads} > {log} 2>&1; echo $SECONDS > {output.seconds}"


rule recbole_sasrec:
    input:
        sessions=f"{DATA}/sessions.parquet",
        catalogue=f"{DATA}/items.parquet",
        scores=f"{RECBOLE}/scores.npy",
        seconds=f"{RECBOLE}/seconds.txt",
    output:
        f"{RESULTS}/runs/{{dataset}}/recbole_sasrec/seed-{{seed}}/ranks.parquet",
    log:
        f"{RESULTS}/logs/recbole_sasrec/{{dataset}}/seed-{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/recbole_sasrec/{{dataset}}/seed-{{seed}}.tsv"
    conda:
        CONDA
    threads: max(SHARE, STUDY.config.threads)
    resources:
        mem_mb=growing(2500),
    params:
        spec=lambda w: sorted_json(STUDY.spec(w.dataset, "recbole_sasrec", int(w.seed))),
        data=lambda w, input: os.path.dirname(input.sessions),
        out=lambda w, output: os.path.dirname(output[0]),
    shell:
        "python -m alterrec ranks-from-scores --spec {params.spec:q} --data {params.data} --out {params.out} "
        "--scores {input.scores} --seconds $(cat {input.seconds}) > {log} 2>&1"
