# What the checks of this folder share; sourced. `suite` is the name that the last line begins with.
checks=0
failed=0
# make -j names a job server that it does not hand on, and cargo would warn of it.
unset MAKEFLAGS

say() { echo "$suite: $*" >&2; }

# check WHAT WANTED GOT [HINT...]: one line, and what it got where that is something else.
check() {
    checks=$((checks + 1))
    if [ "$2" = "$3" ]; then
        echo "ok      $1"
    else
        failed=$((failed + 1))
        echo "FAILED  $1"
        printf '%s\n' "wanted:" "$2" "got:" "$3" | sed 's/^/        /'
    fi
}

summary() {
    echo "$suite: $checks checks, $failed failed"
    [ "$failed" -eq 0 ]
}

# Builds engine-digest for this computer and says where it is.
native_digest() {
    "$repo/scripts/cargo" build --quiet --locked --release --no-default-features --features digest --bin engine-digest >&2
    echo "${CARGO_TARGET_DIR:-$repo/target}/release/engine-digest"
}

# scalar_digest PROGRAM PLAN INPUTS [EXPECTED]: what every path of every CPU must print.
scalar_digest() {
    digest=$("$1" "$2" "$3" --path scalar | sed -n 's/^scalar //p')
    [ -n "$digest" ] || { say "$1 printed no digest for scalar"; return 1; }
    [ "${4:-$digest}" = "$digest" ] || { say "scalar gives $digest here, not $4: another plan, or other inputs?"; return 1; }
    echo "$digest"
}

# lines DIGEST PATH...: what a CPU that has these paths prints.
lines() {
    digest=$1
    shift
    for path; do echo "$path $digest"; done
}
