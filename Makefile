# The project's tasks; `make help` lists them. Works with GNU make 3.81 (macOS) and later.

PYTHON ?= python3
BIN := .venv/bin
# They mostly wait for servers, of which each process starts its own. The quick ones start none.
TEST_PROCESSES ?= 4
QUICK_PROCESSES ?= 6
# As they are collected: with the files of many tests first, those of few long ones would be last.
BY_FILE := --dist loadfile --no-loadscope-reorder
QUICK := 'not (server or slow or chaos or idle or packaging or chaos_long)'

.PHONY: help demo test quick coverage matrix bench servers lint format docs release chaos planted clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: .venv/demo ## events on their way through ZeroMQ; needs nothing but Python
	$(BIN)/tidings demo

test: .venv/dev servers ## every test, against real servers
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) $(BY_FILE) $(PYTEST_OPTIONS)

quick: .venv/dev ## the tests that need no server and take no long time
	$(BIN)/python -m pytest --numprocesses $(QUICK_PROCESSES) $(BY_FILE) -m $(QUICK) $(PYTEST_OPTIONS)

coverage: .venv/dev ## which lines the quick tests run: a report, no threshold
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m $(QUICK) $(PYTEST_OPTIONS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

servers: ## install the servers that the tests start (root on Debian and Ubuntu; elsewhere a hint)
	@scripts/install-servers.sh

lint: .venv/dev ## ruff, mypy, spelling, and what .editorconfig wants
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python scripts/check_editorconfig.py

format: .venv/dev ## let ruff arrange the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/docs ## the documentation as a site, into build/docs; a dead link is a failure
	@$(BIN)/python -m scripts.site

release: .venv/dev ## build a release into dist, and try it; publishes nothing (docs/releasing.md)
	@$(BIN)/python -m scripts.release $(RELEASE_OPTIONS)

matrix: .venv/dev servers ## every test on Debian 12, 13 and unstable, and on the lowest libraries (root)
	@$(BIN)/python -m tests.matrix $(MATRIX_OPTIONS)

planted: .venv/dev servers ## how many of the faults planted into an example the suites notice
	$(BIN)/python -m tests.testing.play

chaos: .venv/dev servers ## the long form: kill, freeze and cut everything, again and again
	$(BIN)/python -m tests.chaos $(CHAOS_OPTIONS)
	$(BIN)/python -m tests.chaos.parted
	$(BIN)/python -m pytest -m chaos_long

bench: .venv/dev servers ## speed beside the bare wire and other libraries; see benchmarks/README.md
	@$(BIN)/python -m benchmarks $(or $(BENCH),all)

clean: ## remove the virtual environment and everything that was built
	rm -rf .venv .matrix benchmarks/.venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Marks of what .venv holds: whoever can test can run the demo, too. Editable, so that the
# environment never lags behind the sources.
.venv/demo: pyproject.toml
	@PYTHON='$(PYTHON)' scripts/make-venv.sh --editable '.[zeromq]'
	@touch $@

.venv/dev: pyproject.toml
	@PYTHON='$(PYTHON)' scripts/make-venv.sh --editable '.[all,postgresql,mysql,async,dev]'
	@touch $@ .venv/demo .venv/docs

.venv/docs: pyproject.toml
	@PYTHON='$(PYTHON)' scripts/make-venv.sh --editable '.[docs]'
	@touch $@
