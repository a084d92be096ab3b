# The project's tasks; `make help` lists them. Works with GNU make 3.81 (macOS) and later.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test bench servers lint format chaos clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: .venv/demo ## events on their way through ZeroMQ; needs nothing but Python
	$(BIN)/tidings demo

test: .venv/dev servers ## every test, against real servers
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

servers: ## install the servers that the tests start (root on Debian and Ubuntu; elsewhere a hint)
	@scripts/install-servers.sh

lint: .venv/dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev ## let ruff arrange the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chaos: .venv/dev servers ## the long form: kill, freeze and cut everything, again and again
	$(BIN)/python -m tests.chaos $(CHAOS_OPTIONS)

bench: .venv/dev servers ## speed beside the bare wire and other libraries; see benchmarks/README.md
	@$(BIN)/python -m benchmarks $(or $(BENCH),all)

clean: ## remove the virtual environment and everything that was built
	rm -rf .venv benchmarks/.venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Marks of what .venv holds: whoever can test can run the demo, too. Editable, so that the
# environment never lags behind the sources.
.venv/demo: pyproject.toml
	@PYTHON='$(PYTHON)' scripts/make-venv.sh --editable '.[zeromq]'
	@touch $@

.venv/dev: pyproject.toml
	@PYTHON='$(PYTHON)' scripts/make-venv.sh --editable '.[all,postgresql,mysql,async,dev]'
	@touch $@ .venv/demo
