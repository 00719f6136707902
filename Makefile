# make all: the demo study · make test: the tests · make test-all: the tests and the fault cases · make lint: all linters
# make bench: time and memory measurements · make slurm: the test study on a Slurm cluster of one node, for root on Debian
# Another study: make all CONFIG=workflow/config/paper.yaml · Files from a folder or server: MIRROR=/data/mirror
PYTHON ?= python3
CONFIG ?= workflow/config/demo.yaml
STUDY = results/$(shell sed -n 's/^name: *//p' $(CONFIG))
REFERENCE = results/reference/$(notdir $(STUDY))/summary
FLAGS = --configfile $(CONFIG) $(if $(MIRROR),--config mirror=$(MIRROR))
BIN := .venv/bin

.PHONY: all test test-all lint bench slurm
all: .venv/installed $(CONFIG)
	$(BIN)/snakemake --cores 8 all $(FLAGS)
	@if [ ! -e $(STUDY)/report.zip ] || [ -n "$$(find $(STUDY)/tables $(STUDY)/figures -newer $(STUDY)/report.zip)" ]; \
	then $(BIN)/snakemake --report $(STUDY)/report.zip $(FLAGS) > $(STUDY)/logs/report.log 2>&1 || \
	{ cat $(STUDY)/logs/report.log; exit 1; }; fi
	@if [ -d $(REFERENCE) ]; then $(BIN)/python -m alterrec compare $(STUDY)/summary $(REFERENCE); fi

$(CONFIG):
	$(error there is no file $@: workflow/config/README.md lists the studies)

test: .venv/installed
	$(BIN)/python -m pytest

test-all: .venv/installed
	$(BIN)/python -m pytest tests

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow examples tests
	$(BIN)/snakemake --lint

bench: .venv/installed
	$(BIN)/python -m alterrec bench --out results/bench

slurm: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint envs/requirements.lock --editable '.[slurm]'
	tests/slurm/one_node.sh $(BIN)/python -m pytest tests/slurm

.venv/installed: pyproject.toml envs/requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --constraint envs/requirements.lock --editable '.[test]'
	@# pip compiles on one processor; files for other versions of Python do not compile
	$(BIN)/python -m compileall -q -j 0 .venv/lib > .venv/compiled.log || true
	@touch $@
