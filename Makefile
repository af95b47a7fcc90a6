# `make demo` and `make test` are all that a newcomer needs; both make .venv first. CI runs `make test-all`.
# The newest Python that works here and that Beam, TensorFlow and OpenVINO support, or `make demo PYTHON=python3.12`.
PYTHON ?= $(shell for v in 3.13 3.12 3.11; do python$$v -c "" 2>/dev/null && echo python$$v && break; done)
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-slow test-flink browser prism check docs format demo-model clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/installed ## label the bundled sample videos with the bundled model and print the labels
	@$(BIN)/reelbeam label pipeline/demo/videos --model demo --output demo-output

test: check ## format, lint, types and the fast tests (minutes)
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: test test-slow ## the same, and the slow tests (half an hour)

test-slow: $(VENV)/installed-dev browser prism ## the slow tests alone
	$(BIN)/python -m pytest -m slow --timeout=1800 -n auto --dist loadfile

test-flink: $(VENV)/installed-dev ## every test on a Flink cluster of its own, with all that can die in one (a quarter of an hour)
	REELBEAM_FLINK_TESTS=all $(BIN)/python -m pytest -m slow --timeout=1800 tests/e2e/test_flink.py

browser: ## install what the browser tests need: as root on Debian Chromium and npm, then axe
	@tests/browser/install.sh

prism: ## build Beam's portable runner for the tests that need it, with Go (a minute)
	@! command -v go >/dev/null || tools/build_prism.sh >/dev/null || [ "$${CI:-}" != true ]

check: $(VENV)/installed-dev ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/installed-dev ## write the generated blocks of docs/
	$(BIN)/python -m tools.make_docs

format: $(VENV)/installed-dev ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo-model: ## train and export the bundled model again, in an environment of its own (half an hour on 2 cores)
	$(PYTHON) -m venv .venv-train
	.venv-train/bin/pip install --quiet -r tools/requirements-train.txt
	.venv-train/bin/python -m tools.train_demo_model

clean: ## remove what make made
	rm -rf $(VENV) .venv-train .venv-airflow demo-output build *.egg-info .pytest_cache .mypy_cache .ruff_cache tests/browser/node_modules

$(VENV)/installed: setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11, 3.12 or 3.13 is here: install one, or name it: make PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (minutes)"
	@$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@
