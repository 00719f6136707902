# What the screen shows: a line for each finished run, or each step without runs, and the results at the end. Snakemake's
# log file has every job. Another workflow that imports this one keeps its own screen.
from alterrec.progress.run_lines import RunLines, is_no_step, is_shown

SCREENS = [handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"]

if workflow.is_main_process and workflow.modifier.is_main_snakefile() and not workflow.output_settings.dryrun:
    for screen in SCREENS:
        screen.addFilter(is_shown)


onstart:
    cells = {ranks_of(*cell): cell for cell in STUDY.cells()}
    jobs = {
        workflow.dag.jobid(job): cells[path]
        for job in workflow.dag.needrun_jobs()
        for path in job.output
        if path in cells
    }
    if jobs:
        for screen in SCREENS:
            screen.addFilter(is_no_step)
        logger.addHandler(RunLines(STUDY, Path(RESULTS), jobs))


onsuccess:
    only_parts = workflow.dag_settings.until or workflow.dag_settings.omit_from
    if "all" in {rule.name for rule in workflow.dag.targetrules} and not only_parts:
        from alterrec.progress.closing import closing

        logger.info(closing(Path(RESULTS)))
