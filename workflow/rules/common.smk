# The checked study, the paths of its files, and how much of the machine a job may use.
import json
import os
import re
import sys
from functools import cache
from pathlib import Path
from shlex import join, quote

from snakemake.exceptions import WorkflowError

# The repository's folder, also where another workflow imports this one: workflow.basedir is then the importer's.
if not isinstance(workflow.current_basedir, os.PathLike):
    raise WorkflowError(
        f"{workflow.current_basedir}: rules that are read from a remote repository lack the library and the scripts: "
        "clone the repository and name the Snakefile of the clone"
    )
ROOT = Path(workflow.current_basedir).parents[1]

sys.path.insert(0, str(ROOT))
from alterrec import registry
from alterrec.errors import UserError
from alterrec.study import run_paths
from alterrec.study.load import load_study
from alterrec.study.processors import processors
from alterrec.study.provenance import COMPLETE
from alterrec.study.tuning import RECORD, trials_of_rung

try:
    STUDY = load_study(config)
except UserError as error:
    raise WorkflowError(str(error))

NAME = STUDY.config.name
RESULTS = f"results/{NAME}"
DATA = f"{RESULTS}/{run_paths.DATA}"
RUNS = f"{RESULTS}/{run_paths.RUN}"
SUMMARY = f"{RESULTS}/summary"
TUNING = f"{RESULTS}/tuning"
SCRIPTS = ROOT / "paper_figures"
CONDA = str(ROOT / "envs" / "alterrec.yaml")
EXTERNAL_RULES = sorted(str(m.path.resolve()) for m in STUDY.registered.values() if m.external)
TRAINED = [name for name in STUDY.config.models if not STUDY.model(name).external]

# A job asks for its share of --cores, so that no more jobs run at once than there are physical processors.
SHARE = max(1, (workflow.resource_settings.cores or 1) // processors())  # --report has no --cores

# A job finds the library in this folder, also in an environment that holds only its dependencies. A prefix is needed
# because Snakemake takes PYTHONPATH out of the environment of a conda job.
shell.prefix(f"set -euo pipefail; export PYTHONPATH={quote(str(ROOT))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; ")

# `python` in a shell line must be this interpreter.
os.environ.update(PATH=os.pathsep.join([os.path.dirname(sys.executable), os.getenv("PATH", "")]))
os.environ.update(STUDY.environment())


wildcard_constraints:
    dataset=r"[A-Za-z0-9_.-]+",
    model=r"[A-Za-z0-9_.-]+",
    seed=r"\d+",
    encoder=r"[A-Za-z0-9_.-]+",


def sorted_json(value):
    """A value as sorted JSON, so that Snakemake sees equal values as equal parameters."""
    return json.dumps(value, sort_keys=True)


def growing(amount):
    """A resource of which every further attempt of a job asks for more, since the attempt before may have lacked it."""
    return lambda wildcards, attempt: amount * attempt


def data_downloads(wildcards):
    """The list of the files that a dataset's source has downloaded; empty for a source without downloads."""
    source = registry.source(STUDY.dataset(wildcards.dataset)["source"])
    return f"{RESULTS}/downloads/data/{wildcards.dataset}.txt" if hasattr(source, "fetch_files") else []


def encoder_module(name):
    """The module of a text encoder's file."""
    return registry.encoder(STUDY.encoder_spec(name)["base"])


def model_downloads(wildcards):
    """The list of the files that a text encoder has downloaded; empty for an encoder without downloads."""
    downloads = hasattr(encoder_module(wildcards.encoder), "fetch_files")
    return f"{RESULTS}/downloads/models/{wildcards.encoder}.txt" if downloads else []


def cell_group(wildcards):
    """A cluster runs several cells of models without a network in one job, since most take only seconds."""
    return None if STUDY.model(wildcards.model).neural else "short"


def cell_text(wildcards):
    """The text vectors that the model of a cell reads; empty for a model without text."""
    encoder = STUDY.encoder(wildcards.dataset, wildcards.model)
    vectors = f"{DATA}/{run_paths.TEXT}"
    return vectors.format(dataset=wildcards.dataset, encoder=encoder) if encoder else []


def cell_requires(wildcards):
    """The runs that the model of a cell reads, on the same dataset with the same seed.

    Their ranks stand for them, so that a finished run may be stored without its weights.
    """
    return [
        ranks_of(wildcards.dataset, name, wildcards.seed) for name in STUDY.model(wildcards.model).requires
    ]


@cache
def tuning_rung(dataset, model, rung):
    """Record -> trial of a rung, computed once."""
    return trials_of_rung(STUDY, Path(TUNING), dataset, model, rung)


def tuning_trial(wildcards):
    record = Path(TUNING, RECORD.format(**wildcards))
    return tuning_rung(wildcards.dataset, wildcards.model, int(wildcards.rung))[record]


def tuning_records(wildcards):
    """The records from which a job takes its trial; none for a trial of the first rung."""
    return list(map(str, tuning_trial(wildcards).records))


def tuning_options(wildcards):
    """The options that name a job's trial: its spec, or records and its place among them, or both."""
    trial = tuning_trial(wildcards)
    words = ["--spec", sorted_json(trial.spec)] if trial.spec else ["--place", str(trial.place)]
    for option in ("previous", "of_id", "of_text"):
        if records := getattr(trial, option):
            words += [f"--{option.replace('_', '-')}", *map(str, records)]
    return join(words)


def ranks_of(*cell):
    """The file of a cell's run that completes it: its ranks."""
    return f"{RESULTS}/{run_paths.of_cell(run_paths.RUN, cell)}/{COMPLETE}"


def scripts(kind):
    """The names of all scripts for tables or for figures. WorkflowError if there is none."""
    if not (found := sorted(path.stem for path in SCRIPTS.glob(f"{kind}_*.py"))):
        raise WorkflowError(f"{SCRIPTS} has no {kind}_*.py: restore the folder from the repository")
    return found


def shared_modules(script):
    """The files of paper_figures/ that a script needs: those that it imports, and those that they import."""
    names = re.findall(
        r"^(?:from|import) ((?:_|table_)\w+)", script.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    modules = {SCRIPTS / f"{name}.py" for name in names}
    return modules.union(*map(shared_modules, modules))
