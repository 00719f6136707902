# One cell (dataset, model, seed) -> the run: ranks of every target, history and weights.
rule train:
    input:
        sessions=f"{DATA}/sessions.parquet",
        catalogue=f"{DATA}/items.parquet",
        text=cell_text,
        requires=cell_requires,
    output:
        f"{RUNS}/{COMPLETE}",
        f"{RUNS}/top.parquet",
        f"{RUNS}/alpha.parquet",
        f"{RUNS}/history.parquet",
        f"{RUNS}/weights.safetensors",
        f"{RUNS}/spec.json",
        f"{RUNS}/metrics.json",
        f"{RUNS}/provenance.json",
    log:
        f"{RESULTS}/{run_paths.LOG}",
    benchmark:
        f"{RESULTS}/{run_paths.BENCHMARK}"
    wildcard_constraints:
        model="|".join(map(re.escape, TRAINED)) or "(?!)",
    group:
        cell_group
    conda:
        CONDA
    threads: max(SHARE, STUDY.config.threads)
    resources:
        mem_mb=growing(2500),
        runtime=lambda w, attempt: (600 if STUDY.model(w.model).neural else 10) * attempt,
        gpu=lambda w: int(STUDY.model(w.model).neural),
    params:
        spec=lambda w: sorted_json(STUDY.spec(w.dataset, w.model, int(w.seed))),
        data=lambda w, input: os.path.dirname(input.sessions),
        out=lambda w, output: os.path.dirname(output[0]),
    shell:
        "python -m alterrec train --spec {params.spec:q} --data {params.data} --out {params.out} > {log} 2>&1"
