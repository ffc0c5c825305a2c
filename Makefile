# Two commands for anybody with Python 3.11 and make: `make demo` and `make test`; `make golden` accepts
# the report's pages as they are now. `make test-lowest` runs the tests with the lowest versions that
# pyproject.toml allows, `make test-wheel` the demonstration from a wheel; each in its own environment.
# `make dist` builds the wheel and the source distribution.
# `make bench` measures overpaint beside its peers for a quarter of an hour: docs/performance.md; on a
# machine that does nothing else. PICTURES=FOLDER trains on the JPEG files there, TIMM=FILE has timm's own
# training script run too. `make audit` looks for known holes in what is installed, and at licences.
# `make zoo` tries every family of networks of timm and torchvision, for an hour or two: docs/zoo.md.
# `make docs` writes the pages that are made from the code, and builds all into build/docs.

PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-lowest test-wheel check format golden zoo bench audit docs dist clean

demo: .venv/ready
	$(BIN)/overpaint run demo
	@echo "The report: $(CURDIR)/runs/demo/site/index.html"

# Threads of one file's tests in the way of another's would slow both tenfold.
test: export OMP_NUM_THREADS = 1
test: export MKL_NUM_THREADS = 1
test: .venv/ready-dev
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile

test-lowest: .venv-lowest/ready
	OVERPAINT_LOWEST=1 .venv-lowest/bin/python -m pytest --ignore=tests/report/test_browser.py

test-wheel: dist
	$(PYTHON) tests/packaging/wheel.py

dist: .venv-build/ready
	rm -rf dist
	.venv-build/bin/python -m build --quiet

check: .venv/ready-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: .venv/ready-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

golden: .venv/ready-dev
	$(BIN)/python tests/report/golden.py

zoo: .venv/ready-dev
	ACCELERATE_USE_CPU=true $(BIN)/python tests/networks/zoo_table.py

bench: .venv-bench/ready
	.venv-bench/bin/python benchmarks/all.py $(if $(PICTURES),--pictures $(PICTURES)) $(if $(TIMM),--timm $(TIMM))

audit: .venv/ready .venv-audit/ready
	$(BIN)/python tests/packaging/audit.py --pip-audit .venv-audit/bin/pip-audit

docs: .venv/ready-dev
	$(BIN)/python tests/records/folder_page.py
	$(BIN)/python tests/docs/commands_page.py
	$(BIN)/python tests/docs/cka_conformance.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "The documentation: $(CURDIR)/build/docs/index.html"

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

# What .venv has is seen from here, for torch alone is gigabytes; only the peers are installed anew.
.venv-bench/ready: .venv/ready benchmarks/peers.txt
	rm -rf .venv-bench
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --no-deps --requirement benchmarks/peers.txt
	place() { $$1/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }; \
	  echo "import site; site.addsitedir('$$(place .venv)')" > "$$(place .venv-bench)/overpaint.pth"
	@touch $@

.venv-build/ready:
	rm -rf .venv-build
	$(PYTHON) -m venv .venv-build
	.venv-build/bin/python -m pip install --quiet build
	@touch $@

.venv-audit/ready:
	rm -rf .venv-audit
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit
	@touch $@

clean:
	rm -rf .venv .venv-lowest .venv-bench .venv-audit .venv-build dist runs artefacts build .pytest_cache .mypy_cache .ruff_cache .hypothesis
