# What a developer or an operator types. Everything runs in .venv, made on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DEV_INSTALLED := $(VENV)/installed-dev

.DEFAULT_GOAL := help
.PHONY: help up down status install install-service test check format bench-ingest bench-search clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

up: $(INSTALLED)  ## start Logray, wait until it is ready, print addresses and the API key
	@$(BIN)/logray up

down: $(INSTALLED)  ## stop it; everything is kept in data/
	@$(BIN)/logray down

status: $(INSTALLED)  ## what runs
	@$(BIN)/logray status

install: $(DEV_INSTALLED)  ## the virtual environment with everything that tests and checks need

install-service: $(INSTALLED)  ## the virtual environment with what the service needs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Logray needs Python 3.11 or newer, found " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV) || { echo 'cannot make $(VENV): on Debian, apt-get install python3-venv'; rm -rf $(VENV); exit 1; }

$(INSTALLED): pyproject.toml | $(VENV)/bin/python
	@echo 'installing dependencies (once)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(DEV_INSTALLED): pyproject.toml | $(VENV)/bin/python
	@echo 'installing dependencies and developer tools (once)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(INSTALLED)

test: $(DEV_INSTALLED)  ## every test, with real processes, sockets and clients
	@tests/install_clients
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(DEV_INSTALLED)  ## format, lint, types, structure
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_structure.py

format: $(DEV_INSTALLED)  ## rewrite the code in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

ARGS ?=
bench-ingest: $(DEV_INSTALLED)  ## ingest benchmark, on an instance of its own (ARGS="--rate 100000 --duration 300")
	@$(BIN)/python -m benchmarks.ingest $(ARGS)

ROWS ?= 20000000
bench-search: $(DEV_INSTALLED)  ## search benchmark (ROWS=20000000)
	@$(BIN)/python -m benchmarks.search --rows $(ROWS) $(ARGS)

clean:  ## remove the virtual environment and caches; data/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
