# make demo    the daemon against the built-in sandbox; the first URL printed is the dashboard's
# make test    every test; ARGS="-k storm" for some, one after the other
# make check   format, lint, types, and the quick tests
# make bench   the figures beside their limits, and docs/performance.md; ONLY=writes for one of them
# make flame   where the busiest minute of 10,000 agents goes: docs/flame.svg
# make bench-dispatch  how well the requests are spent, beside the best that could be done, and docs/dispatch.md
# make bench-agents  what one process costs by the number of its agents, put into docs/living.md
# make pictures  the manual's pictures and its recording, by a headless Chromium
# make manual  what the manual says of commands and settings, from the program: man pages, settings, completions
# make lock    after a change of dependencies: uv.lock, and the same versions with hashes for pip

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PYTHON ?= python3

# What tests take from npm; without npm they skip, loudly.
NPM := $(if $(shell command -v npm 2>/dev/null),node_modules/.package-lock.json)

.PHONY: demo test check lint types format bench flame bench-dispatch bench-agents pictures manual lock clean

demo: $(VENV)/.demo
	@$(BIN)/calsyncd demo $(if $(SECONDS),--seconds $(SECONDS))

# Most tests wait for most of their time: two processes share them, and then come those that bear nobody beside them.
test: $(VENV)/.test $(NPM)
ifeq ($(ARGS),)
	@status=0; set -x; \
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not alone" || status=1; \
	$(BIN)/python -m pytest -m alone || status=1; \
	exit $$status
else
	$(BIN)/python -m pytest $(ARGS)
endif

check: lint types
	$(BIN)/python -m pytest --ignore=tests/acceptance --ignore=tests/demo $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.demo
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

flame: $(VENV)/.demo .venv-tools/flame/.done
	$(BIN)/python -m benchmarks.flame --py-spy .venv-tools/flame/bin/py-spy $(ARGS)

# What only a make target needs is beside the environment.
.venv-tools/flame/.done: requirements/tools-flame.txt
	@$(PYTHON) -m venv .venv-tools/flame
	@.venv-tools/flame/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools-flame.txt
	@touch $@

bench-agents: $(VENV)/.demo
	$(BIN)/python -m benchmarks.agents --docs $(ARGS)

bench-dispatch: $(VENV)/.test
	$(BIN)/python -m benchmarks.dispatch $(ARGS)

pictures: $(VENV)/.test
	$(BIN)/python -m tools.pictures

manual: $(VENV)/.test
	$(BIN)/python -m calsyncd.config.schema
	$(BIN)/python -m tools.manual

# With uv where it is, else with venv and pip: the same versions, by hash, from the same lock.
ifneq ($(UV),)
export UV_PYTHON_DOWNLOADS := never
$(VENV)/.demo: uv.lock pyproject.toml
	uv sync --frozen --inexact --quiet
	@touch $@
$(VENV)/.test: uv.lock pyproject.toml
	uv sync --frozen --inexact --quiet --group dev
	@touch $@ $(VENV)/.demo
else
$(VENV)/.demo: requirements/run.txt pyproject.toml
	@echo "Setting up $(VENV): this takes a minute"
	@$(PYTHON) -c 'import sys; sys.exit("calsyncd needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
$(VENV)/.test: $(VENV)/.demo requirements/test.txt
	@echo "Adding what the tests need to $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@
endif

node_modules/.package-lock.json: package-lock.json
	npm ci --silent --no-audit --no-fund
	@touch $@

# The two files for pip are derived: a test fails when they lag behind the lock.
lock:
	uv lock
	uv export --frozen --quiet --no-emit-project --no-header --no-annotate --output-file requirements/run.txt >/dev/null
	uv export --frozen --quiet --no-emit-project --no-header --no-annotate --group dev --output-file requirements/test.txt >/dev/null

clean:
	rm -rf $(VENV) .venv-tools node_modules build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
