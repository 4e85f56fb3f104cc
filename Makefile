# Every target makes what it needs: on a fresh machine `make demo` or `make test` is the first command.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint types imports check bench-peers wheel-test clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed ## Make the virtual environment and install llmforge, pinned and tested versions

# torch comes first and pinned: a range asked for by another package could bring gigabytes of GPU libraries.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: setup ## From nothing to a trained model that writes text, in minutes, without a GPU
	PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/demo.sh

test: setup ## Run the default tests (minutes)
	$(BIN)/python -m pytest

test-slow: setup ## Run the tests that take longer
	$(BIN)/python -m pytest -m slow --durations=25

lint: setup ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types
	$(BIN)/mypy

imports: setup ## Check that rooms import downwards only
	$(BIN)/lint-imports

check: lint types imports test test-slow ## Exactly what CI runs

bench-peers: .venv-peers/.installed ## Make .venv-peers with the tools that benchmarks compare with

.venv-peers/.installed: scripts/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

wheel-test: setup ## Build the wheel, install it apart, and prove that it works outside the checkout
	sh scripts/wheel_test.sh "$(CURDIR)/$(BIN)"

clean: ## Remove what the demo and the tests made (runs and sample data)
	rm -rf runs sample-data build dist
