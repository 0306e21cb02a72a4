#!/usr/bin/env bash
# Installs what is missing and runs every check and test but the marked ones (gpu, training, soak, bench).
set -euo pipefail
cd "$(dirname "$0")/.."
export VENV=${VENV:-.venv}
bash deploy/setup.sh test
bin=$VENV/bin
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/lint-imports"
"$bin/pytest" "$@"
