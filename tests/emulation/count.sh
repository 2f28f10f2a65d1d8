# Counting instructions in QEMU; sourced. Wants `repo`, `here` and `bin`, the folder of the Arm toolchain's programs.
mkdir -p "$repo/target/emulation"
counter=$repo/target/emulation/count.so
cc -O2 -Wall -shared -fPIC -o "$counter" "$here/count.c"

# instructions CPU PROGRAM [ARGUMENT...]: how many the program takes, on one thread.
instructions() {
    cpu=$1
    shift
    "$bin/qemu-aarch64" -cpu "$cpu" -plugin "$counter" -d plugin -D "$repo/target/emulation/count" "$@" >&2
    sed -n 's/^instructions: //p' "$repo/target/emulation/count"
}

# per_run COUNT_OF_3 COUNT_OF_1: what one run takes, without start and end.
per_run() { echo $((($1 - $2) / 2)); }
