#!/bin/sh
# Measures Ajar's int8 executor beside TFLite, ONNX Runtime and tract; README.md says how to read it.
#
#   run.sh [--rounds N] [--runs N] [--ajar PROGRAM]    needs target/release/ajar: make bench-engine builds it first
#   run.sh --check                                     only convert the network to .tflite and check that
#
# Exit code: 0 measured, 1 an engine or the converted file is not what it should be, 2 something is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$here/work

"$here/../../scripts/python-venv" bench-engine "$work/venv" "$here/requirements.txt"

# One thread for NumPy's own work, too.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
exec "$work/venv/bin/python" "$here/bench.py" "$@"
