#!/usr/bin/env bash
# VNN-COMP: prepare_instance.sh v1 CATEGORY ONNX VNNLIB
# Nothing is computed beforehand; the program and its libraries are read once, so that the disk is not what is measured.
set -eu
[ "${1:-}" = v1 ] && [ $# -ge 4 ] || { echo "expected: prepare_instance.sh v1 CATEGORY ONNX VNNLIB, found: $*" >&2; exit 1; }
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"${ADRGD:-$here/.venv/bin/adrgd}" doctor --json > /dev/null || true
