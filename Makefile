# Two commands for anybody with Python 3.11 and make: `make demo` and `make test`; `make golden` accepts
# the report's pages as they are now. `make test-lowest` runs the tests with the lowest versions that
# pyproject.toml allows, `make test-wheel` the demonstration from a wheel; each in its own environment.
# `make zoo` tries every family of networks of timm and torchvision, for an hour or two: docs/zoo.md.

PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-lowest test-wheel check format golden zoo docs clean

demo: .venv/ready
	$(BIN)/overpaint run demo
	@echo "The report: $(CURDIR)/runs/demo/site/index.html"

test: .venv/ready-dev
	$(BIN)/python -m pytest

test-lowest: .venv-lowest/ready
	OVERPAINT_LOWEST=1 .venv-lowest/bin/python -m pytest --ignore=tests/report/test_browser.py

test-wheel:
	$(PYTHON) tests/packaging/wheel.py

check: .venv/ready-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: .venv/ready-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

golden: .venv/ready-dev
	$(BIN)/python tests/report/golden.py

zoo: .venv/ready-dev
	ACCELERATE_USE_CPU=true $(BIN)/python tests/networks/zoo_table.py

docs: .venv/ready-dev
	$(BIN)/python tests/records/folder_page.py

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "overpaint needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/ready: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	@touch $@

.venv/ready-dev: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/ready

.venv-lowest/ready: pyproject.toml tests/packaging/lowest.py
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tests/packaging/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --upgrade pip
	.venv-lowest/bin/python -m pip install --quiet --constraint .venv-lowest/lowest.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf .venv .venv-lowest runs artefacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
