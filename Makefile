# What a person does with this repository. Everything happens inside .venv, .qmtl and build.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench
# Two workers, each with servers of its own; a file's tests stay together.
PYTEST_FLAGS ?= --numprocesses 2 --dist loadfile
export PYTHONDONTWRITEBYTECODE = 1

.PHONY: help demo up test test-real check fmt bench chaos install install-dev install-bench clean

help:
	@echo "make demo       install, start everything, run the example, stop everything"
	@echo "make up         start everything in the foreground; Ctrl-C stops it"
	@echo "make test       all tests on the embedded servers"
	@echo "make test-real  contract and integration tests on Redis, Neo4j and Apache Kafka"
	@echo "make check      lint, format, types, import contracts"
	@echo "make bench      figures beside their targets; one part with BENCH=sdk, planner or engine"
	@echo "make chaos      kill things and check that nothing is lost or done twice; CHAOS=--short"
	@echo "make fmt        format and mend what can be mended"

$(VENV)/bin/python:
	@deploy/check-machine $(PYTHON)
	$(PYTHON) -m venv $(VENV)

$(STAMP): setup.cfg deploy/constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint deploy/constraints.txt --editable '.[server,embedded]'
	@touch $@

$(DEV_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint deploy/constraints.txt --editable '.[server,embedded,dev]'
	@touch $@

$(BENCH_STAMP): $(DEV_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint deploy/constraints.txt --editable '.[server,embedded,dev,bench]'
	@touch $@

install: $(STAMP)

install-dev: $(DEV_STAMP)

install-bench: $(BENCH_STAMP)

demo: install
	@$(BIN)/python examples/demo.py

up: install
	@exec $(BIN)/qmtl up

test: install-dev
	$(BIN)/pytest $(PYTEST_FLAGS)

test-real: install-dev
	QMTL_TEST_PROFILE=real $(BIN)/pytest $(PYTEST_FLAGS) tests/contract tests/integration

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install-bench
	$(BIN)/python -m tests.bench $(BENCH)

chaos: install-dev
	$(BIN)/python -m tests.chaos $(CHAOS)

clean:
	rm -rf build .qmtl
