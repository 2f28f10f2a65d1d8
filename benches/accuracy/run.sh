#!/bin/sh
# Measures Ajar's training beside Frigate's recipe on labelled pictures; README.md says how to read it.
#
#   run.sh [--data DIR] [--sets NAME,...] [--counts 5,10,25,50] [--draws 10] [--seed 0] [--quick] [--ajar PROGRAM]
#
# Needs target/release/ajar: make bench-accuracy builds it first.
# Exit code: 0 measured, or skipped for want of data; 2 something is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$here/work

"$here/../../scripts/python-venv" bench-accuracy "$work/venv" "$here/requirements.txt"

# The dense heads are small: more threads only wait for each other.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
exec "$work/venv/bin/python" "$here/bench.py" "$@"
