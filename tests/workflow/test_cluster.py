"""What the rules ask of a cluster: which jobs run on it, together or alone, with a GPU, and with more after a failure."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from tests.unit.test_amazon_reviews import write
from tests.workflow.test_workflow import ROOT, SCRIPTS, planned, snakemake, write_config

TEST_STUDY = ("--configfile", str(ROOT / "workflow/config/test.yaml"))
DOWNLOADED = {
    "datasets": ["toys"],
    "dataset_definitions": {
        "toys": {"source": "amazon_reviews", "category": "Toys", "split": "leave_last_out"}
    },
    "models": ["popularity"],
    "tuning": {},
}
HUNGRY_RULE = """
rule hungry:
    output:
        "fed.txt",
    resources:
        mem_mb=growing(100),
    shell:
        "echo {resources.mem_mb} >> portions.txt; test {resources.mem_mb} -eq 300 && touch {output}"
"""


def jobs(text: str) -> list[tuple[str, dict]]:
    """(rule, its printed properties) of every job of a dry run."""
    blocks = re.findall(r"^ *rule (\w+):\n((?:^ +\w+: .*\n)+)", text, re.M)
    return [(name, dict(re.findall(r"^ +(\w+): (.*)$", body, re.M))) for name, body in blocks]


@pytest.fixture(scope="module")
def dry_run(tmp_path_factory) -> str:
    """What a dry run of the test study prints, with the groups of the Slurm profile."""
    folder = tmp_path_factory.mktemp("dry")
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    arguments = ("--group-components", profile["group-components"], "--dry-run", "all", *TEST_STUDY)
    return snakemake(folder, "--cores", str(profile["cores"]), *arguments).stdout


def test_only_jobs_with_a_network_ask_for_a_gpu(dry_run):
    gpus = {}
    for _, about in jobs(dry_run):
        if "gpu=" in about.get("resources", ""):
            what = re.search(r"(model|encoder)=(\w+)", about["wildcards"])[2]
            gpus.setdefault(int(re.search(r"gpu=(\d)", about["resources"])[1]), set()).add(what)
    assert gpus[0] == {"random", "popularity", "markov", "oracle", "tfidf_svd"}
    assert {"id_only", "text_only", "fusion_sum", "late_ensemble", "alterrec"} <= gpus[1]
    assert not gpus[0] & gpus[1]


def test_cells_without_a_network_are_one_job(dry_run):
    assert dry_run.count("Group job short") + dry_run.count("group job short") == 1
    group = re.split(r"[Gg]roup job short", dry_run)[1].split("\n[")[0]
    members = [about["wildcards"] for _, about in jobs(group.split("\nrule ")[0])]
    models = {re.search(r"model=(\w+)", wildcards)[1] for wildcards in members}
    assert models == {"random", "popularity", "markov", "oracle"}


def test_downloads_cards_tables_and_figures_stay_on_the_machine_that_started_them(tmp_path):
    names = "print('local:', *sorted(workflow._localrules))"
    (tmp_path / "Snakefile").write_text(f"include: {str(ROOT / 'Snakefile')!r}\n{names}\n")
    output = snakemake(tmp_path, "--list-rules", *TEST_STUDY, root=tmp_path).stdout
    local = set(re.search(r"^local: (.*)$", output, re.M)[1].split())
    pages = {*SCRIPTS, "card_page", "report_page", "paper_pdf"}
    assert local == pages | {"download_data", "download_model", "instances", "tune", "verify"}


def test_a_job_that_failed_asks_for_more_memory_at_every_attempt(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/hungry.smk").write_text(HUNGRY_RULE)
    path = write_config(tmp_path, baselines=[str(tmp_path / "own")])
    snakemake(tmp_path, "--cores", "1", "--retries", "2", "fed.txt", "--configfile", path)
    assert (tmp_path / "portions.txt").read_text().split() == ["100", "200", "300"]


def test_the_demo_and_the_test_study_download_nothing(tmp_path):
    for name in ("demo", "test"):
        jobs = planned(tmp_path, "all", "--configfile", str(ROOT / f"workflow/config/{name}.yaml"))
        assert not [rule for rule in jobs if rule.startswith("download")]


def test_downloads_are_local_jobs_and_the_others_need_no_internet(tmp_path):
    sequences = [(f"R{n}", f"B{item}", 100 * n + item) for n in range(30) for item in range(5)]
    write(tmp_path, sequences, [{"asin": f"B{item}", "title": f"toy {item}"} for item in range(5)])
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}"
        path = write_config(tmp_path, mirror=mirror, **DOWNLOADED)
        listed = "results/test/downloads/data/toys.txt"
        snakemake(tmp_path, "--cores", "1", listed, "--configfile", path)
        server.shutdown()
    names = [line.rpartition("/")[2] for line in (tmp_path / listed).read_text().splitlines()]
    assert names == ["reviews_Toys_5.json.gz", "meta_Toys.json.gz"]
    snakemake(tmp_path, "--cores", "1", "results/test/data/toys/items.parquet", "--configfile", path)


def test_a_model_of_the_hub_is_fetched_by_a_local_job(tmp_path):
    definitions = {"mpnet": {"base": "sentence_transformer", "model": str(tmp_path / "model")}}
    (tmp_path / "model").mkdir()
    path = write_config(tmp_path, encoder="mpnet", encoder_definitions=definitions)
    listed = "results/test/downloads/models/mpnet.txt"
    dry = snakemake(tmp_path, "--cores", "1", "--dry-run", "all", "--configfile", path).stdout
    encode = next(about for name, about in jobs(dry) if name == "encode")
    assert listed in encode["input"] and "gpu=1" in encode["resources"]
    snakemake(tmp_path, "--cores", "1", listed, "--configfile", path)
    assert (tmp_path / listed).read_text() == f"{tmp_path / 'model'}\n"
