# `make run` and `make test` need Python ≥ 3.11, make and a package index; `make help` lists the rest.

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check chaos schemathesis bench node
SHELL := /bin/sh

# What a shell may carry over from another project must not reach this one's environment.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV UV_PROJECT_ENVIRONMENT UV_PYTHON CONDA_PREFIX

BIN := .venv/bin
STAMP := .venv/.synced
ARGS ?=
# One more than the processor has cores: many tests wait for a process, a lease or a retry.
WORKERS = $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf 'make %-12s %s\n' "$$name" "$$what"; done

setup: $(STAMP) ## make the environment (.venv, locked versions)
	@:

run: $(STAMP) ## everything in one process, no broker, no account (ARGS="--port 9000")
	@exec $(BIN)/gateway dev $(ARGS)

demo: $(STAMP) ## one scripted pass: SMS, e-mail, call, API, handoff
	@exec $(BIN)/gateway demo $(ARGS)

test: check ## linters, types and all tests but the long ones (ARGS="-k sms")
	@$(BIN)/pytest -m "not slow" --numprocesses $(WORKERS) --dist worksteal $(ARGS)

check: $(STAMP) ## linters, format, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

chaos: $(STAMP) ## the long runs that kill processes, broker and database
	@$(BIN)/pytest -m slow tests/chaos $(ARGS)

schemathesis: $(STAMP) ## a thousand requests for every operation of the OpenAPI document
	@$(BIN)/pytest -m slow tests/acceptance/test_openapi_document.py $(ARGS)

node: tests/node/node_modules/.package-lock.json ## checkers that exist for Node only (a few tests use them)
	@:

tests/node/node_modules/.package-lock.json: tests/node/package-lock.json
	@npm ci --prefix tests/node --silent --no-audit --no-fund
	@touch $@

bench: $(STAMP) ## the benchmarks, as a table
	@exec $(BIN)/gateway bench $(ARGS)

$(STAMP): pyproject.toml uv.lock
	@set -eu; \
	fail() { echo "make setup: $$1" >&2; exit 1; }; \
	if ! $(BIN)/python -c '' 2>/dev/null; then \
		python=; \
		for name in python3.13 python3.12 python3.11 python3; do \
			if $$name -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
		done; \
		[ -n "$$python" ] || fail "Python 3.11 or newer with venv is needed, and no python3 on PATH is; on Debian: apt-get install python3-venv"; \
		$$python -m venv --clear .venv || fail "could not make .venv with $$python"; \
	fi; \
	uv=uv; \
	if ! uv cache dir >/dev/null 2>&1; then \
		uv=$(BIN)/uv; \
		$$uv cache dir >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9' \
			|| fail "could not install uv from the package index"; \
	fi; \
	$$uv sync --frozen --inexact --quiet --python $(BIN)/python || fail "could not install the locked packages"; \
	touch $@
