# Runs -> summary/: metrics, significance, diagnostics and claims, everything that is printed, in one process.
SUMMARIES = """alpha claims cost coverage datasets history imbalance long_tail metrics permuted significance
tuning undertraining""".split()


rule summarise:
    input:
        ranks=all_ranks(),
        cards=expand(f"{DATA}/card.json", dataset=STUDY.config.datasets),
        tuning=STUDY.tuning_record() or [],
    output:
        expand(f"{SUMMARY}/{{table}}.parquet", table=SUMMARIES),
        f"{SUMMARY}/study.json",
    log:
        f"{RESULTS}/logs/summarise.log",
    benchmark:
        f"{RESULTS}/benchmarks/summarise.tsv"
    conda:
        CONDA
    threads: SHARE
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        study=plain(STUDY.summary_input(Path("results"))),
        out=lambda w, output: os.path.dirname(output[0]),
    shell:
        "python -m alterrec summarise --study {params.study:q} --out {params.out} > {log} 2>&1"
