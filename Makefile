# A fresh machine needs Python 3.11 or newer and make; `make demo` and `make test` do the rest.
#
#   make PYTHON=/usr/bin/python3.12 ...   which Python makes .venv (default: the first good one of python3, python3.13, ...)
#   make test SUITES="rules stages"       only some suites; make bench ROWS="..." only some rows
#   BUDGET_FACTOR=3 make test             a slower machine: three times the time for every suite

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.mailcanary-installed
PYTHON ?=
SUITES ?=
ROWS   ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types contracts real bench format constraints clean

help: ## this list
	@echo "mailcanary: make TARGET"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  %-14s %s\n' $$name "$$text"; done

demo: $(STAMP) ## the main job on an embedded mail world, in under a minute
	@$(BIN)/mailcanary demo

test: $(STAMP) ## every test suite, each with its time and its time budget
	@$(BIN)/python .ci/suites.py $(SUITES)

check: lint types contracts ## ruff, mypy --strict and the import contracts

lint: $(STAMP) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP) ## mypy --strict
	@$(BIN)/mypy
	@$(BIN)/mypy bench .ci/suites.py

contracts: $(STAMP) ## the import contracts of pyproject.toml
	@$(BIN)/lint-imports

real: $(STAMP) ## only the suite on real servers (Postfix, Dovecot, Alertmanager, Prometheus, the image)
	@$(BIN)/python .ci/suites.py real

bench: $(STAMP) ## benchmarks beside a raw client in the same run; ROWS=page and ROWS=soak take longer
	@$(BIN)/python -m bench $(ROWS)

format: $(STAMP) ## write the code as ruff formats it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

constraints: $(STAMP) ## pin every dependency anew into .ci/constraints.txt
	@rm -rf build/pin && $(BIN)/python -m venv build/pin
	@echo "resolving and hashing every dependency: some minutes ..."
	@build/pin/bin/python -m pip install -q --disable-pip-version-check pip-tools
	@build/pin/bin/pip-compile --quiet --upgrade --generate-hashes --all-extras --strip-extras --allow-unsafe --no-header --no-annotate \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file build/pin/pinned.txt pyproject.toml
	@{ sed '/^[^#]/,$$d' .ci/constraints.txt; cat build/pin/pinned.txt; } > build/pin/constraints.txt
	@mv build/pin/constraints.txt .ci/constraints.txt && rm -rf build/pin
	@echo "pinned $$(grep -c '==' .ci/constraints.txt) packages; now: make test"

clean: ## remove .venv and every cache
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Done once, and again when the pins or the project's metadata change. Only files of the registry whose hashes stand in the pins are taken.
$(STAMP): .ci/constraints.txt pyproject.toml
	@good='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
	if ! $(BIN)/python -c "$$good" 2>/dev/null; then \
	  for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    if "$$python" -c "$$good" 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "mailcanary needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv); $(or $(PYTHON),python3) is: $$($(or $(PYTHON),python3) --version 2>&1 | head -1). Name another one: make PYTHON=/path/to/python3.11" >&2; \
	    exit 2; \
	  fi; \
	  echo "making $(VENV) with $$("$$found" --version) ..."; \
	  "$$found" -m venv --clear $(VENV) || exit 1; \
	fi
	@echo "installing $$(grep -c '==' .ci/constraints.txt) pinned packages into $(VENV): once, about a minute ..."
	@quiet=-q; if [ -t 1 ]; then quiet=; fi; \
	$(BIN)/python -m pip install $$quiet --disable-pip-version-check --no-input --require-hashes -r .ci/constraints.txt && \
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@touch $(STAMP)
	@echo "installed: $$($(BIN)/mailcanary --version)"
