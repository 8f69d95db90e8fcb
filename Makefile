# Two targets do everything: `make repro` rebuilds every result, `make test` checks the code.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# DVC starts `python` and `dvc` from PATH, so the environment has to come first on it.
RUN    := PATH="$(CURDIR)/$(BIN):$$PATH"
LOCK   := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
          --generate-hashes --no-header --no-annotate

RECIPE ?= default
N      ?= 3
FIRST  ?= 0
GRID   ?= studies/article.yaml
RUNS   ?= HEAD workspace
SHOW   ?= recipe|seed|loss\.alpha|augment\.ops|acc|nmi|over_acc
JOBS   ?= 1
AGAIN  ?=

.DEFAULT_GOAL := help
.PHONY: help repro test test-long test-remotes test-cluster test-export remotes cluster exporters lint format recipe seeds study show compare bench chaos audit docs readme lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

repro: $(VENV)/.run ## install, then rebuild every output that is out of date
	@export $(RUN); python -m iic.experiments.repair && dvc repro

test: $(VENV)/.dev ## install, then lint, type-check and run the tests
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) pytest -n 2 --dist worksteal

test-long: $(VENV)/.dev ## the few tests that take as long as a third of all others
	@$(RUN) pytest -n 2 --dist worksteal -m long

test-remotes: $(VENV)/.dev $(VENV)/.remotes ## push and pull through real servers (see docs/sharing.md)
	@$(RUN) pytest -n 2 --dist worksteal -m remotes

remotes: $(VENV)/.remotes ## install what DVC needs for SSH, S3 and WebDAV remotes

test-cluster: $(VENV)/.dev $(VENV)/.cluster ## sweep over a cluster of network namespaces (as root)
	@$(RUN) pytest -m cluster

cluster: $(VENV)/.cluster ## install Ray, for sweeps (see docs/scaling.md)

test-export: $(VENV)/.dev $(VENV)/.export ## export to ONNX and LiteRT, and run what comes out
	@$(RUN) pytest -m exporters

exporters: $(VENV)/.export ## install the converters to ONNX and LiteRT (see docs/export.md)

lint: $(VENV)/.dev ## lint and type-check only
	@$(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) mypy

format: $(VENV)/.dev ## format the code and apply safe lint fixes
	@$(RUN) ruff check --fix . ; $(RUN) ruff format .

recipe: $(VENV)/.run ## run RECIPE, a file in recipes/, as the DVC experiment of that name
	@export $(RUN); options=$$(python -m iic.experiments.recipes $(RECIPE)) && \
	  { dvc exp remove --quiet $(RECIPE) 2>/dev/null || true; } && \
	  dvc exp run --temp --name $(RECIPE) $$options

seeds: $(VENV)/.run ## run N seeds from FIRST of RECIPE; add them to reports/seeds/RECIPE.csv
	@$(RUN) python -m iic.experiments.seeds --recipe $(RECIPE) --first $(FIRST) --count $(N) $(if $(AGAIN),--again)

study: $(VENV)/.run ## run what is missing of GRID, a file in studies/, JOBS at a time; write a page
	@$(RUN) python -m iic.experiments.study $(GRID) --jobs $(JOBS) $(if $(AGAIN),--again)

show: $(VENV)/.run ## list the experiments on HEAD, the most accurate first, by the columns in SHOW
	@$(RUN) dvc exp show --hide-workspace --drop '.*' --keep '^(Experiment|$(SHOW))$$' \
	  --sort-by acc --sort-order desc

compare: $(VENV)/.run ## write reports/compare.html about RUNS, two or more experiments or commits
	@$(RUN) python -m iic.experiments.compare $(RUNS)

bench: $(VENV)/.bench $(VENV)/.cluster ## measure recipes, stages and other methods side by side (about an hour)
	@$(RUN) python -m tools.bench.bench

chaos: $(VENV)/.dev ## try to break the pipeline, and count what is lost (an hour and a half)
	@$(RUN) python -m tools.chaos.campaigns

audit: $(VENV)/.audit ## ask for known advisories about all that is pinned (needs the network)
	@$(RUN) python -m tools.docs.audit

docs: $(VENV)/.docs ## build the documentation site, docs/_build/index.html; warnings are errors
	@rm -rf docs/_build
	@$(RUN) sphinx-build --quiet --fail-on-warning docs docs/_build
	@echo docs/_build/index.html

readme: $(VENV)/.run ## rewrite the generated parts of README.md
	@$(RUN) python -m tools.docs.readme

lock: ## pin the requirements again (needs uv; see CONTRIBUTING.md)
	$(LOCK) pyproject.toml -o requirements/run.txt
	$(LOCK) --group dev -c requirements/run.txt -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra remotes -c requirements/run.txt -o requirements/remotes.txt
	$(LOCK) pyproject.toml --extra cluster -c requirements/run.txt -o requirements/cluster.txt
	$(LOCK) pyproject.toml --extra export -c requirements/run.txt -o requirements/export.txt
	$(LOCK) --group bench -c requirements/run.txt -o requirements/bench.txt
	$(LOCK) --group audit -c requirements/run.txt -c requirements/dev.txt -o requirements/audit.txt
	$(LOCK) --group docs -c requirements/run.txt -c requirements/dev.txt -o requirements/docs.txt

clean: ## remove the environment and caches of tools, but no result
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build docs/_build docs/api dvclive iic.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; ok = (3, 11) <= v < (3, 14); \
	  sys.exit(0 if ok else "Python 3.11 to 3.13 is needed, %s is %d.%d; choose one: make PYTHON=python3.12" % (sys.executable, *v))'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev $(VENV)/.bench $(VENV)/.remotes $(VENV)/.cluster $(VENV)/.export $(VENV)/.audit: $(VENV)/.%: $(VENV)/.run requirements-%.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-$*.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.run requirements/docs.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@
