#!/usr/bin/env bash
# Run one command on the Bastion Host over SSM, after the files it needs were transferred.
#
# usage: ./2-etl-manager.sh -p aurora-postgresql -c config.json [--skip-copy] --bastion-command "COMMAND"
#        ./2-etl-manager.sh -h
#
# exit:  the command's own status; 1 it did not run to its end, 64 wrong call
#
# This file only finds a Python to run etl_manager with: the project's .venv, else python3.
set -euo pipefail

main() {
    local here python
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    python=$here/.venv/bin/python
    [[ -x $python ]] || python=python3
    if ! command -v "$python" >/dev/null; then
        printf '[ERROR] %s\n' "No Python was found: neither $here/.venv nor python3" \
            "Install Python 3.10 or newer, then set up the project: make -C $here setup" >&2
        exit 1
    fi
    if ! "$python" -c 'import sys; from importlib.util import find_spec
sys.exit(sys.version_info < (3, 10) or not all(map(find_spec, ["boto3", "cryptography", "psycopg", "pydantic"])))'; then
        printf '[ERROR] %s\n' "$python is older than Python 3.10, or lacks the libraries of this project" \
            "Set the project up once: make -C $here setup" >&2
        exit 1
    fi
    export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
    exec "$python" -m etl_manager "$@"
}

main "$@"
