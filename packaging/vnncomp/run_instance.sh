#!/usr/bin/env bash
# VNN-COMP: run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS TIMEOUT
# ONNX is a file, or the list "[('f', 'FILE'), ('g', 'FILE')]" of a property about several networks. RESULTS then begins
# with sat, unsat, timeout, unknown or error; the counterexample follows.
set -u
[ "${1:-}" = v1 ] && [ $# -eq 6 ] || {
  echo "expected: run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS TIMEOUT, found: $*" >&2
  exit 1
}
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
results="$5"
rm -f "$results" # of an earlier run: it must not be taken for this one's
"${ADRGD:-$here/.venv/bin/adrgd}" falsify "$3" "$4" --timeout "$6" --out "$results" > /dev/null
code=$?
if [ ! -s "$results" ]; then # stopped from outside, or killed because memory ran out
  case $code in
    130 | 137 | 143) echo timeout > "$results" ;;
    *) echo error > "$results" ;;
  esac
fi
exit 0
