# All rules of a study. A config file is one study: workflow/config/README.md lists them.
from snakemake.utils import min_version

min_version("9.20")

if not workflow.overwrite_configfiles:

    configfile: f"{workflow.current_basedir}/workflow/config/demo.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/text.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/screen.smk"


for path in EXTERNAL_RULES:

    include: path


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        rules.tables.input,
        rules.figures.input,
        rules.cards.input,
        rules.report_page.output,
