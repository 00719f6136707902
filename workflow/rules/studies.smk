# Tuning, and the check that stored runs match the present config, data and code.
from alterrec.study.tuning import all_record_paths, rungs


rule tune_trial:
    input:
        sessions=f"{DATA}/sessions.parquet",
        catalogue=f"{DATA}/items.parquet",
        text=cell_text,
        records=tuning_records,
    output:
        f"{TUNING}/{RECORD}",
    log:
        f"{RESULTS}/logs/tune/{RECORD}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tune/{RECORD}.tsv"
    wildcard_constraints:
        rung=r"\d+",
        place=r"\d+",
    conda:
        CONDA
    threads: max(SHARE, STUDY.config.threads)
    resources:
        mem_mb=growing(2500),
        runtime=growing(1200),
        gpu=lambda w: int(STUDY.model(w.model).neural),
    params:
        trial=tuning_options,
        share=lambda w: str(rungs(STUDY, w.model)[int(w.rung) - 1][1]),
        data=lambda w, input: os.path.dirname(input.sessions),
    shell:
        "python -m alterrec tune {params.trial} --share {params.share} --data {params.data} --out {output} > {log} 2>&1"


rule tune:
    input:
        [f"{TUNING}/{path}" for path in all_record_paths(STUDY)],
    output:
        record=f"{TUNING}/{NAME}.csv",
        chosen=f"{TUNING}/{NAME}.yaml",
    log:
        f"{RESULTS}/logs/tune.log",
    localrule: True
    conda:
        CONDA
    params:
        study=sorted_json(config),
        out=lambda w, output: os.path.dirname(output.record),
    shell:
        "python -m alterrec choose --config {params.study:q} --out {params.out} > {log} 2>&1"


rule verify:
    log:
        f"{RESULTS}/logs/verify.log",
    localrule: True
    conda:
        CONDA
    params:
        study=sorted_json(config),
    shell:
        "python -m alterrec verify --config {params.study:q} --results $(dirname {log})/../.. 2>&1 | tee {log}"
