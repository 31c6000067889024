# One command per job; each makes the virtual environment where it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# Whatever is installed, at build time too, has the versions of this file.
export PIP_CONSTRAINT := $(CURDIR)/constraints-dev.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-slow check format bench clean

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# Installed editable: Python files are used from src/, the kernel is built again when it changes.
$(INSTALLED): pyproject.toml constraints-dev.txt CMakeLists.txt $(wildcard native/*) $(wildcard src/fanin/streams/*.inc)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: $(INSTALLED)  ## Train real networks on real images from nine initializations
	$(BIN)/fanin compare --out fanin-compare

test: $(INSTALLED)  ## Run the tests (minutes)
	$(BIN)/pytest -n 2

test-slow: $(INSTALLED)  ## Run the heavier tests too
	$(BIN)/pytest -n 2 -m 'slow or not slow'

check: $(INSTALLED)  ## Format, lint and types, without changing a file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)  ## Format the sources and mend what lint can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)  ## Measure the speed of the streams beside torch, NumPy and MKL
	-$(BIN)/pip install --quiet mkl
	$(BIN)/python bench/streams.py

clean:  ## Remove the virtual environment and everything built
	rm -rf $(VENV) build dist
