# make demo    the daemon against the built-in sandbox; the first URL printed is the dashboard's
# make test    every test; ARGS="-k storm" for some, one after the other
# make check   format, lint, types, and the quick tests
# make fuzz    requests that no client sends, for ten minutes; SECONDS=60 for another time
# make faults  real processes under real faults, each as often as promised; ARGS="-k kill" for some
# make coverage  every statement and branch of core/ is passed by tests/core, or it fails
# make mutate  what the tests of core/ would notice, and docs/mutation.md; ONLY=plan,drift for some modules
# make soak    weeks of a made-up company's life, and then make fuzz; until DAYS agent-days, DEPTH=http or cut, SEED=n for
#              one of them, without it; docs/simulation.md
# make bench   the figures beside their limits, and docs/performance.md; ONLY=writes for one of them
# make flame   where the busiest minute of 10,000 agents goes: docs/flame.svg
# make bench-dispatch  how well the requests are spent, beside the best that could be done, and docs/dispatch.md
# make bench-agents  what one process costs by the number of its agents, put into docs/living.md
# make drill   the units in a virtual machine, and docs/drills.md; ONLY=suspend for one; skips, loudly, where none starts
# make pictures  the manual's pictures and its recording, by a headless Chromium
# make manual  what the manual says of commands and settings, from the program: man pages, settings, completions
# make audit   whether anything locked has a known vulnerability; asks the network, and says when it could not look
# make sbom    the bill of materials of what is installed with calsyncd, requirements/sbom.cdx.json
# make reliability  docs/reliability.md, from the catalogue of faults and what long runs have counted
# make lock    after a change of dependencies: uv.lock, and the same versions with hashes for pip

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PYTHON ?= python3

# What tests take from npm; without npm they skip, loudly.
NPM := $(if $(shell command -v npm 2>/dev/null),node_modules/.package-lock.json)

# Tools that nothing else needs live apart, each with the versions and hashes of its own list.
TOOLS := .venv-tools
$(TOOLS)/%/.done: requirements/tools-%.txt
	@$(PYTHON) -m venv $(TOOLS)/$*
	@$(TOOLS)/$*/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: demo test check lint types format soak bench flame bench-dispatch bench-agents pictures manual audit sbom reliability fuzz faults drill coverage mutate lock clean

demo: $(VENV)/.demo
	@$(BIN)/calsyncd demo $(if $(SECONDS),--seconds $(SECONDS))

# Most tests wait for most of their time: three processes share them, and then come those that bear nobody beside them.
test: $(VENV)/.test $(NPM)
ifeq ($(ARGS),)
	@status=0; set -x; \
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not alone" || status=1; \
	$(BIN)/python -m pytest -m alone || status=1; \
	exit $$status
else
	$(BIN)/python -m pytest $(ARGS)
endif

# A quarter of an hour: 500 kills, and one at every write.
faults: $(VENV)/.test
	CALSYNCD_FULL=1 $(BIN)/python -m pytest tests/faults $(ARGS)

# Few examples and always the same: what only a lucky example passes is not covered.
coverage: $(VENV)/.test
	CALSYNCD_EXAMPLES=10 $(BIN)/python -m pytest tests/core -n 2 --quiet --cov

# Mutants are made where mutmut is, and run where the tests are.
mutate: $(VENV)/.test $(TOOLS)/mutation/.done
	$(BIN)/python -m tools.mutation $(if $(ONLY),--only $(ONLY)) $(ARGS)

check: lint types
	$(BIN)/python -m pytest --ignore=tests/acceptance --ignore=tests/demo --ignore=tests/faults $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: $(VENV)/.test
	$(BIN)/python -m tests.faults.fuzz --seconds $(or $(SECONDS),600) $(ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m tests.simulation $(if $(DAYS),--days $(DAYS)) $(if $(DEPTH),--depth $(DEPTH)) $(if $(SEED),--seed $(SEED)) $(ARGS)
ifeq ($(DAYS)$(DEPTH)$(SEED),)
	$(MAKE) fuzz
endif

bench: $(VENV)/.demo
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

flame: $(VENV)/.demo $(TOOLS)/flame/.done
	$(BIN)/python -m benchmarks.flame --py-spy $(TOOLS)/flame/bin/py-spy $(ARGS)

bench-agents: $(VENV)/.demo
	$(BIN)/python -m benchmarks.agents --docs $(ARGS)

bench-dispatch: $(VENV)/.test
	$(BIN)/python -m benchmarks.dispatch $(ARGS)

# 77: no virtual machine can be started here, which was said.
drill: $(VENV)/.test
	$(BIN)/python -m tests.drill $(ONLY) || test $$? -eq 77

pictures: $(VENV)/.test
	$(BIN)/python -m tools.pictures

manual: $(VENV)/.test
	$(BIN)/python -m calsyncd.config.schema
	$(BIN)/python -m tools.manual

reliability: $(VENV)/.test
	$(BIN)/python -m tools.reliability

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

audit: $(TOOLS)/audit/.done
	@$(PYTHON) -m tools.audit $(TOOLS)/audit/bin/pip-audit

sbom: $(TOOLS)/audit/.done
	rm -rf $(TOOLS)/run
	$(PYTHON) -m venv $(TOOLS)/run
	$(TOOLS)/run/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(TOOLS)/run/bin/pip uninstall --quiet --yes setuptools pip
	$(TOOLS)/audit/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible --of JSON \
		-o requirements/sbom.cdx.json $(TOOLS)/run

# The two files for pip are derived: a test fails when they lag behind the lock.
lock:
	uv lock
	uv export --frozen --quiet --no-emit-project --no-header --no-annotate --output-file requirements/run.txt >/dev/null
	uv export --frozen --quiet --no-emit-project --no-header --no-annotate --group dev --output-file requirements/test.txt >/dev/null

clean:
	rm -rf $(VENV) $(TOOLS) node_modules build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
