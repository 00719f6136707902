# What the screen shows: a line for each finished run, or each step without runs, and the results at the end. Snakemake's
# log file has every job. Another workflow that imports this one keeps its own screen.
from alterrec.progress.run_lines import RunLines, is_no_step, is_shown

SCREENS = [handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"]

if workflow.is_main_process and workflow.modifier.is_main_snakefile() and not workflow.output_settings.dryrun:
    for screen in SCREENS:
        screen.addFilter(is_shown)


onstart:
    pattern = re.compile(r"runs/([^/]+)/([^/]+)/seed-(\d+)/ranks\.parquet$")
    jobs = {
        workflow.dag.jobid(job): (found[1], found[2], int(found[3]))
        for job in workflow.dag.needrun_jobs()
        for path in job.output
        if (found := pattern.search(path))
    }
    if jobs:
        for screen in SCREENS:
            screen.addFilter(is_no_step)
        logger.addHandler(RunLines(STUDY, Path(RESULTS), jobs))


onsuccess:
    if "all" in {rule.name for rule in workflow.dag.targetrules}:
        from alterrec.progress.closing import closing

        logger.info(closing(Path(RESULTS)))
