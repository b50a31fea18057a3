# Everything runs in .venv, which is made from the lock file. A machine needs python3 (with venv) and make, no more.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo

.PHONY: setup demo lint test test-browser bench figures report docs reproduce lock clean

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/capsim run codebook --preset smoke --store $(DEMO)/store
	$(BIN)/capsim run heads --preset smoke --store $(DEMO)/store
	$(BIN)/capsim run grid --preset smoke --store $(DEMO)/store
	$(BIN)/capsim report --preset smoke --store $(DEMO)/store --out $(DEMO)/report

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The report in Chromium, which comes from the system (Debian: apt-get install chromium); only its driver is added here.
test-browser: .venv/browser
	$(BIN)/python -m pytest tests/browser

.venv/browser: .venv/installed tests/browser/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r tests/browser/requirements.lock
	touch $@

# PyTorch is only measured against: without it the table has empty columns. Its CPU build where pip finds one, else the
# package index's, which on Linux brings gigabytes of CUDA libraries; benchmarks/locks.py says more.
BENCH_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes

bench: .venv/bench
	$(BIN)/capsim bench

.venv/bench: .venv/installed requirements-bench.lock requirements-bench-cpu.lock
	if $(BENCH_INSTALL) -r requirements-bench-cpu.lock 2>/dev/null || $(BENCH_INSTALL) -r requirements-bench.lock; \
	then touch $@; else echo "PyTorch could not be installed: its columns of the table stay empty" >&2; fi

figures: setup
	$(BIN)/capsim figures all --out figures

report: setup
	$(BIN)/capsim report --out report

# The findings are made from results/ as the pages are built; a warning is an error.
docs: .venv/docs
	rm -rf docs/_build docs/api
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

.venv/docs: .venv/installed requirements-docs.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-docs.lock
	touch $@

reproduce: setup
	for study in $$($(BIN)/python -c "from experiments.studies.registry import STUDIES; print(*STUDIES)"); do \
		$(BIN)/capsim run $$study --preset laptop --store results || exit 1; done

lock: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra dev --extra dask --output-file requirements.lock pyproject.toml
	$(BIN)/python -m benchmarks.locks
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'], sep='\n')" \
		| $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
			--constraint requirements.lock --output-file requirements-docs.lock -
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--constraint requirements.lock --output-file tests/browser/requirements.lock tests/browser/requirements.in

clean:
	rm -rf .venv $(DEMO) figures report docs/_build docs/api docs/figures docs/findings.md
