"""`python -m alterrec VERB ...` runs one step of a study, as the workflow does."""

import argparse
import json
import logging
import math
import os
import sys
from fractions import Fraction
from pathlib import Path

import alterrec
from alterrec import registry
from alterrec.bench.report import PARTS
from alterrec.errors import UserError
from alterrec.study.portability import set_environment

VERBS = {}
"""The function of each verb -> what adds its arguments to a parser. The function's docstring is the verb's help."""


def verb(*arguments):
    """Make a function a verb of the command line, named as it is, with these arguments."""

    def register(function):
        VERBS[function] = arguments
        return function

    return register


def argument(*names, **settings):
    """An argument of a verb, with the names and settings that argparse takes."""
    return lambda parser: parser.add_argument(*names, **settings)


def count(text: str) -> int:
    """A number of things, at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def json_object(text: str) -> dict:
    """An argument that the workflow writes as JSON."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no JSON object, like those that `spec` prints")
    return value


def config_or_file(text: str) -> str | dict:
    """A config as JSON, or the path of its file."""
    return json_object(text) if text.startswith("{") else text


def one_of(*arguments):
    """Arguments of which exactly one must be given."""

    def add(parser):
        group = parser.add_mutually_exclusive_group(required=True)
        for add_argument in arguments:
            add_argument(group)

    return add


CONFIG = argument("config", type=Path)
SPEC = argument("--spec", type=json_object, required=True)
OUT = argument("--out", type=Path, required=True)
RESULTS = argument("--results", type=Path, default=Path("results"), help="folder of all studies (results)")
CELL = {"--config": Path, "--dataset": str, "--model": str, "--seed": int}
NAMES_OR_FILES = [
    *(
        argument(option, type=kind, help="a cell by its names, instead of --spec, --data and --out")
        for option, kind in CELL.items()
    ),
    argument("--spec", type=json_object),
    argument("--data", type=Path),
    argument("--out", type=Path),
]


@verb(CONFIG)
def check_data(arguments) -> None:
    """Print the dataset cards of a study: what is read, what is dropped and why, before anything is trained."""
    from alterrec.data.card import card_text
    from alterrec.data.prepare import make_dataset
    from alterrec.study.check import checked
    from alterrec.study.load import load_study

    study = load_study(arguments.config)
    os.environ.update(study.environment())
    for name in study.config.datasets:
        settings = study.dataset(name)
        source = registry.source(settings["source"])
        config = checked(source.Config, settings, name)
        card = make_dataset(source.load(config), config).card
        print(card_text(card).replace("# ", f"# {name}: ", 1))


@verb(SPEC, OUT)
def download(arguments) -> None:
    """Download what a data source or a text encoder needs, and write the paths of the files."""
    from alterrec.files import write_text
    from alterrec.study.check import checked

    spec = arguments.spec
    if "source" in spec:
        module, settings = registry.source(spec["source"]), spec
    else:
        module, settings = registry.encoder(spec["base"]), spec["config"]
    paths = module.fetch_files(checked(module.Config, settings, "spec"))
    write_text(arguments.out, "".join(f"{path}\n" for path in paths))


@verb(SPEC, OUT)
def prepare(arguments) -> None:
    """Read a data source and write a prepared dataset."""
    from alterrec.data.prepare import prepare
    from alterrec.study.check import checked

    settings = arguments.spec
    source = registry.source(settings.get("source", ""))
    config = checked(source.Config, settings, "spec")
    prepare(source.load(config), config, arguments.out)


@verb(CONFIG, RESULTS)
def plan(arguments) -> None:
    """Print how many runs a study has, and what they will cost in time, memory and disk space."""
    from alterrec.progress.plan import plan
    from alterrec.study.load import load_study

    print(plan(load_study(arguments.config), arguments.results))


@verb(CONFIG, RESULTS)
def status(arguments) -> None:
    """Print which runs of a study are done, running, failed, stale or waiting, and when it will be finished."""
    from alterrec.progress.status import status
    from alterrec.study.load import load_study

    print(status(load_study(arguments.config), arguments.results, str(arguments.config)))


@verb(argument("kind", choices=registry.KINDS), argument("name", nargs="?"))
def list_(arguments) -> None:
    """Print the registered models, data sources or text encoders, or one of them with all of its settings."""
    from alterrec.descriptions.listing import listing

    print(listing(arguments.kind, arguments.name))


@verb(*NAMES_OR_FILES)
def encode(arguments) -> None:
    """Encode the texts of a prepared dataset."""
    from alterrec.study.cell_files import encoding_by_name

    spec, data, out = spec_and_files(arguments, encoding_by_name)
    set_environment(spec)
    from alterrec.gpu_places import gpu_place

    with gpu_place(getattr(registry.encoder(spec["base"]), "neural", False)):
        from alterrec.data.text_vectors import encode_dataset

        if spec.get("portable"):
            from alterrec.kernels.portable_products import use_portable_products

            use_portable_products()
        encode_dataset(data, spec, out)


@verb(*(argument(option, type=kind, required=True) for option, kind in CELL.items()))
def spec(arguments) -> None:
    """Print the spec of one cell, for `train --spec`."""
    from alterrec.study.load import load_study

    print(json.dumps(load_study(arguments.config).spec(arguments.dataset, arguments.model, arguments.seed)))


@verb(*NAMES_OR_FILES)
def train(arguments) -> None:
    """Train one cell, rank every target and write the run's folder."""
    from alterrec.study.cell_files import run_by_name

    spec, data, out = spec_and_files(arguments, run_by_name, "seed")
    set_environment(spec)
    from alterrec.gpu_places import gpu_place

    with gpu_place(is_neural(spec)):
        from alterrec.execute import execute_run

        execute_run(spec, data, out)


@verb(argument("--data", type=Path, required=True), OUT)
def instances(arguments) -> None:
    """Write the instances of a prepared dataset, in the order in which `ranks-from-scores` reads their scores."""
    from alterrec.data.dataset import Dataset
    from alterrec.files import write_parquet
    from alterrec.ranking.instances import instance_table

    write_parquet(arguments.out, instance_table(Dataset.load(arguments.data)))


@verb(
    *NAMES_OR_FILES,
    argument("--scores", type=Path, required=True),
    argument("--seconds", type=int, help="how long the other program took (unknown)"),
)
def ranks_from_scores(arguments) -> None:
    """Rank every target by the scores of another program and write the run's folder, as `train` does."""
    from alterrec.study.cell_files import run_by_name

    spec, data, out = spec_and_files(arguments, run_by_name, "seed")
    set_environment(spec)
    from alterrec.execute import rank_scores

    rank_scores(spec, data, arguments.scores, out, arguments.seconds)


def spec_and_files(arguments, by_name, *more: str) -> tuple[dict, Path, Path]:
    """The spec, the dataset's folder and the output: as they are given, or those of a cell that is given by its names."""
    if arguments.spec and arguments.data and arguments.out:
        return arguments.spec, arguments.data, arguments.out
    keys = ("dataset", "model", *more)
    names = [getattr(arguments, key) for key in keys]
    if arguments.spec or arguments.config is None or None in names:
        by_names = ", ".join(f"--{key}" for key in ("config", *keys))
        raise UserError(f"give --spec, --data and --out, or {by_names}")
    from alterrec.study.load import load_study

    study = load_study(arguments.config)
    os.environ.update(study.environment())
    spec, data, out = by_name(study, *names)
    return spec, arguments.data or data, arguments.out or out


def is_neural(spec: dict) -> bool:
    """Whether the spec of a cell or of a trial names a model with a network."""
    return registry.model(spec["base"], spec["baselines"]).neural


@verb(
    argument("--config", type=Path, required=True),
    argument("--processes", type=count, default=1, help="cells that run at once (1)"),
    argument("--minutes", type=float, default=math.inf, help="when to stop (when all are finished)"),
    argument("--only", nargs="+", default=[], metavar="MODEL", help="models to train (all)"),
    argument("--seeds", nargs="+", type=int, default=[], metavar="SEED", help="seeds (all)"),
    RESULTS,
    argument("--pack", type=Path, metavar="FILE.tar", help="archive for what this call finishes"),
    argument("--tune", action="store_true", help="run the trials of the tuning instead"),
)
def cells(arguments) -> None:
    """Train the cells of a study that are not finished, in several processes and for a limited time."""
    from alterrec.runner.portion import run_study
    from alterrec.study.load import load_study

    options = ("results", "processes", "minutes", "only", "seeds", "pack", "tune")
    if not run_study(load_study(arguments.config), *(getattr(arguments, option) for option in options)):
        raise SystemExit(1)


@verb(argument("--config", type=Path, required=True), RESULTS, OUT)
def store(arguments) -> None:
    """Write what tests and tables need of a study's runs into a few files."""
    from alterrec.analysis.stored_runs import store
    from alterrec.study.load import load_study

    study = load_study(arguments.config)
    print(
        f"{store(study, arguments.results / study.config.name, arguments.out)} runs stored in {arguments.out}"
    )


@verb(
    argument("--config", type=Path, required=True),
    one_of(
        argument("--record", type=Path, help="trials of a search: a CSV file that `choose` has written"),
        argument("--runs", type=Path, help="runs: a folder that `store` has written"),
    ),
    RESULTS,
)
def restore(arguments) -> None:
    """Take stored trials or runs over, so that only those that are missing are trained."""
    from alterrec.analysis.stored_runs import restore_runs
    from alterrec.runner.stored_trials import restore
    from alterrec.study.load import load_study

    study = load_study(arguments.config)
    folder = arguments.results / study.config.name
    if arguments.runs:
        print(f"{restore_runs(study, arguments.runs, folder)} runs restored in {folder / 'runs'}")
    else:
        print(f"{restore(study, arguments.record, folder / 'tuning')} trials restored in {folder / 'tuning'}")


@verb(
    argument("--share", type=Fraction, required=True),
    argument("--data", type=Path, required=True),
    OUT,
    one_of(
        argument(
            "--spec", type=json_object, help="a trial of the first rung, or the composed trial's own settings"
        ),
        argument("--previous", type=Path, nargs="+", default=(), help="records of the rung before"),
    ),
    argument("--place", type=int, default=1, help="which of them goes on, by its rank"),
    *(
        argument(
            f"--of-{network}",
            type=Path,
            nargs="+",
            default=(),
            help=f"records whose best one has the composed trial's settings of the {network} network",
        )
        for network in ("id", "text")
    ),
)
def tune(arguments) -> None:
    """Train one trial of tuning up to a share of its epochs and write its record."""
    from alterrec.study.tuning import Trial

    records = (arguments.previous, arguments.place, arguments.of_id, arguments.of_text)
    spec = Trial(arguments.spec, *records).find()
    set_environment(spec)
    from alterrec.gpu_places import gpu_place

    with gpu_place(is_neural(spec)):
        from alterrec.execute import execute_trial

        execute_trial(spec, arguments.share, arguments.data, arguments.out)


@verb(argument("--config", type=config_or_file, required=True), OUT)
def choose(arguments) -> None:
    """Choose the best trials of a study on validation, and write their settings and the record of all."""
    from alterrec.study.load import load_study
    from alterrec.study.tuning import choose

    choose(load_study(arguments.config), arguments.out)


@verb(
    argument("run", type=Path),
    argument("--items", required=True, metavar="A,B,C", help="ids of the items, oldest first"),
    argument("-k", type=int, default=20, help="number of items (20)"),
)
def recommend(arguments) -> None:
    """Print the best items after some items, by the model of a stored run, with their scores."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # one prefix is faster on a processor than a GPU is ready
    spec_file = arguments.run / "spec.json"
    set_environment(json.loads(spec_file.read_text()) if spec_file.is_file() else {})
    from alterrec.recommend import recommend

    table = recommend(arguments.run, arguments.items.split(","), arguments.k)
    print(table.to_markdown(index=range(1, len(table) + 1), floatfmt=".3f"))


@verb(argument("--study", type=json_object, required=True), OUT)
def summarise(arguments) -> None:
    """Compute from the runs everything that tables and figures show."""
    from alterrec.analysis.summary import summarise

    summarise(arguments.study, arguments.out)


@verb(
    argument("summary", type=Path),
    argument("--difference", type=float, default=0.5, help="in points of Hits@20"),
)
def power(arguments) -> None:
    """Print how wide intervals are and what they can show with more seeds and sessions."""
    from alterrec.inference.power import power_report

    print(power_report(arguments.summary, arguments.difference / 100))


@verb(argument("summary", type=Path), argument("other", type=Path))
def compare(arguments) -> None:
    """Say whether two summary folders of a study are equal, and what differs."""
    from alterrec.analysis.compare_summaries import differences

    found = differences(arguments.summary, arguments.other)
    print("\n".join(found) if found else f"equal: {arguments.summary} and {arguments.other}")


@verb(
    argument("--config", type=config_or_file, required=True), argument("--results", type=Path, required=True)
)
def verify(arguments) -> None:
    """Fail if a stored run does not match the present config, data and code."""
    from alterrec.study.load import load_study
    from alterrec.study.provenance import verify

    study = load_study(arguments.config)
    problems = verify(study, arguments.results)
    if problems:
        count = f"{len(problems)} differences: run snakemake with --forcerun train"
        raise UserError("\n".join([*problems, count]))
    print("every run matches the present config, data and code")


@verb(
    OUT,
    argument("--parts", nargs="+", choices=PARTS, default=PARTS),
    argument("--data", type=Path, help="prepared and encoded dataset for the part `engine`"),
)
def bench(arguments) -> None:
    """Measure time and memory of the demo study, of reading a large source and of the training engine."""
    from alterrec.bench.report import bench

    bench(arguments.out, arguments.parts, arguments.data)


@verb(OUT, argument("--docs", type=Path, help="the Markdown page of all keys to write"))
def schema(arguments) -> None:
    """Write the JSON schemas of the config files and, with --docs, the page of all keys."""
    from alterrec.descriptions.configuration_page import configuration_page
    from alterrec.descriptions.json_schemas import write_schemas
    from alterrec.files import write_text

    write_schemas(arguments.out)
    if arguments.docs:
        write_text(arguments.docs, configuration_page())


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="alterrec", description=__doc__)
    root.add_argument("--version", action="version", version=f"alterrec {alterrec.__version__}")
    verbs = root.add_subparsers(required=True, metavar="VERB")
    for function, arguments in VERBS.items():
        name, text = function.__name__.rstrip("_").replace("_", "-"), function.__doc__
        sub = verbs.add_parser(name, help=text, description=text)
        for add_argument in arguments:
            add_argument(sub)
        sub.set_defaults(verb=function)
    return root


def main() -> int:
    arguments = parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        arguments.verb(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # what reads the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UserError as error:
        print(f"alterrec: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
