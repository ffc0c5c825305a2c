# Two commands for anybody with Python 3.11 and make: `make demo` and `make test`; `make golden` accepts
# the report's pages as they are now.

PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test check format golden clean

demo: .venv/ready
	$(BIN)/overpaint run demo
	@echo "The report: $(CURDIR)/runs/demo/site/index.html"

test: .venv/ready-dev
	$(BIN)/python -m pytest

check: .venv/ready-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: .venv/ready-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

golden: .venv/ready-dev
	$(BIN)/python tests/report/golden.py

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "overpaint needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/ready: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/ready-dev: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/ready

clean:
	rm -rf .venv runs artefacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
