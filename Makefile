# Two commands: `make run` starts everything, `make test` proves it. Both need python3 >= 3.11 with venv, and nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Two processes a core, for tests wait as often as they work; which runs which file: tests/support/scheduling.py.
CORES   = --numprocesses $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))') --maxprocesses 8 --dist loadfile --no-loadscope-reorder
PINNED := uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11

# Compiled once, not by each of many processes, whatever the machine says; what does not wait for another runs beside it.
export PYTHONDONTWRITEBYTECODE :=
MAKEFLAGS += --jobs=2

.PHONY: setup compiled run test test-fast lint bench bench-console screenshots lock audit clean

setup: $(VENV)/.ready  ## the virtual environment with the pinned dependencies

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Connect needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: setup  ## everything in one terminal; ARGS="--demo" for a site with a dozen clients
	$(BIN)/connect up $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

compiled: setup
	@test -d tests/__pycache__ || $(BIN)/python -m pytest --collect-only --quiet >/dev/null || true  # what is wrong, the run itself says

test: lint compiled  ## ruff, mypy --strict, import-linter, pytest; ARGS="-k suspend" for some of it
	$(BIN)/python -m pytest $(CORES) $(ARGS)

test-fast: lint  ## linters, workflows, replay, architecture, tests beside what was touched; no browser, system or fault; SINCE=commit
	$(BIN)/python -m pytest $(CORES) $$($(BIN)/python .ci/touched.py $(SINCE)) $(ARGS)

bench: setup  ## the speed of a change beside its floors, in one run
	$(BIN)/python -m bench $(ARGS)

bench-console: setup  ## the Clients page over 100,000 clients; ARGS=--quick for fewer
	$(BIN)/python -m bench.console $(ARGS)

screenshots: setup  ## docs/screenshots/ anew, of the demonstration; needs Chromium
	$(BIN)/python -m tests.browser.screenshots

lock:  ## write the pins anew, of everything and of what runs alone; needs uv (pip install uv)
	$(PINNED) --extra local --extra dev pyproject.toml -o requirements.lock
	$(PINNED) --constraint requirements.lock pyproject.toml -o requirements-run.lock

audit:  ## hold every pin against a list of known vulnerabilities; ARGS="--vulnerability-service osv" for another list
	$(PYTHON) .ci/audit.py $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
