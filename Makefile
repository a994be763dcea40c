# `make run` starts the gateway on this machine; `make test` installs the tools that it needs, then checks everything.
# Only outdated parts are installed again.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.14 python3; do \
	"$$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && exit; done; echo python3.11)
ARCHITECTURE ?= arm64
HOST ?= 127.0.0.1
PORT ?= 8000
EMBEDDED_PORT ?=
PYTEST_ARGS ?= -n 2 --dist loadfile

BIN := .venv/bin
SAM := .venv-sam/bin
MOCKS := .venv-mocks/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps
TYPED := $(shell find shared functions infra tests/bench -name '*.py' 2>/dev/null)
CLIENTS := $(wildcard tests/clients/package-lock.json)

export SAM_CLI_TELEMETRY := 0

.PHONY: help run test setup lint template pytest bench soak proof fuzz screenshots build audit sbom lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# With EMBEDDED_PORT, on an embedded AWS at that port: it needs moto, which the small installation lacks.
EMBEDDED = $(if $(EMBEDDED_PORT),--store embedded --embedded-port $(EMBEDDED_PORT))

run: $(if $(EMBEDDED_PORT),.venv/.dev,.venv/.run) ## start the gateway on PORT; SERVE_ARGS='--data DIR' chooses its folder, --ephemeral keeps nothing
	$(BIN)/python -m tidegate serve --host $(HOST) --port $(PORT) $(EMBEDDED) $(SERVE_ARGS)

test: setup ## set up, then lint, types, import rules, template and tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory template
	@$(MAKE) --no-print-directory pytest

setup: .venv/.dev .venv-sam/.installed .venv-mocks/.installed .tools/.fetched $(if $(CLIENTS),tests/clients/node_modules/.installed)

lint: .venv/.dev .venv/.typed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

template: .venv-sam/.checked

pytest: setup
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: .venv/.dev ## measure the gateway's own time in a call
	PYTHONPATH=. $(BIN)/python -m tests.bench $(BENCH_ARGS)

soak: .venv/.dev ## many calls with faults and disconnecting clients, then a check for leaks
	$(BIN)/python -m tests.faults.soak $(CALLS)

proof: setup ## 10,000 lines of a batch, while workers are killed: in memory, on a data folder, and on ministack
	TIDEGATE_PROOF_LINES=10000 $(BIN)/python -m pytest tests/batch/test_proof.py -n 0 -s --show-capture=no

fuzz: .venv/.dev ## ten minutes of requests and replies that nobody would write
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

screenshots: setup ## pictures of every page of the dashboard, over invented data, to docs/screenshots; needs Chromium
	PYTHONPATH=. $(BIN)/python -m tests.screenshots

build: .venv-sam/.installed .venv/.dev ## build the Lambda artifacts for ARCHITECTURE (arm64 or x86_64)
	PYTHON="$(CURDIR)/$(BIN)/python" $(SAM)/sam build --parameter-overrides Architecture=$(ARCHITECTURE)

audit: .venv/.dev ## look for known vulnerabilities of the pinned versions; says so if no database can be reached
	$(BIN)/python infra/audit.py

sbom: .venv/.dev ## write a software bill of materials for each function to dist/sbom (CycloneDX)
	$(BIN)/python infra/sbom.py dist/sbom

# Pins every version with its hashes, for all platforms, without an index URL. UPGRADE=--upgrade takes newer versions.
UV_LOCK = $(BIN)/uv pip compile --quiet --no-annotate --generate-hashes --custom-compile-command 'make lock' $(UPGRADE)

# What the functions contain: all have two HTTP clients (TIDEGATE_TRANSPORT), all but the keeper verify tokens.
WITHOUT = $(foreach package,$(1),--no-emit-package $(package))
UV_LOCK_LAMBDA = $(UV_LOCK) --python-version 3.13 --python-platform aarch64-manylinux2014 pyproject.toml --extra httpx \
	--constraints infra/constraints.txt $(call WITHOUT,pycparser)
TOKENS := pyjwt cryptography cffi

lock: .venv/.dev ## rewrite the pinned, hashed dependencies from pyproject.toml
	$(UV_LOCK) --universal --python-version 3.11 pyproject.toml --all-extras --group test --group build --group lock \
		--output-file infra/constraints.txt
	$(UV_LOCK) --universal --python-version 3.11 pyproject.toml --extra local --group build \
		--constraints infra/constraints.txt --output-file infra/constraints-run.txt
	$(UV_LOCK) --universal --python-version 3.11 --group sam --output-file infra/constraints-sam.txt
	$(UV_LOCK) --universal --python-version 3.11 --group mocks --output-file infra/constraints-mocks.txt
	$(UV_LOCK_LAMBDA) --extra web-adapter --output-file functions/chat/requirements.txt
	$(UV_LOCK_LAMBDA) --extra functions --output-file functions/batch/requirements.txt
	$(UV_LOCK_LAMBDA) $(call WITHOUT,$(TOKENS)) --extra functions --output-file functions/keeper/requirements.txt
	$(UV_LOCK_LAMBDA) --extra admin --extra functions --output-file functions/admin/requirements.txt

clean: ## remove everything that was installed or built
	rm -rf .venv .venv-sam .venv-mocks .tools .aws-sam .hypothesis .pytest_cache .ruff_cache .import_linter_cache tests/clients/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

# Not quiet: it takes some seconds, and says what it downloads.
.venv/.run: infra/constraints-run.txt | .venv/bin/python
	@echo 'Installing 49 packages into .venv (120 MB), once:'
	$(BIN)/python $(filter-out --quiet,$(PIP_INSTALL)) --require-hashes --requirement $<
	$(BIN)/python $(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

.venv/.dev: infra/constraints.txt | .venv/bin/python
	@echo 'Installing all tools into .venv, once:'
	$(BIN)/python $(filter-out --quiet,$(PIP_INSTALL)) --require-hashes --requirement $<
	$(BIN)/python $(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@ .venv/.run

.venv/.typed: $(TYPED) pyproject.toml .venv/.dev
	$(BIN)/pyright
	@touch $@

# A venv of its own, because aws-sam-cli pins its dependencies.
.venv-sam/.installed: infra/constraints-sam.txt
	test -x $(SAM)/python || $(PYTHON) -m venv .venv-sam
	$(SAM)/python $(PIP_INSTALL) --require-hashes --requirement $<
	@touch $@

# A venv of its own, because the mocks pin another botocore than moto.
.venv-mocks/.installed: infra/constraints-mocks.txt
	test -x $(MOCKS)/python || $(PYTHON) -m venv .venv-mocks
	$(MOCKS)/python $(PIP_INSTALL) --require-hashes --requirement $<
	@touch $@

.venv-sam/.checked: template.yaml .venv-sam/.installed
	$(SAM)/sam validate --lint --region us-east-1
	$(SAM)/cfn-lint --regions us-east-1 eu-central-1 ap-southeast-2 --template $<
	@touch $@

.tools/.fetched: tests/emulators/fetch.sh | .venv/.dev
	PYTHON="$(CURDIR)/$(BIN)/python" sh $<
	@touch $@

tests/clients/node_modules/.installed: tests/clients/package.json tests/clients/package-lock.json
	cd tests/clients && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@
