#!/bin/sh
# Measures Ajar's training beside Frigate's recipe on labelled pictures; README.md says how to read it.
#
#   run.sh [--data DIR] [--sets NAME,...] [--counts 5,10,25,50] [--draws 10] [--seed 0] [--quick] [--ajar PROGRAM]
#
# Needs target/release/ajar: make bench-accuracy builds it first.
# Exit code: 0 measured, or skipped for want of data; 2 something is missing.
# Where pip looks for packages is its to know: PIP_* variables are honoured.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$here/work

need() {
    echo "bench-accuracy: $1" >&2
    exit 2
}
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || need "needs python3, version 3.11 or later"
python3 -c 'import ensurepip, venv' 2>/dev/null || need "needs Python's venv: apt-get install python3-venv"

mkdir -p "$work"
if ! cmp -s "$here/requirements.txt" "$work/venv/requirements.txt"; then
    echo "bench-accuracy: installing ONNX Runtime into benches/accuracy/work/venv" >&2
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --no-deps --only-binary :all: -r "$here/requirements.txt" ||
        need "pip could not install requirements.txt; its wheels are for 64-bit Linux and Python 3.11 to 3.14"
    cp "$here/requirements.txt" "$work/venv/requirements.txt"
fi

# The dense heads are small: more threads only wait for each other.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
exec "$work/venv/bin/python" "$here/bench.py" "$@"
