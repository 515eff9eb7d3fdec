# Everything from a bare machine: Python 3.11 or newer, git and make.
#
#   make demo     train on bundled photon showers, sample, evaluate
#   make test     the whole test suite
#   make check    lint, format, types, tests
#
# TORCH_INDEX=URL  where torch comes from, instead of pip's own index, such as
#                  https://download.pytorch.org/whl/cpu (small) or https://download.pytorch.org/whl/cu126
# PYTHON=...       which Python builds the environment;  VENV=... where it is built
# JOBS=N           how many processes run the tests

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
TORCH_INDEX ?=
JOBS ?= $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())")
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --constraint constraints.txt
SOURCES := hepgen tests $(wildcard benchmarks) $(wildcard examples) $(wildcard docs)

.PHONY: venv test demo lint format types check clean
.DEFAULT_GOAL := check

# what running needs; each stamp is older than pyproject.toml or constraints.txt only if it has to be made again
$(VENV)/run.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --quiet "pip>=25.1"
ifneq ($(TORCH_INDEX),)
	$(PIP) --no-deps --index-url $(TORCH_INDEX) torch
endif
	$(PIP) --editable .
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(PIP) --group test
	touch $@

$(VENV)/lint.stamp: $(VENV)/test.stamp
	$(PIP) --group lint
	touch $@

venv: $(VENV)/lint.stamp

demo: $(VENV)/run.stamp
	HEPGEN=$(BIN)/hepgen bash examples/demo.sh demo

# one thread a process: the processes already fill the machine
test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

format: $(VENV)/lint.stamp
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

types: $(VENV)/lint.stamp
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find hepgen tests -name __pycache__ -type d -prune -exec rm -rf {} +
