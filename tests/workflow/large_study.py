"""What Snakemake itself needs for a study of 3,000 cells:  python -m tests.workflow.large_study

It plans the study of 10 datasets, 30 models and 10 seeds, writes an empty file for every output, and asks Snakemake
again, which then has nothing to do. Nothing is trained.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.workflow.test_workflow import ROOT, write_config

PRODUCE = {"source": "complete_journey", "department": "PRODUCE"}
CHANGES = {
    "datasets": [f"produce{n}" for n in range(10)],
    "models": ["id_only", *(f"variant{n}" for n in range(29))],
    "seeds": list(range(10)),
    "dataset_definitions": {f"produce{n}": PRODUCE | {"weeks": 10 + n} for n in range(10)},
    "model_definitions": {f"variant{n}": {"base": "alterrec", "k1": 5 + n} for n in range(29)},
    "tuning": {},
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            ROOT / "Snakefile",
            "--directory",
            folder,
        ]
        command += ["--cores", "8", "all", "--configfile", write_config(folder, **CHANGES)]
        report("dry run", [*command, "--dry-run", "--quiet", "all"])
        summary = subprocess.run([*command, "--summary"], check=True, capture_output=True, text=True).stdout
        for line in summary.splitlines()[1:]:
            path = folder / line.split("\t")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        subprocess.run([*command, "--touch", "--quiet", "all"], check=True)
        report("nothing to do", command)


def report(what: str, command: list) -> None:
    """Run the command and print its processor time and its largest memory."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(output)
    last = output.strip().splitlines()[-1]
    print(
        f"{what}: {used.ru_utime + used.ru_stime:.1f} s, {used.ru_maxrss / 1024:.0f} MiB; it ends with: {last}"
    )


if __name__ == "__main__":
    main()
