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


def prepare(arguments) -> None:
    from alterrec.data.prepare import prepare
    from alterrec.study.check import checked

    settings = json.loads(arguments.spec)
    source = registry.source(settings.get("source", ""))
    config = checked(source.Config, settings, "spec")
    prepare(source.load(config), config, arguments.out)


def download(arguments) -> None:
    from alterrec.files import write_text
    from alterrec.study.check import checked

    spec = json.loads(arguments.spec)
    if "source" in spec:
        module, settings = registry.source(spec["source"]), spec
    else:
        module, settings = registry.encoder(spec["base"]), spec["config"]
    paths = module.fetch_files(checked(module.Config, settings, "spec"))
    write_text(arguments.out, "".join(f"{path}\n" for path in paths))


def check_data(arguments) -> None:
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


def encode(arguments) -> None:
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


def train(arguments) -> None:
    from alterrec.study.cell_files import run_by_name

    spec, data, out = spec_and_files(arguments, run_by_name, "seed")
    set_environment(spec)
    from alterrec.gpu_places import gpu_place

    with gpu_place(is_neural(spec)):
        from alterrec.execute import execute_run

        execute_run(spec, data, out)


def instances(arguments) -> None:
    from alterrec.data.dataset import Dataset
    from alterrec.files import write_parquet
    from alterrec.ranking.instances import instance_table

    write_parquet(arguments.out, instance_table(Dataset.load(arguments.data)))


def ranks_from_scores(arguments) -> None:
    from alterrec.study.cell_files import run_by_name

    spec, data, out = spec_and_files(arguments, run_by_name, "seed")
    set_environment(spec)
    from alterrec.execute import rank_scores

    rank_scores(spec, data, arguments.scores, out, arguments.seconds)


def is_neural(spec: dict) -> bool:
    """Whether the spec of a cell or of a trial names a model with a network."""
    return registry.model(spec["base"], spec["baselines"]).neural


def spec_and_files(arguments, by_name, *more: str) -> tuple[dict, Path, Path]:
    """The spec, the dataset's folder and the output: as they are given, or those of a cell that is given by its names."""
    if arguments.spec and arguments.data and arguments.out:
        return json.loads(arguments.spec), arguments.data, arguments.out
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


def cells(arguments) -> None:
    from alterrec.runner.portion import run_study
    from alterrec.study.load import load_study

    options = ("results", "processes", "minutes", "only", "seeds", "pack", "tune")
    if not run_study(load_study(arguments.config), *(getattr(arguments, option) for option in options)):
        raise SystemExit(1)


def spec(arguments) -> None:
    from alterrec.study.load import load_study

    print(json.dumps(load_study(arguments.config).spec(arguments.dataset, arguments.model, arguments.seed)))


def tune(arguments) -> None:
    from alterrec.study.tuning import Trial

    spec = arguments.spec and json.loads(arguments.spec)
    records = (arguments.previous, arguments.place, arguments.of_id, arguments.of_text)
    spec = Trial(spec, *records).find()
    set_environment(spec)
    from alterrec.gpu_places import gpu_place

    with gpu_place(is_neural(spec)):
        from alterrec.execute import execute_trial

        execute_trial(spec, arguments.share, arguments.data, arguments.out)


def choose(arguments) -> None:
    from alterrec.study.load import load_study
    from alterrec.study.tuning import choose

    choose(load_study(config_argument(arguments.config)), arguments.out)


def summarise(arguments) -> None:
    from alterrec.analysis.summary import summarise

    summarise(json.loads(arguments.study), arguments.out)


def power(arguments) -> None:
    from alterrec.inference.power import power_report

    print(power_report(arguments.summary, arguments.difference / 100))


def compare(arguments) -> None:
    from alterrec.analysis.compare_summaries import differences

    found = differences(arguments.summary, arguments.other)
    print("\n".join(found) if found else f"equal: {arguments.summary} and {arguments.other}")


def plan(arguments) -> None:
    from alterrec.progress.plan import plan
    from alterrec.study.load import load_study

    print(plan(load_study(arguments.config), arguments.results))


def status(arguments) -> None:
    from alterrec.progress.status import status
    from alterrec.study.load import load_study

    print(status(load_study(arguments.config), arguments.results, str(arguments.config)))


def list_(arguments) -> None:
    from alterrec.descriptions.listing import listing

    print(listing(arguments.kind, arguments.name))


def recommend(arguments) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # one prefix is faster on a processor than a GPU is ready
    spec_file = arguments.run / "spec.json"
    set_environment(json.loads(spec_file.read_text()) if spec_file.is_file() else {})
    from alterrec.recommend import recommend

    table = recommend(arguments.run, arguments.items.split(","), arguments.k)
    print(table.to_markdown(index=range(1, len(table) + 1), floatfmt=".3f"))


def config_argument(text: str) -> str | dict:
    """A config as JSON, or the path of its file."""
    return json.loads(text) if text.startswith("{") else text


def verify(arguments) -> None:
    from alterrec.study.load import load_study
    from alterrec.study.provenance import verify

    study = load_study(config_argument(arguments.config))
    problems = verify(study, arguments.results)
    if problems:
        count = f"{len(problems)} differences: run snakemake with --forcerun train"
        raise UserError("\n".join([*problems, count]))
    print("every run matches the present config, data and code")


def bench(arguments) -> None:
    from alterrec.bench.report import bench

    bench(arguments.out, arguments.parts, arguments.data)


def schema(arguments) -> None:
    from alterrec.descriptions.configuration_page import configuration_page
    from alterrec.descriptions.json_schemas import write_schemas
    from alterrec.files import write_text

    write_schemas(arguments.out)
    if arguments.docs:
        write_text(arguments.docs, configuration_page())


CELL = {"--config": Path, "--dataset": str, "--model": str, "--seed": int}
VERBS = {
    check_data: {"config": Path},
    download: {"--spec": str, "--out": Path},
    prepare: {"--spec": str, "--out": Path},
    plan: {"config": Path},
    status: {"config": Path},
    list_: {},
    encode: {},
    spec: CELL,
    train: {},
    instances: {"--data": Path, "--out": Path},
    ranks_from_scores: {"--scores": Path},
    cells: {"--config": Path},
    tune: {"--share": Fraction, "--data": Path, "--out": Path},
    choose: {"--config": str, "--out": Path},
    recommend: {"run": Path},
    summarise: {"--study": str, "--out": Path},
    power: {"summary": Path},
    compare: {"summary": Path, "other": Path},
    verify: {"--config": str, "--results": Path},
    bench: {"--out": Path},
    schema: {"--out": Path},
}
HELP = {
    check_data: "print the dataset cards of a study: what is read, what is dropped and why, before anything is trained",
    download: "download what a data source or a text encoder needs, and write the paths of the files",
    prepare: "read a data source and write a prepared dataset",
    plan: "print how many runs a study has, and what they will cost in time, memory and disk space",
    status: "print which runs of a study are done, running, failed, stale or waiting, and when it will be finished",
    list_: "print the registered models, data sources or text encoders, or one of them with all of its settings",
    encode: "encode the texts of a prepared dataset",
    spec: "print the spec of one cell, for `train --spec`",
    train: "train one cell, rank every target and write the run's folder",
    instances: "write the instances of a prepared dataset, in the order in which `ranks-from-scores` reads their scores",
    ranks_from_scores: "rank every target by the scores of another program and write the run's folder, as `train` does",
    cells: "train the cells of a study that are not finished, in several processes and for a limited time",
    tune: "train one trial of tuning up to a share of its epochs and write its record",
    choose: "choose the best trials of a study on validation, and write their settings and the record of all",
    recommend: "print the best items after some items, by the model of a stored run, with their scores",
    summarise: "compute from the runs everything that tables and figures show",
    power: "print how wide intervals are and what they can show with more seeds and sessions",
    compare: "say whether two summary folders of a study are equal, and what differs",
    verify: "fail if a stored run does not match the present config, data and code",
    bench: "measure time and memory of the demo study, of reading a large source and of the training engine",
    schema: "write the JSON schemas of the config files and, with --docs, the page of all keys",
}


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="alterrec", description=__doc__)
    root.add_argument("--version", action="version", version=f"alterrec {alterrec.__version__}")
    verbs = root.add_subparsers(required=True, metavar="VERB")
    for verb, options in VERBS.items():
        sub = verbs.add_parser(
            verb.__name__.rstrip("_").replace("_", "-"), help=HELP[verb], description=HELP[verb]
        )
        for option, kind in options.items():
            sub.add_argument(option, type=kind, **({"required": True} if option.startswith("-") else {}))
        if verb is cells:
            sub.add_argument("--processes", type=int, default=1, help="cells that run at once (1)")
            sub.add_argument(
                "--minutes", type=float, default=math.inf, help="when to stop (when all are finished)"
            )
            sub.add_argument("--only", nargs="+", default=[], metavar="MODEL", help="models to train (all)")
            sub.add_argument("--seeds", nargs="+", type=int, default=[], metavar="SEED", help="seeds (all)")
            sub.add_argument(
                "--results", type=Path, default=Path("results"), help="folder of all studies (results)"
            )
            sub.add_argument(
                "--pack", type=Path, metavar="FILE.tar", help="archive for what this call finishes"
            )
            sub.add_argument("--tune", action="store_true", help="run the trials of the tuning instead")
        if verb in (encode, train, ranks_from_scores):
            for option, kind in CELL.items():
                sub.add_argument(
                    option, type=kind, help="a cell by its names, instead of --spec, --data and --out"
                )
            for option, kind in {"--spec": str, "--data": Path, "--out": Path}.items():
                sub.add_argument(option, type=kind)
        if verb is ranks_from_scores:
            sub.add_argument("--seconds", type=int, help="how long the other program took (unknown)")
        if verb in (plan, status):
            sub.add_argument(
                "--results", type=Path, default=Path("results"), help="the folder of all studies"
            )
        if verb is list_:
            sub.add_argument("kind", choices=registry.KINDS)
            sub.add_argument("name", nargs="?")
        if verb is recommend:
            sub.add_argument("--items", required=True, metavar="A,B,C", help="ids of the items, oldest first")
            sub.add_argument("-k", type=int, default=20, help="number of items (20)")
        if verb is power:
            sub.add_argument("--difference", type=float, default=0.5, help="in points of Hits@20")
        if verb is tune:
            trial = sub.add_mutually_exclusive_group(required=True)
            trial.add_argument(
                "--spec", help="a trial of the first rung, or the composed trial's own settings"
            )
            trial.add_argument(
                "--previous", type=Path, nargs="+", default=(), help="records of the rung before"
            )
            sub.add_argument("--place", type=int, default=1, help="which of them goes on, by its rank")
            for network in ("id", "text"):
                of_network = (
                    f"records whose best one has the composed trial's settings of the {network} network"
                )
                sub.add_argument(f"--of-{network}", type=Path, nargs="+", default=(), help=of_network)
        if verb is bench:
            sub.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
            sub.add_argument("--data", type=Path, help="prepared and encoded dataset for the part `engine`")
        if verb is schema:
            sub.add_argument("--docs", type=Path, help="the Markdown page of all keys to write")
        sub.set_defaults(verb=verb)
    return root


def main() -> int:
    arguments = parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        arguments.verb(arguments)
    except UserError as error:
        print(f"alterrec: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
