#!/bin/sh
# Measures what watching a camera costs; README.md says how to read it. Options go to the bench: main.rs names them.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repo=$here/../..
work=$here/work

command -v ffmpeg >/dev/null || {
    echo "bench-capture: the peer needs ffmpeg: apt-get install ffmpeg" >&2
    exit 2
}
"$repo/benches/engine/run.sh" --check
"$repo/scripts/python-venv" bench-capture "$work/venv" "$here/requirements.txt"
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$work/venv/bin/python" "$here/peer.py" >"$work/peer"
chmod +x "$work/peer"
export AJAR_PEER="$work/peer" AJAR_PEER_MODEL="$repo/benches/engine/work/mobilenetv2-128-int8-last.tflite"
exec "$repo/scripts/cargo" bench --locked --bench capture -- "$@"
