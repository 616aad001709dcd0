# Everything here may be called again at any time. Nothing is installed outside .venv, .state and the
# engine's cache (~/.cache/pulumi-posthog).
.DEFAULT_GOAL := help
.PHONY: help up down pulumi test soak check bench format generate lock environment engine

BIN := .venv/bin

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Run the quick start: a PostHog on this machine, and `pulumi up` against it
	@tools/run quickstart.py up

down: ## Remove what `make up` made: the objects, the server, the state
	@tools/run quickstart.py down

pulumi: ## Run a Pulumi command on the quick start: make pulumi ARGS="preview --diff"
	@tools/run quickstart.py pulumi $(ARGS)

test: environment check ## Run all checks and tests; ARGS go to pytest: make test ARGS="tests/unit -k engine"
	@engine=$$(tools/run find_engine.py) && PULUMI_POSTHOG_ENGINE="$$engine" $(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist worksteal $(ARGS)

soak: environment ## Change 300 resources 20 times while requests go wrong (long): make soak ARGS="--seed 1"
	@engine=$$(tools/run find_engine.py) && PULUMI_POSTHOG_ENGINE="$$engine" $(BIN)/python tests/soak/soak.py $(ARGS)

check: environment ## Run the formatter (check only), the linter, the type checkers and the import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: environment ## What it costs: import, quick start, many resources, in ratios and requests (on a quiet machine)
	@$(BIN)/python tools/bench.py $(ARGS)

format: environment ## Format the code, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: environment ## Write the SDK's classes and their documentation from the declarations
	@$(BIN)/python sdk/generate.py

lock: environment ## Pin all dependencies anew, with hashes
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --generate-hashes --python-version 3.11 --upgrade --quiet -o requirements/dev.txt

environment: ## Make .venv, or bring it up to date
	@tools/run bootstrap.py

engine: ## Find or install the Pulumi engine, and say which one it is
	@tools/run find_engine.py --explain
