# All targets use a virtual environment, .venv, which is created at the first use.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

.venv/made: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.PHONY: help
help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 10

.PHONY: run
run: .venv/made  ## Serve on 127.0.0.1:8080 (change it with PORT=…), with an SQLite database, and print tokens to try
	@exec $(BIN)/python scripts/run_locally.py

.PHONY: test
test: .venv/made  ## Run all tests, on SQLite and on a PostgreSQL that they start (ARGS=… is passed to pytest)
	$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: .venv/made  ## Check style and types, and search for secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files -z ':!tests' ':!requirements.txt' | xargs -0 $(BIN)/detect-secrets-hook

.PHONY: format
format: .venv/made  ## Format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: .venv/made  ## Update the table of settings in docs/operations.md from config.py
	$(BIN)/python scripts/settings_table.py

.PHONY: requirements
requirements: .venv/made  ## Pin the packages of production with hashes, from setup.cfg
	CUSTOM_COMPILE_COMMAND='make requirements' $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.txt setup.cfg

.PHONY: audit
audit: .venv/made  ## Check the pinned packages for known vulnerabilities (needs access to the advisory service)
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.venv/audit/bin/pip-audit --require-hashes --disable-pip -r requirements.txt

.venv/bench/made: requirements.txt benchmarks/requirements.txt
	$(PYTHON) -m venv .venv/bench
	.venv/bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	.venv/bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

.PHONY: bench
bench: .venv/bench/made  ## Measure what requests cost; takes up to 20 minutes (ARGS=--quick: a trial of one minute)
	.venv/bench/bin/python -m benchmarks $(ARGS)

.PHONY: migrate
migrate: .venv/made  ## Migrate the database at DATABASE_URL
	$(BIN)/flask --app wsgi db upgrade

.PHONY: clean
clean:  ## Delete everything that was generated, except the data in instance/
	rm -rf .venv build dist *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
