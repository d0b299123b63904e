# Two lines to start:
#
#     make demo     from a file of quantum-chemistry results to infrared and Raman spectra, about ten minutes on two cores
#     make test     everything that must hold before a change is taken
#
# Each does all of its set-up: an environment in .venv with the versions of constraints.txt, nothing outside this
# folder (but Debian's Chromium for one test, where this runs as root). Run again, they start at once.

PYTHON ?= python3
VENV ?= .venv
# Where pip takes torch alone from; empty is pip's own default, which on Linux may be a large build for CUDA.
# For the small one give the index of CPU builds from PyTorch's install page: make demo TORCH_INDEX=<url>
TORCH_INDEX ?=
# Options of the demo, for example: make demo DEMO=--quick
DEMO ?=
# Options of pytest, for example: make test TESTS="tests/spectra -x"
TESTS ?=
# Test processes; each takes one thread.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n < 4 ? n : 4)))

SHELL := /bin/bash
BIN := $(VENV)/bin
# -m pip, not bin/pip: it works in every environment that has a pip
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUN_STAMP := $(VENV)/.equipot-run
DEV_STAMP := $(VENV)/.equipot-dev
UNFINISHED := $(VENV)/.equipot-unfinished
export PYTHONUTF8 := 1

# An environment counts as made when its Python is recent, has pip, was finished, and was finished in this folder.
# What an interrupted run or a moved folder left is made anew.
USABLE := $(shell [ ! -e $(UNFINISHED) ] && \
	$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	{ [ ! -e $(RUN_STAMP) ] || [ "$$(cat $(RUN_STAMP))" = "$(CURDIR)" ]; } && echo yes)
ifneq ($(USABLE),yes)
$(shell rm -f $(RUN_STAMP) $(DEV_STAMP))
endif

.DEFAULT_GOAL := help
.PHONY: help demo test lint format browser wheel constraints clean distclean

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

demo: $(RUN_STAMP)  ## the whole way on the shipped molecule: inspect, train, verify, dynamics, spectra, report
	$(BIN)/equipot demo $(DEMO)

test: $(DEV_STAMP) browser lint  ## style, types, one-way imports, and every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

lint: $(DEV_STAMP)  ## style, types and one-way imports only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(DEV_STAMP)  ## put the code into the style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The report is opened in a real browser. Without one that test is skipped, with a message.
browser:
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the test of the report ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			chromium chromium-driver >/dev/null || echo "Chromium could not be installed: the browser test is skipped."; \
	else echo "No Chromium and no right to install it: the browser test is skipped."; fi

wheel: $(DEV_STAMP)  ## a wheel in dist/
	rm -rf build  # setuptools would ship what it finds there
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

constraints: $(DEV_STAMP)  ## write the versions of this environment into constraints.txt
	{ sed -n '/^#/p' constraints.txt; $(PIP) freeze --exclude-editable | sed 's/+[^ ]*$$//'; } > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove what tests and builds left
	rm -rf build dist .pytest_cache .ruff_cache .import_linter_cache src/*.egg-info
	find src tests benchmarks examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove the environment as well
	rm -rf $(VENV)

# torch first and alone: its index may be another one than that of everything else
$(RUN_STAMP): pyproject.toml constraints.txt
ifneq ($(USABLE),yes)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) --version): equipot needs Python 3.11 or newer. Name one: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $(UNFINISHED)
endif
	$(PIP) install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $$(grep '^torch==' constraints.txt)
	$(PIP) install --quiet -c constraints.txt -e .
	@rm -f $(UNFINISHED)
	@echo "$(CURDIR)" > $@

$(DEV_STAMP): $(RUN_STAMP)
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
