#!/bin/sh
# Measures Ajar's int8 executor beside TFLite, ONNX Runtime and tract; README.md says how to read it.
#
#   run.sh [--rounds N] [--runs N] [--ajar PROGRAM]    needs target/release/ajar: make bench-engine builds it first
#   run.sh --check                                     only convert the network to .tflite and check that
#
# Exit code: 0 measured, 1 an engine or the converted file is not what it should be, 2 something is missing.
# Where pip looks for packages is its to know: PIP_* variables are honoured.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$here/work

need() {
    echo "bench-engine: $1" >&2
    exit 2
}
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || need "needs python3, version 3.11 or later"
python3 -c 'import ensurepip, venv' 2>/dev/null || need "needs Python's venv: apt-get install python3-venv"

mkdir -p "$work"
if ! cmp -s "$here/requirements.txt" "$work/venv/requirements.txt"; then
    echo "bench-engine: installing the other engines into benches/engine/work/venv" >&2
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --no-deps --only-binary :all: -r "$here/requirements.txt" ||
        need "pip could not install requirements.txt; its wheels are for 64-bit Linux and Python 3.11 to 3.14"
    cp "$here/requirements.txt" "$work/venv/requirements.txt"
fi

# One thread for NumPy's own work, too.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
exec "$work/venv/bin/python" "$here/bench.py" "$@"
