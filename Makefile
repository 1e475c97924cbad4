# `make` alone lists the targets. Everything is installed into .venv and .cache of this folder, nothing elsewhere.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
WORKERS ?= auto
ARGS ?=
# kubectl and the other programs of the virtual environment come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast bench generate verify lint format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | sed -E 's/:.*?## /\t/' | expand -t 14

setup: $(STAMP) ## Make the virtual environment

$(STAMP): pyproject.toml scripts/setup-venv
	@scripts/setup-venv $(PYTHON) $(VENV)
	@touch $(STAMP)

demo: $(STAMP) ## Run the whole thing on this machine: no cluster, no Docker (ARGS=--exit-when-done)
	@$(BIN)/anomaly demo $(ARGS)

test: $(STAMP) ## Run every check and test
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports >/dev/null || $(BIN)/lint-imports
	@$(BIN)/python -m tests.support.debian_packages
	@$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

test-fast: $(STAMP) ## Run the tests that need no other processes
	@$(BIN)/pytest -n 2 --dist loadgroup -q -m "not e2e and not slow" $(ARGS)

lint: $(STAMP) ## Lint, types, import floors
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(STAMP) ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

generate: $(STAMP) ## Write what is generated: crds/, docs
	@$(BIN)/python -m anomaly_operator.devtools.generate && $(BIN)/python -m tests.docs.metrics_page

verify: $(STAMP) ## Fail when something generated has drifted
	@$(BIN)/python -m anomaly_operator.devtools.generate --check

bench: $(STAMP) ## Measure quality and speed beside peers; writes benchmarks/results
	@$(BIN)/pip install --quiet --editable '.[bench]'
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove what setup and tests left
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
