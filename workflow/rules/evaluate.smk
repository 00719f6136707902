# Runs -> summary/: metrics, significance, diagnostics and claims. Tables and figures need nothing else.
from alterrec.analysis.summary_schema import COLUMNS
from alterrec.study.summary_input import summary_input, tuning_record


rule summarise:
    input:
        ranks=[ranks_of(*cell) for cell in STUDY.cells()],
        cards=expand(f"{DATA}/card.json", dataset=STUDY.config.datasets),
        tuning=tuning_record(STUDY) or [],
    output:
        expand(f"{SUMMARY}/{{table}}.parquet", table=COLUMNS),
        f"{SUMMARY}/study.json",
    log:
        f"{RESULTS}/logs/summarise.log",
    benchmark:
        f"{RESULTS}/benchmarks/summarise.tsv"
    conda:
        CONDA
    threads: SHARE
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        study=lambda w, input: json.dumps(summary_input(STUDY, Path(input.cards[0]).parents[3])),  # in the config's order
        out=lambda w, output: os.path.dirname(output[0]),
    shell:
        "python -m alterrec summarise --study {params.study:q} --out {params.out} > {log} 2>&1"
