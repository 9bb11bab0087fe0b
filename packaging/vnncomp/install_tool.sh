#!/usr/bin/env bash
# VNN-COMP: install_tool.sh v1
# An environment beside this script, from the checkout that it lies in. Any other command: export ADRGD=/path/to/adrgd.
set -eu
[ "${1:-}" = v1 ] || { echo "expected: install_tool.sh v1, found: $*" >&2; exit 1; }
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
"${PYTHON:-python3}" -m venv "$here/.venv"
"$here/.venv/bin/pip" install --quiet -c "$root/constraints.txt" "$root[falsify]"
"$here/.venv/bin/adrgd" --version
