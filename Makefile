# `make repro` rebuilds every result, `make test` checks the code. The command `iic` does the rest.
PYTHON ?= python3
# Optional requirements of `setup` and `test-extras`: remotes cluster export segmentation audit
EXTRAS ?=
VENV   := .venv
BIN    := $(VENV)/bin
# DVC finds `python` and `iic` on PATH, so the environment comes first there.
# DVC needs the user's name, which containers may not know.
RUN    := PATH="$(CURDIR)/$(BIN):$$PATH" USER="$${USER:-$$(id -un 2>/dev/null || echo me)}"
LOCK   := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
          --generate-hashes --no-header --no-annotate
# Options of pytest by optional requirement. Each test of a cluster uses all cores, so these run one
# at a time.
TESTS_remotes := -m remotes -n 2 --dist worksteal
TESTS_cluster := -m cluster
TESTS_export  := -m exporters
TESTED := $(or $(filter remotes cluster export,$(EXTRAS)),remotes cluster export)

.DEFAULT_GOAL := help
.PHONY: help setup repro segment test test-long test-extras lint format bench chaos readme lock docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.run $(EXTRAS:%=$(VENV)/.%) ## make .venv and install; EXTRAS="remotes cluster export segmentation audit" adds optional requirements

repro: $(VENV)/.run ## install, then rebuild every output that is out of date
	@export $(RUN); iic repair && dvc repro

segment: $(VENV)/.segmentation ## install, then rebuild the outputs of the segmentation pipeline
	@export $(RUN); iic repair --pipeline segmentation && dvc repro segmentation/dvc.yaml

test: lint ## install, lint, type-check and run the tests
	@$(RUN) pytest -n 2 --dist worksteal

test-long: $(VENV)/.dev ## run the tests that take minutes each
	@$(RUN) pytest -n 2 --dist worksteal -m long

test-extras: $(VENV)/.dev $(TESTED:%=$(VENV)/.%) ## run the tests of remotes, cluster and export; EXTRAS= restricts them
	@export $(RUN); $(foreach extra,$(TESTED),pytest $(TESTS_$(extra)) &&) true

lint: $(VENV)/.dev ## lint, check the format and type-check
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

format: $(VENV)/.dev ## format the code and apply safe lint fixes
	@$(RUN) ruff check --fix . ; $(RUN) ruff format .

bench: $(VENV)/.bench $(VENV)/.peers $(VENV)/.cluster ## measure recipes, stages and other methods (about five hours; installs 6 GB on Linux)
	@$(RUN) python -m tools.bench.bench

chaos: $(VENV)/.dev ## try to break the pipeline, and count what is lost (an hour and a half)
	@$(RUN) python -m tools.chaos.campaigns

docs: $(VENV)/.docs ## build the documentation site, docs/_build/index.html; warnings are errors
	@rm -rf docs/_build docs/jupyter_execute
	@$(RUN) sphinx-build --quiet --fail-on-warning docs docs/_build
	@echo docs/_build/index.html

readme: $(VENV)/.run ## rewrite the generated parts of README.md and docs/
	@$(RUN) python -m tools.docs.readme

lock: ## pin the requirements again (needs uv; see docs/CONTRIBUTING.md)
	$(LOCK) pyproject.toml -o requirements/run.txt
	$(LOCK) --group dev -c requirements/run.txt -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra remotes -c requirements/run.txt -o requirements/remotes.txt
	$(LOCK) pyproject.toml --extra cluster -c requirements/run.txt -o requirements/cluster.txt
	$(LOCK) pyproject.toml --extra export -c requirements/run.txt -o requirements/export.txt
	$(LOCK) pyproject.toml --extra segmentation -c requirements/run.txt -o requirements/segmentation.txt
	$(LOCK) --group bench -c requirements/run.txt -o requirements/bench.txt
	$(LOCK) --group peers -c requirements/run.txt -c requirements/dev.txt -c requirements/bench.txt -o requirements/peers.txt
	$(LOCK) --group audit -c requirements/run.txt -c requirements/dev.txt -o requirements/audit.txt
	$(LOCK) --group docs -c requirements/run.txt -c requirements/dev.txt -o requirements/docs.txt

clean: ## remove the environment and caches of tools, but no result
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build docs/_build docs/api docs/jupyter_execute dvclive iic.egg-info

# Why $(VENV), if there is one, must be made anew: half-made, without its Python, moved or copied.
CHECK = if [ -e $(VENV) ] || [ -L $(VENV) ]; then $(BIN)/python -I tools/environment.py '$(ASKED)' \
        2>/dev/null || echo its Python does not start; fi
ASKED := $(if $(filter command environment,$(origin PYTHON)),$(PYTHON))
FAULT := $(if $(filter-out help lock clean,$(MAKECMDGOALS)),$(shell $(CHECK)))
ifneq ($(FAULT),)
.PHONY: $(BIN)/python
endif

$(BIN)/python:
	$(if $(FAULT),$(info $(VENV) is made anew: $(FAULT)))
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; ok = (3, 11) <= v < (3, 14); \
	  sys.exit(0 if ok else "Python 3.11 to 3.13 is needed, %s is %d.%d; choose one: make PYTHON=python3.12" % (sys.executable, *v))'
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# An empty file in $(VENV) for each file of requirements that is installed there.
$(VENV)/.run: $(BIN)/python requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.%: requirements/%.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@touch $@
