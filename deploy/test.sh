#!/usr/bin/env bash
# Installs what is missing and runs every check and test but the marked ones (gpu, training, soak, bench), a file a
# process and two at once: most of the time somebody waits for a broker. `deploy/test.sh -n 0 PATH…` runs one alone.
set -euo pipefail
cd "$(dirname "$0")/.."
export VENV=${VENV:-.venv}
bash deploy/setup.sh test
bin=$VENV/bin
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/lint-imports"
"$bin/pytest" --numprocesses 2 --dist loadfile --no-loadscope-reorder "$@"
