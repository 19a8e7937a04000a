# Everything runs in an environment of its own, .venv, made at first use.

PYTHON ?= python3
BIN := .venv/bin

TESTS ?= tests/unit tests/integration tests/properties client/tests
ON_ALL_CORES := --numprocesses=logical --maxprocesses=8 --dist=worksteal

.DEFAULT_GOAL := help

.venv/made: setup.cfg pyproject.toml client/setup.cfg
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --editable ./client
	@touch $@

.PHONY: help
help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 10

.PHONY: run
run: .venv/made  ## Serve on 127.0.0.1:8080 (PORT=… changes it), with an SQLite database and example tokens
	@exec $(BIN)/python scripts/run_locally.py

.PHONY: test
test: .venv/made  ## Run the tests of rules and application in 3 minutes (TESTS=… ARGS=… go to pytest)
	$(BIN)/python -m pytest --quick $(ON_ALL_CORES) $(ARGS) $(TESTS)

.PHONY: test-all
test-all: .venv/made  ## Run all tests, with real servers, browsers and outages too (ARGS=… goes to pytest)
	$(BIN)/python -m pytest $(ON_ALL_CORES) --durations=10 $(ARGS)

.PHONY: coverage
coverage: .venv/made  ## Run the tests of `make test`, and show the lines that none of them reaches
	$(BIN)/python -m pytest --quick --cov --cov-report=term $(ON_ALL_CORES) $(ARGS) $(TESTS)

.PHONY: lint
lint: .venv/made  ## Check style and types, and look for secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd client && ../$(BIN)/mypy  # as Python 3.10, its oldest
	git ls-files -z ':!tests' ':!client/tests' ':!requirements.txt' | xargs -0 $(BIN)/detect-secrets-hook

.PHONY: format
format: .venv/made  ## Format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: .venv/made  ## Write the table of docs/settings.md from config.py
	$(BIN)/python scripts/settings_table.py

.PHONY: screenshots
screenshots: .venv/made  ## Take the pictures of docs/images anew
	$(BIN)/python -m pytest --quick --screenshots tests/e2e/browser/test_demo.py

.PHONY: requirements
requirements: .venv/made  ## Pin what production installs, with hashes, from setup.cfg
	CUSTOM_COMPILE_COMMAND='make requirements' $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra demo --output-file requirements.txt setup.cfg

.PHONY: audit
audit: .venv/made  ## Look up known vulnerabilities of the pinned packages (needs the advisory service)
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.venv/audit/bin/pip-audit --require-hashes --disable-pip -r requirements.txt

.venv/bench/made: requirements.txt benchmarks/requirements.txt
	$(PYTHON) -m venv .venv/bench
	.venv/bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	.venv/bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

.venv/bench/node/made: .venv/bench/made benchmarks/node/package.json benchmarks/node/package-lock.json
	mkdir -p .venv/bench/node
	cp benchmarks/node/package.json benchmarks/node/package-lock.json .venv/bench/node
	npm ci --prefix .venv/bench/node --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

.PHONY: bench
bench: .venv/bench/node/made  ## Measure what requests cost, in 20 minutes at most (ARGS=--quick: a trial of a minute)
	.venv/bench/bin/python -m benchmarks $(ARGS)

.PHONY: bench-churn
bench-churn: .venv/bench/made  ## Measure what 1,000,000 sign-ins leave in PostgreSQL, in half an hour (ARGS=--quick: a trial)
	.venv/bench/bin/python -m benchmarks.churn $(ARGS)

.PHONY: bench-client
bench-client: .venv/made  ## Measure what a check by the client library costs, in 4 minutes (ARGS=--quick: one)
	$(BIN)/python -m benchmarks.client $(ARGS)

.PHONY: bench-search
bench-search: .venv/made  ## Measure what a search by criteria costs on 5,000,000 sessions, in 15 minutes (needs 8 GB)
	$(BIN)/python -m benchmarks.search $(ARGS)

.PHONY: bench-import
bench-import: .venv/made  ## Measure the import of 1,000,000 sessions beside live traffic, in 5 minutes (ARGS="--rows 10000")
	$(BIN)/python -m benchmarks.importing $(ARGS)

.PHONY: migrate
migrate: .venv/made  ## Update the tables of DATABASE_URL
	$(BIN)/flask --app wsgi db upgrade

.PHONY: clean
clean:  ## Remove everything that make created, but not the data in instance/
	rm -rf .venv build dist *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
