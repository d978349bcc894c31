# Everything is installed into $(VENV) and nothing outside it. Stamp files in it remember what was
# installed, so that a second run installs nothing; a changed pin installs again.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips must not write to one environment; `make test` starts its own processes.
.NOTPARALLEL:

# The first of these that is 3.11 or later; `make PYTHON=…` overrides it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
# `make … CONSTRAINTS=` installs the newest of what is not pinned directly (then `make pins`).
CONSTRAINTS ?= requirements/constraints.txt
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet \
	$(addprefix --constraint ,$(CONSTRAINTS))
PINS := $(sort $(wildcard backends/xentropy_backends/*/requirements.txt))

# For the recipes: `make test BACKENDS="numpy torch" ARGS="-k huber"`.
ARGS ?=
BACKENDS ?=
JOBS ?= 2

##@ Use
.PHONY: help parity
help: ## print this
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n%s\n%s\n' 'Variables: ARGS (passed on: make test ARGS="-k huber"), BACKENDS (make test BACKENDS="numpy torch"),' \
		'  JOBS=$(JOBS), VENV=$(VENV), PYTHON=$(PYTHON)'

parity: $(VENV)/.library ## compare every loss with what the four frameworks compute
	$(BIN)/xentropy parity $(ARGS)

##@ Develop
.PHONY: test gpu bench lint lint-ruff lint-format lint-mypy lint-pyright format docs dist
test: $(VENV)/.test ## run the suite once per backend, each in a process of its own
	@$(BIN)/python scripts/run_tests.py --jobs $(JOBS) $(BACKENDS) --pytest $(ARGS)

gpu: $(VENV)/.test ## run the matrix on the accelerators at hand, each framework in turn
	@status=0; for backend in $(or $(BACKENDS),torch jax tensorflow); do \
		$(BIN)/python -m pytest -m gpu --backends $$backend $(ARGS) || status=1; done; exit $$status

# With ARGS, say "--quick --framework torch", nothing of the README is written.
bench: $(VENV)/.bench ## measure time and memory beside the frameworks; writes table and picture
	$(BIN)/python -m benchmarks $(or $(ARGS),--markdown README.md --picture docs/_static/time.svg)

lint: lint-ruff lint-format lint-mypy lint-pyright ## ruff, mypy and pyright

lint-ruff: $(VENV)/.lint
	$(BIN)/ruff check .

lint-format: $(VENV)/.lint
	$(BIN)/ruff format --check .

# The type checkers see the frameworks and the test tools, so they need them installed.
lint-mypy: $(VENV)/.lint $(VENV)/.test
	$(BIN)/mypy

lint-pyright: $(VENV)/.lint $(VENV)/.test
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.lint ## rewrite the sources as `make lint` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.library $(VENV)/.docs ## build the pages into build/docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going -b html docs build/docs $(ARGS)

dist: $(VENV)/.dist ## build wheel and sdist into dist/ and compare them with git
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python scripts/check_dist.py dist

##@ Care
.PHONY: pins clean
pins: $(VENV)/.test $(VENV)/.bench $(VENV)/.lint $(VENV)/.docs $(VENV)/.dist ## rewrite requirements/constraints.txt from what is installed
	@mkdir -p build
	@sed 's/;.*//; s/\[.*\]//; y/_/-/; /^#/d' $(PINS) $(filter-out %/constraints.txt,$(wildcard requirements/*.txt)) > build/pinned.txt
	@{ sed '/^#/!d' requirements/constraints.txt; \
	   $(BIN)/python -m pip freeze --exclude-editable | tr _ - | grep -vixFf build/pinned.txt \
	   | grep -viE '^(torch|triton|nvidia-|cuda-)' | LC_ALL=C sort -f; } > build/constraints.txt
	mv build/constraints.txt requirements/constraints.txt

clean: ## remove the environment and everything built
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src backends benchmarks tests scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# --- environment -------------------------------------------------------------------------------

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later found: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The library and the frameworks in one go, so that pip checks our ranges against the pins.
$(VENV)/.library: $(VENV)/.created pyproject.toml $(CONSTRAINTS) $(PINS)
	$(INSTALL) $(PINS:%=--requirement %) --editable '.[parity,fast]'
	@touch $@

$(VENV)/.test $(VENV)/.bench: $(VENV)/.%: requirements/%.txt $(VENV)/.library
	$(INSTALL) --requirement $<
	@touch $@

$(VENV)/.lint $(VENV)/.docs $(VENV)/.dist: $(VENV)/.%: requirements/%.txt $(CONSTRAINTS) $(VENV)/.created
	$(INSTALL) --requirement $<
	@touch $@
