# make reproduce   the default experiment and its report, from nothing but Python >= 3.11
# make test        lint and tests
# make study       the full study, part by part (presets/study-*.yaml), each with its snapshot;
#                  make study-theory is one part, and so is every preset with a family's name
# make claims      the published claims about single images, part by part (presets/claims-*.yaml), likewise
# make controls    what in score embedding does what: controls of it, part by part, likewise (make rates before)
# make quality     generation judged to the end, part by part (presets/quality-*.yaml), likewise
# make list        what the papers of the list are judged by, part by part (presets/list-*.yaml), likewise
# make generation  training and generation in depth (presets/generation.yaml)
# make snapshot    any other part: make snapshot PART=mine PRESETS="presets/blank.yaml mine.yaml"
# make redraw      the figures of docs/results/ again, from its tables
#
# A part keeps its tables, figures and a record of every run in docs/results/ and leaves the other
# parts alone. A run whose record depends on the same code and parameters counts as finished, so that
# a study goes on where another machine left it: FRESH=1 measures everything here, as does Snakemake
# with the preset alone. Ratios of times pair runs of one machine only.
#
# Each of them first makes .venv from envs/requirements.lock, unless that has been done.
# Options: CORES=4 (default: all), FRESH=1, PYTHON=/path/to/python3.12, ARGS="--config random_seeds=[1,2]".

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# A run starts Python hundreds of times; without kept bytecode every start compiles the library again.
unexport PYTHONDONTWRITEBYTECODE

# The first Python that is new enough; empty if there is none.
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$name && break; \
	done; true)
CORES ?= all
ARGS ?=
# Set to measure everything again, whatever has been kept.
FRESH ?=
# The part of docs/results/ that `make snapshot` writes, its presets, and what it names as the origin.
PART ?= default
PRESETS ?=
COMMAND ?= make snapshot PART=$(PART)

# The parts of a family, presets that lie on presets/blank.yaml: $(call parts,study) is study-engine, study-frontier …
parts = $(basename $(notdir $(sort $(wildcard presets/$(1)-*.yaml))))
CLAIMS_PARTS := $(call parts,claims)
ON_BLANK := $(call parts,study) $(call parts,quality) $(call parts,list)

# Parts of the controls, one after the other; the rest comes after them, with what compares them.
CONTROLS_PARTS ?= controls-scaled controls-published controls-published-quiet
CONTROLS = presets/blank.yaml presets/learning-rates.yaml presets/controls.yaml
RATES = presets/blank.yaml presets/controls-rates.yaml

LOCK := envs/requirements.lock
BIN := .venv/bin
# Named after what is installed: another lock or another package, another installation.
STAMP := .venv/.installed-$(shell cat $(LOCK) pyproject.toml | cksum | cut -d ' ' -f 1)
# Test files side by side, each file in one process; empty: one after the other.
TEST_WORKERS ?= --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
# What runs the tests on a Slurm: a Python that has snakemake-executor-plugin-slurm too, which is not pinned.
CLUSTER_PYTHON ?= $(BIN)/python
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) $(ARGS)

.PHONY: help environment reproduce study quality list $(ON_BLANK) claims $(CLAIMS_PARTS) controls rates generation snapshot redraw numbers ready-made demo test test-cluster lint format keys pins clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

environment: $(STAMP) ## make .venv from the exact pins

$(STAMP):
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  echo "Python 3.11 or newer is needed, but $${PYTHON:-$$(python3 --version 2>&1 || true)} was found:" \
	    "install it, or name it with make PYTHON=/path/to/python." >&2; exit 1; fi
	@echo "Installing the pinned packages into .venv (a few minutes, once)."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@rm -f .venv/.installed-*
	@touch $@

reproduce: $(STAMP) ## run the default experiment and write results/report.html
	$(SNAKEMAKE)
	$(SNAKEMAKE) --report results/report.html

study: $(call parts,study) ## run the full study (it continues where it was stopped) and keep its results

quality: $(call parts,quality) ## judge generation to the end (it continues too) and keep the results

list: study-samplers $(call parts,list) ## measure what the papers of the list claim (it continues too) and keep the results

# one part after the other, even with -j: their times are measured
.NOTPARALLEL:
$(ON_BLANK):
	$(MAKE) snapshot PART=$@ PRESETS="presets/blank.yaml presets/$@.yaml" COMMAND="make $@$(if $(FRESH), FRESH=1)"

claims: $(CLAIMS_PARTS) ## run the published claims about single images (it continues too) and keep the results

$(CLAIMS_PARTS):
	$(MAKE) snapshot PART=$@ \
	  PRESETS="presets/blank.yaml presets/learning-rates.yaml presets/claims.yaml presets/$@.yaml" \
	  COMMAND="make $@$(if $(FRESH), FRESH=1)"

generation: ## train and sample in depth, with several seeds, and keep the results
	$(MAKE) snapshot PART=generation PRESETS="presets/blank.yaml presets/generation.yaml" \
	  COMMAND="make generation$(if $(FRESH), FRESH=1)"

controls: ## run the controls of score embedding (it continues where it was stopped) and keep the results
	for part in $(CONTROLS_PARTS); do \
	  $(MAKE) snapshot PART=controls PRESETS="$(CONTROLS) presets/$$part.yaml" \
	    COMMAND="make controls$(if $(FRESH), FRESH=1)" || exit 1; done
	$(MAKE) snapshot PART=controls PRESETS="$(CONTROLS)" COMMAND="make controls$(if $(FRESH), FRESH=1)"
	$(MAKE) snapshot PART=controls-budget PRESETS="$(CONTROLS) presets/controls-budget.yaml" \
	  COMMAND="make controls$(if $(FRESH), FRESH=1)"

rates: ## compare learning rates on images that are not judged, for presets/learning-rates.yaml
	$(MAKE) snapshot PART=learning-rates PRESETS="$(RATES)" COMMAND="make rates$(if $(FRESH), FRESH=1)"
	$(MAKE) snapshot PART=learning-rates-drawn PRESETS="$(RATES) presets/controls-rates-drawn.yaml" \
	  COMMAND="make rates$(if $(FRESH), FRESH=1)"

snapshot: CONFIGFILES = $(PRESETS) $(if $(FRESH),,presets/records.yaml)
snapshot: $(STAMP) ## run PRESETS and keep tables, figures and records as PART of docs/results/
	$(BIN)/snakemake all records --cores $(CORES) $(ARGS) $(if $(strip $(CONFIGFILES)),--configfile $(CONFIGFILES))
	$(BIN)/python -m crosskrylov.reporting.snapshot --part "$(PART)" --command "$(COMMAND)"

redraw: $(STAMP) ## draw the figures of docs/results/ again from its tables, numbers untouched
	$(BIN)/python -m crosskrylov.reporting.snapshot --redraw

numbers: $(STAMP) ## write the measured numbers of README and docs again from docs/results/tables
	$(BIN)/python -m crosskrylov.reporting.numbers
	$(BIN)/python -m crosskrylov.reporting.papers_page

demo: $(STAMP) ## one picture of the whole idea: results/demo.png
	OMP_NUM_THREADS=1 $(BIN)/python -m crosskrylov demo -o results/demo.png

ready-made: $(STAMP) ## train and pack the ready-made networks again
	$(BIN)/snakemake budget results/config.yaml --cores 1 $(ARGS) --configfile presets/blank.yaml presets/ready-made.yaml
	$(BIN)/python -m crosskrylov.reporting.ready_made digits --command "make ready-made"
	$(BIN)/snakemake budget results/config.yaml --cores 1 $(ARGS) --configfile presets/blank.yaml presets/ready-made.yaml presets/ready-made-photographs.yaml
	$(BIN)/python -m crosskrylov.reporting.ready_made photographs --command "make ready-made"

test: lint ## lint, then run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TEST_WORKERS)

test-cluster: $(STAMP) ## run the workflow on a Slurm of three nodes on this machine, with faults
	OMP_NUM_THREADS=1 $(CLUSTER_PYTHON) -m pytest tests/cluster -v

lint: $(STAMP) ## check style, and which room imports which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports --no-logo --no-cache

format: $(STAMP) ## correct the style where that can be done by machine
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow

keys: $(STAMP) ## write the table of configuration keys, config/README.md
	$(BIN)/python -m crosskrylov.planning.key_table > config/README.md

pins: $(STAMP) ## write the pinned environments from what .venv holds
	$(BIN)/python envs/pin.py

clean: ## remove results and caches, keep .venv
	find results -mindepth 1 ! -name .gitkeep -delete
	rm -rf .snakemake .pytest_cache .ruff_cache .hypothesis
