# make all: the whole study · make test: the tests · make lint · make bench: what the study costs
PYTHON ?= python3
STUDY := results/demo
BIN := .venv/bin

.PHONY: all test lint bench
all: .venv/installed
	$(BIN)/snakemake --cores 8 all
	@if [ ! -e $(STUDY)/report.zip ] || [ -n "$$(find $(STUDY)/tables $(STUDY)/figures -newer $(STUDY)/report.zip)" ]; \
	then $(BIN)/snakemake --report $(STUDY)/report.zip; fi

test: .venv/installed
	$(BIN)/python -m pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow tests
	$(BIN)/snakemake --lint

bench: .venv/installed
	$(BIN)/python -m alterrec bench --out results/bench

.venv/installed: pyproject.toml envs/requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint envs/requirements.lock --editable '.[test]'
	@touch $@
